/** The answer for a patient, and what is known of each eye, from the results of the photographs. */

import { AGAIN, type Eye, type Row, UNGRADABLE, UNREAD, UNSURE, countPoor, isAbove, isGradable, isSpent } from "./screener";
import type { Shot, Visit } from "./store";
import { type Text, verbatim } from "./text";
import { words } from "./words";

export type Tone = "refer" | "mild" | "unsure" | "clear" | "again" | "none";
export const SIDES: Eye[] = ["right", "left"]; // as seen when facing the patient
const CALLED = ["referable DR", "DR", "DR, not referable"]; // the most severe first

interface Said {
  tone: Tone;
  title: Text;
  text: Text | null;
}

export type Kind = keyof typeof words.answers;
const TONES: Record<Kind, Tone> = { refer: "refer", retake: "refer", unsettled: "refer", mild: "mild", unsure: "unsure", ungradable: "refer", again: "again", clear: "clear" };

type EyeKind = keyof typeof words.eyeAnswers;
const EYE_KINDS: Record<string, EyeKind> = {
  "referable DR": "referable",
  DR: "any",
  "DR, not referable": "mild",
  "no DR": "clear",
  "not referable": "notReferable",
  [UNSURE]: "unsure",
  [AGAIN]: "again",
  [UNGRADABLE]: "ungradable",
  [UNREAD]: "unread",
};

/** Tell whether a value is a result that this version of the page knows. */
export const isResult = (value: unknown): boolean => typeof value === "string" && Object.hasOwn(EYE_KINDS, value);

/** Tell whether a visit says nothing about a patient: its network or its eyes are drawn. */
export const isDemonstration = ({ synthetic, sample }: Visit): boolean => synthetic || sample === true;

export const rowsOf = (shots: Shot[]): Row[] => shots.map(({ row }) => row);

/** Find the result of an eye: of its worst photograph, as for a patient; null without a photograph. */
function resultOf(rows: Row[]): string | null {
  const isMilder = rows.some(({ questions }) => questions?.referable); // then "DR" alone leaves the referral open
  const order = isMilder ? [CALLED[0], UNSURE, ...CALLED.slice(1)] : [...CALLED, UNSURE];
  const called = order.find((result) => rows.some((row) => row.result === result));
  if (called) return called;
  const graded = rows.find(isGradable);
  if (graded) return graded.result;
  return isSpent(rows) ? UNGRADABLE : (rows.at(-1)?.result ?? null);
}

/** Find the photograph that decided the result of an eye: of those with this result, the most probable one. Without an answer, the latest. */
export function decisive(shots: Shot[]): Shot | null {
  const result = resultOf(rowsOf(shots));
  const probable = ({ row }: Shot): number => {
    const answers = Object.values(row.questions ?? {});
    const told = answers.filter((answer) => (result === UNSURE ? answer.unsure : isAbove(answer)));
    return (told.at(-1) ?? answers.at(-1))?.probability ?? 0;
  };
  const deciding = shots.filter(({ row }) => row.questions && row.result === result);
  const most = Math.max(...deciding.map(probable));
  return deciding.find((shot) => probable(shot) === most) ?? shots.filter(({ picture }) => picture).at(-1) ?? shots.at(-1) ?? null;
}

/** Say what is known of an eye. A demonstration never gives a sign that all is well. */
export function sayEye(eye: Eye, visit: Visit): { tone: Tone; title: Text } {
  const rows = rowsOf(visit.eyes[eye]);
  const result = resultOf(rows);
  const kind = result === null ? "absent" : EYE_KINDS[result];
  const isCalled = CALLED.includes(result ?? "") || kind === "unsure";
  const plain = kind ? words.eyeAnswers[kind] : verbatim(result ?? "");
  const said = isCalled && !rows.some((row) => isGradable(row) && (row.result === UNSURE || CALLED.includes(row.result))) ? words.poorToo(plain) : plain;
  const isMarked = isDemonstration(visit) && kind !== "absent" && kind !== "unread"; // these two are no answers
  const title = isMarked ? words.demonstration(said) : said;
  if (!isCalled && kind !== "clear" && kind !== "notReferable") return { tone: kind === "ungradable" ? "refer" : "again", title };
  const tone = kind === "mild" || kind === "unsure" ? kind : isCalled ? "refer" : "clear";
  return { tone: isMarked && tone === "clear" ? "none" : tone, title };
}

/** Say what a poor photograph tells nevertheless: signs of disease, or an unsure answer. */
export function sayPoor({ result }: Row, eye: Eye, visit: Visit): Text {
  const isLast = isSpent(rowsOf(visit.eyes[eye]));
  const signs = isLast ? words.answers.retake[1] : words.photograph.retake;
  const said = result === UNSURE ? words.photograph.unsure(!isLast) : signs;
  return isDemonstration(visit) ? words.demonstration(said) : said;
}

/** Choose the patient's answer, in the order of the table in the design. A result that is not known never clears a patient. */
export function kindOf({ joined, eyes }: Visit): Kind {
  const rows = SIDES.flatMap((eye) => rowsOf(eyes[eye]));
  const result = joined?.result ?? CALLED.find((one) => rows.some((row) => row.result === one)) ?? AGAIN; // an earlier version joined two eyes only
  if (result === UNGRADABLE) return "ungradable";
  if (result === UNSURE) return "unsure";
  if (result === "no DR" || result === "not referable") return "clear";
  if (result === "DR, not referable") return "mild";
  if (!CALLED.includes(result)) return "again";
  const questions = joined?.questions;
  if (result === "DR" && questions?.referable?.disease === null) return SIDES.some((eye) => isSpent(rowsOf(eyes[eye]))) ? "ungradable" : "unsettled";
  const isWorthRetaking = SIDES.some((eye) => rowsOf(eyes[eye]).some((row) => CALLED.includes(row.result)) && !isSpent(rowsOf(eyes[eye])));
  return rows.some((row) => isGradable(row) && CALLED.includes(row.result)) || !isWorthRetaking ? "refer" : "retake";
}

/** Say what the threshold alone would answer for a patient; null where that is not known. */
export function sayAlone(visit: Visit): Text | null {
  const kind = EYE_KINDS[visit.joined?.by_threshold ?? ""];
  if (!kind) return null;
  const said = kind === "again" || kind === "ungradable" ? words.answers[kind][0] : words.eyeAnswers[kind]; // of both eyes, not of a photograph
  return isDemonstration(visit) ? words.demonstration(said) : said;
}

/** Say the answer for a patient. */
export function sayPatient(visit: Visit): Said {
  const kind = kindOf(visit);
  const [title, text] = words.answers[kind];
  const tone = TONES[kind];
  if (!isDemonstration(visit)) return { tone, title, text };
  return { tone: tone === "clear" ? "none" : tone, title: words.demonstration(title), text: visit.synthetic ? words.syntheticModel : words.samples.notice };
}

/** What to do next: photograph an eye for the first time or again, or nothing. */
export type Step = {
  eye: Eye;
  again: boolean;
  number: number; // of the step: 1, or 2 when the other eye is done
  attempt: number; // of the photograph, among the poor ones of this eye
} | null;

/** Find the next step: the right eye, then the left, each until it is gradable or its attempts are spent. */
export function nextStep({ eyes }: Visit): Step {
  const open = SIDES.filter((eye) => !rowsOf(eyes[eye]).some(isGradable) && !isSpent(rowsOf(eyes[eye])));
  if (!open.length) return null;
  const rows = rowsOf(eyes[open[0]]);
  return { eye: open[0], again: rows.length > 0, number: SIDES.length + 1 - open.length, attempt: countPoor(rows) + 1 };
}
