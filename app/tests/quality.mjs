// Judges crops, joins the eyes of patients and shows grades as the page does, without a browser, for
// tests/test_page_quality.py: node quality.mjs JOBS. JOBS is {"weights", "crops": a list of {"file", "size", "visible",
// "field"}, "measured": a list of measures, "model", "rule", "patients": a list of {"left": rows, "right": rows}, "rows",
// "grades": a list of {"own", "questions"}, "former": a list of rows}. Prints the qualities, the joined rows, the states
// of the rows, what is shown of each grade, and each former row as `rule` answers it (`again`) and as a visit that was
// answered by the same rule is continued with it (`resumed`).

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const modules = ["measures.ts", "quality.ts", "screener.ts", "checklist.ts", "again.ts"];
const [{ measure }, { judge }, { join, showGrade }, { stateOf }, { decideAgain, markFormer, renew }] = await Promise.all(modules.map((name) => load(name)));
const { weights, crops, measured, model, rule, patients, rows, grades, former } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const judged = crops.map(({ file, size, visible, field }) =>
  judge(measure({ width: size, height: size, data: new Uint8Array(readFileSync(file)) }, visible, field), weights),
);
judged.push(...measured.map((measures) => judge(measures, weights)));
const joined = patients.map((eyes) => join(model, rule, eyes));
const shown = grades.map(({ own, questions }) => showGrade(own, questions));
const again = former.map((row) => decideAgain(model, rule, row));
const shots = former.map((row) => ({ row }));
markFormer({ eyes: { right: shots, left: [] }, ...rule });
const resumed = shots.map((shot) => renew(model, rule, shot).row);
process.stdout.write(JSON.stringify({ judged, joined, states: rows.map(stateOf), shown, again, resumed }));
