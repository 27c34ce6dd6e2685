// Finds the side of the optic disc as the page does, without a browser, for tests/test_page_disc.py: node disc.mjs JOBS
// JOBS is a list of {"file", "size"}, crops in equalised colours. Prints the score and the side of each.

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const { discOf, discScore } = await load("disc.ts");

const crops = JSON.parse(readFileSync(process.argv[2], "utf8")).map(({ file, size }) => ({ width: size, height: size, data: readFileSync(file) }));
process.stdout.write(JSON.stringify(crops.map((crop) => [discScore(crop), discOf(crop)])));
