// Finds the field of photographs and crops them as the page does, without a browser, for tests/test_page_pixels.py:
// node fields.mjs JOBS. JOBS is a list of {"file", "field", "size", "pixels": output file}. Prints the geometry of each,
// or the sentence that the user gets.

import { readFileSync, writeFileSync } from "node:fs";
import { load } from "./load.mjs";

const { cropped, geometryOf, locate, openPhotograph } = await load("decode.ts");
const { sayProblem } = await load("words.ts");

async function find({ file, field, size, pixels }) {
  try {
    const photograph = await openPhotograph(new Blob([readFileSync(file)]));
    const found = await locate(photograph, size, field);
    writeFileSync(pixels, cropped(found, size).data);
    return geometryOf(photograph, found);
  } catch (error) {
    return sayProblem(error.message);
  }
}

const found = [];
for (const job of JSON.parse(readFileSync(process.argv[2], "utf8"))) found.push(await find(job));
process.stdout.write(JSON.stringify(found));
