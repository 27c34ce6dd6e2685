/** The history as a table for spreadsheets: CSV (RFC 4180), a row for each patient. */

import { SIDES, sayAlone, sayEye } from "./answers";
import { takenAt, timeOf } from "./days";
import { openDoubts } from "./doubts";
import { sayPoint, sayUnsure } from "./points";
import type { Question } from "./probabilities";
import type { Eye } from "./screener";
import { sayListed } from "./search";
import { sayNetwork } from "./seen";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

const { csv: said } = words;
const MARK = "\ufeff"; // the byte order mark tells Excel that the file is UTF-8
const FORMULA = /(^|[;\t\r\n])(?=\s*[=+\-@＝＋－＠|])/g; // what spreadsheets may compute (OWASP, CSV injection), also where they divide cells by semicolons
const CHANGED = /^(?!(?:0|[1-9]\d{0,10})$)[\d\s.,:/e-]*\d[\d\s.,:/e-]*$/i; // numbers and dates that they would rewrite: 0012, 1-2
const QUESTIONS: Question[] = ["referable", "any"];

/** Write text so that a spreadsheet neither computes it nor, for a name, rewrites it. */
function guard(text: string, isName = false): string {
  const harmless = text.replace(FORMULA, "$1'");
  return harmless === text && isName && CHANGED.test(text) ? `'${text}` : harmless;
}

const quote = (cell: string): string => (/[",;\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** The cells of a visit, by their column. */
function cellsOf(visit: Visit): [Text, string][] {
  const { joined, eyes } = visit;
  const isDoubtful = openDoubts(visit).length > 0;
  const each = (column: (eye: Eye) => Text, cell: (eye: Eye) => string): [Text, string][] => SIDES.map((eye) => [column(eye), cell(eye)]);
  const number = (value: number | null | undefined) => (isDoubtful ? "" : String(value ?? ""));
  return [
    [said.patient, guard(visit.label.trim(), true)],
    [said.born, guard(visit.born ?? "")],
    [said.begun, timeOf(visit.when)],
    [said.answer, guard(sayListed(visit).title)],
    ...each(said.eye, (eye) => (isDoubtful || !eyes[eye].length ? "" : guard(sayEye(eye, visit).title))),
    ...each(said.photographs, (eye) => String(eyes[eye].length)),
    ...each(said.last, (eye) => (eyes[eye].length ? timeOf(Math.max(...eyes[eye].map((shot) => takenAt(shot, visit)))) : "")),
    ...QUESTIONS.flatMap((question): [Text, string][] => [
      [said.probability(question), number(joined?.questions?.[question]?.probability)],
      [said.threshold(question), number(joined?.questions?.[question]?.threshold)],
    ]),
    [said.grade, number(joined?.grade)],
    [said.point, guard(sayPoint(visit.point))],
    [said.unsure, guard(sayUnsure(visit.unsure) ?? "")],
    [said.alone, isDoubtful ? "" : guard(sayAlone(visit) ?? "")],
    [said.network, guard(sayNetwork(visit))],
    [said.notice, words.letter.notADevice],
  ];
}

/** Write visits as CSV. */
export function toCsv(visits: Visit[]): string {
  const rows = visits.map(cellsOf);
  const lines = [(rows[0] ?? []).map(([column]) => column), ...rows.map((cells) => cells.map(([, cell]) => cell))];
  return MARK + lines.map((cells) => `${cells.map(quote).join(",")}\r\n`).join("");
}
