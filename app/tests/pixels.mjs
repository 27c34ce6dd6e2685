// Decodes photographs as the page does, without a browser, for tests/test_page_pixels.py: node pixels.mjs JOBS
// JOBS is a list of {"file", "least": at which the scale is chosen as for a crop, "pixels": output file}. Prints the size
// of each and what was left out, or the sentence that the user gets.

import { readFileSync, writeFileSync } from "node:fs";
import { load } from "./load.mjs";

const { factorFor, openPhotograph } = await load("decode.ts");
const { sayProblem } = await load("words.ts");

async function decode({ file, least, pixels }) {
  try {
    const photograph = await openPhotograph(new Blob([readFileSync(file)]));
    const factor = factorFor(photograph, least);
    const { width, height, data } = await photograph.read(factor);
    writeFileSync(pixels, data);
    return { width, height, factor, frame: [photograph.width, photograph.height], note: sayProblem(photograph.note ?? "") };
  } catch (error) {
    return sayProblem(error.message);
  }
}

const found = [];
for (const job of JSON.parse(readFileSync(process.argv[2], "utf8"))) found.push(await decode(job));
process.stdout.write(JSON.stringify(found));
