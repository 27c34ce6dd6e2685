// Counts the photographs in files with the page's own code, for tests/test_pages.py: node container.mjs FILES

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const { readContainer } = await load("container.ts");

const counts = process.argv.slice(2).map((file) => readContainer(new Uint8Array(readFileSync(file))).pages);
process.stdout.write(JSON.stringify(counts));
