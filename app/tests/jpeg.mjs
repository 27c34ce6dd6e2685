// Decodes JPEGs with the page's own decoder, for tests/test_jpeg.py: node jpeg.mjs JOBS
// JOBS is a list of {"file", "factor", "pixels": output file}. Prints the size of each, or why it was not decoded.

import { readFileSync, writeFileSync } from "node:fs";
import { load } from "./load.mjs";

const { checkFile } = await load("files.ts");
const { openJpeg, decodeJpeg } = await load("jpeg.ts");

function decode({ file, factor, pixels }) {
  const bytes = new Uint8Array(readFileSync(file));
  try {
    checkFile(bytes);
  } catch {
    return "refused";
  }
  const jpeg = openJpeg(bytes);
  if (!jpeg) return "browser";
  const picture = decodeJpeg(bytes, jpeg, factor);
  if (!picture) return "damaged";
  writeFileSync(pixels, picture.data);
  return { width: picture.width, height: picture.height, upright: [jpeg.width, jpeg.height] };
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(process.argv[2], "utf8")).map(decode)));
