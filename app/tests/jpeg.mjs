// Decodes JPEGs with the page's own decoder, for tests/test_jpeg.py: node jpeg.mjs '[{"file": ..., "factor": ..., "pixels": ...}]'
// Writes the pixels of each as bytes and prints its size as JSON; "browser" or "damaged" for what it does not decode.

import { readFileSync, writeFileSync } from "node:fs";
import { runnerImport } from "vite";

const { module } = await runnerImport(new URL("../src/jpeg.ts", import.meta.url).pathname, { configFile: false });
const said = JSON.parse(readFileSync(process.argv[2], "utf8")).map(({ file, factor, pixels }) => {
  const bytes = new Uint8Array(readFileSync(file));
  const jpeg = module.openJpeg(bytes);
  if (!jpeg) return "browser";
  const start = performance.now();
  const picture = module.decodeJpeg(bytes, jpeg, factor);
  if (!picture) return "damaged";
  const seconds = (performance.now() - start) / 1000;
  writeFileSync(pixels, picture.data);
  return { width: picture.width, height: picture.height, full: [jpeg.width, jpeg.height], seconds };
});
process.stdout.write(JSON.stringify(said));
