// Judges crops and joins the eyes of patients as the page does, without a browser, for tests/test_page_quality.py:
// node quality.mjs JOBS. JOBS is {"weights", "crops": a list of {"file", "size", "visible", "field"}, "measured": a list
// of measures, "model", "rule", "patients": a list of {"left": rows, "right": rows}}. Prints the qualities and the joined
// rows.

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const modules = ["measures.ts", "quality.ts", "screener.ts", "checklist.ts"];
const [{ measure }, { judge }, { join }, { stateOf }] = await Promise.all(modules.map((name) => load(name)));
const { weights, crops, measured, model, rule, patients, rows } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const judged = crops.map(({ file, size, visible, field }) =>
  judge(measure({ width: size, height: size, data: new Uint8Array(readFileSync(file)) }, visible, field), weights),
);
judged.push(...measured.map((measures) => judge(measures, weights)));
const joined = patients.map((eyes) => join(model, rule, eyes));
process.stdout.write(JSON.stringify({ judged, joined, states: rows.map(stateOf) }));
