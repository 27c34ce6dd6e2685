// Reads names as the page does, for tests/test_page_names.py: node names.mjs JOBS
// JOBS holds "stems", to read, and "patients", pairs of chosen files by eye; prints [patient, eye] and the doubts.

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const { canonical, readName } = await load("names.ts");
const { doubtsOf } = await load("doubts.ts");
const { stems, numbers, patients } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const names = stems.map(readName).map(({ patient, eye }) => [patient, eye]);
process.stdout.write(JSON.stringify({ names, numbers: numbers.map(canonical), doubts: patients.map(({ right, left }) => doubtsOf({ right: right ? [right] : [], left: left ? [left] : [] })) }));
