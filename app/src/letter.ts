/** What the letter says: for the patient and the doctor, in the words of eyenet/letter/. `sheet.ts` draws it. */

import { type Kind, SIDES, type Tone, decisive, isDemonstration, kindOf, sayEye, sayPatient } from "./answers";
import { isPoor, reasonsOf } from "./checklist";
import type { Clinic } from "./clinic";
import { datesOf, firstOf } from "./days";
import { openDoubts } from "./doubts";
import { fill } from "./fill";
import { percents, sayDay, sayWhen } from "./numbers";
import type { Question } from "./probabilities";
import { BALANCED, type Eye, type Row, UNREAD } from "./screener";
import { sayNetwork } from "./seen";
import type { Shot, Visit } from "./store";
import { type Text, verbatim } from "./text";
import { sayProblem, words } from "./words";

const said = words.letter;

/** A label and its text; null where somebody writes it by hand. */
export type Line = [Text, Text | null];

/** An eye: its finding, and the photograph that decided it, with the captions of its two pictures. */
export interface EyePart {
  eye: Text;
  tone: Tone;
  finding: Text;
  shot: Shot | null;
  captions: { picture: Text; evidence: Text };
  lines: Text[];
}

/** What the doctor fills in; `other` is followed by a line to write on. */
interface Decision {
  title: Text;
  boxes: Text[];
  other: Text;
  lines: Line[];
}

export interface Letter {
  title: Text;
  demonstration: Text[]; // empty for a patient's result
  clinic: Text | null;
  reach: Text[]; // its address and telephone, as far as entered
  about: Line[];
  result: Text; // whose answer follows
  tone: Tone;
  answer: Text;
  note: Text | null;
  unreviewed: Text; // of a translation; empty for English
  urgency: Line | null; // null while the files are in doubt, like eyes and decision
  eyes: EyePart[];
  advice: Line[];
  decision: Decision | null;
  foot: Text[];
}

/** Write the letter of a visit. */
export function writeLetter(visit: Visit, clinic: Clinic): Letter {
  const isDoubtful = openDoubts(visit).length > 0;
  const { tone, title } = isDoubtful ? { tone: "again" as Tone, title: said.doubtful.title } : sayPatient(visit);
  const { label, born } = visit;
  const dates = datesOf(visit);
  const mark = (text: Text) => (isDemonstration(visit) ? words.demonstration(text) : text);
  return {
    title: said.title,
    demonstration: isDemonstration(visit) ? [said.demonstrations.title, visit.synthetic ? said.demonstrations.network : said.demonstrations.eyes] : [],
    clinic: clinic.name ? verbatim(clinic.name) : null,
    reach: [clinic.address, clinic.phone].filter(Boolean).map(verbatim),
    about: [
      ...(clinic.name ? [] : [[said.clinic, null] as Line]),
      [said.patient, label.trim() ? verbatim(label.trim()) : null],
      [said.born, born ? sayDay(born) : null],
      [said.chosen, dates ? words.status.sentences(...dates) : sayWhen(firstOf(visit))],
    ],
    result: said.result,
    tone,
    answer: title,
    unreviewed: said.unreviewed,
    note: isDoubtful ? said.doubtful.text : null,
    urgency: isDoubtful ? null : [said.urgency.title, mark(urgencyOf(visit))],
    eyes: isDoubtful ? [] : SIDES.map((eye) => writeEye(eye, visit)),
    advice: [
      ...(isDoubtful ? [] : [[said.screening.title, mark(nextScreening(kindOf(visit), clinic))] as Line]),
      [said.symptoms.title, said.symptoms.text],
      [said.notCovered.title, said.notCovered.text],
    ],
    decision: isDoubtful ? null : writeDecision(),
    foot: [fill(said.answered, { network: sayNetwork(visit) }), sayOperatingPoint(visit.point), ...sayRate(visit.unsure), said.marks, said.notADevice],
  };
}

function writeDecision(): Decision {
  const { title, agree, refer, stay, other, name, signature, date } = said.decision;
  return { title, boxes: [agree, refer, stay], other, lines: [[name, null], [signature, null], [date, null]] };
}

/** Say how urgent a referral is, as far as the answer tells. */
function urgencyOf(visit: Visit): Text {
  const kind = kindOf(visit);
  const isReferable = SIDES.some((eye) => visit.eyes[eye].some(({ row }) => row.questions?.referable?.disease));
  if (kind === "refer" || kind === "retake") return isReferable ? said.urgency.soon : said.urgency.look;
  return kind === "mild" || kind === "clear" ? said.urgency.none : said.urgency[kind];
}

/** Say when to screen again: by the clinic's own rule, if it has one. */
function nextScreening(kind: Kind, clinic: Clinic): Text {
  if (kind === "unsure") return said.screening.grader;
  if (kind === "again" || kind === "unsettled") return said.screening.first;
  if (kind !== "mild" && kind !== "clear") return said.screening.specialist;
  return clinic[kind] ? fill(said.screening.rule, { rule: verbatim(clinic[kind]) }) : said.screening.open;
}

function writeEye(eye: Eye, visit: Visit): EyePart {
  const shots = visit.eyes[eye];
  const shot = decisive(shots);
  const { tone, title } = shot ? sayEye(eye, visit) : { tone: "none" as Tone, title: said.findings.absent };
  const captions = { picture: shot?.contours?.length === 0 ? said.nothing : said.photograph, evidence: said.evidence };
  return { eye: said.eyes[eye], tone, finding: title, shot, captions, lines: shot ? describe(shot, shots.length - 1) : [] };
}

/** Describe the photograph that decided the finding of an eye, and count the others. */
function describe({ name, row }: Shot, others: number): Text[] {
  const reasons = reasonsOf(row).map(([reason]) => reason);
  return [
    ...(row.grade === undefined ? [] : [fill(said.grade, { grade: verbatim(row.grade), name: said.grades[row.grade] })]),
    ...sayProbabilities(row),
    ...(isPoor(row) && row.result !== UNREAD ? [fill(said.poor, { reasons: words.about.list(reasons) })] : []),
    ...(row.result === UNREAD ? reasons : []),
    ...(row.notes ?? []).map(sayProblem),
    ...(others ? [fill(said.others, { count: verbatim(others) })] : []),
    fill(said.file, { name: verbatim(name) }),
  ];
}

function sayProbabilities({ questions = {} }: Row): Text[] {
  return Object.entries(questions).flatMap(([question, { probability, threshold, unsure, low, high }]) => {
    if (probability === null || threshold === null) return [];
    const named = said.questions[question as Question];
    const percent = (value: number | undefined) => words.details.percent(value ?? 0, 1);
    if (unsure) return [fill(said.unsure, { question: named, probability: percent(probability), low: percent(low), high: percent(high), threshold: percent(threshold) })];
    const [probable, least] = percents(probability, threshold);
    return [fill(said.probability, { question: named, probability: probable, threshold: least })];
  });
}

/** Say with which error rate "unsure" was asked for, if it was. */
const sayRate = (rate: string | undefined): Text[] => (rate ? [fill(said.points.unsure, { rate: verbatim(Math.round(100 * Number(rate))) })] : []);

/** Name an operating point after its aim, which is not what it reaches on other patients. */
function sayOperatingPoint(point: string): Text {
  const [kind, aim] = point.split("_");
  const share = (value: number) => ({ aim: verbatim(Math.round(100 * value)) });
  if (point === BALANCED) return said.points.balanced;
  if (kind === "sensitivity") return fill(said.points.sensitivity, share(Number(aim)));
  if (kind === "specificity") return fill(said.points.specificity, share(1 - Number(aim)));
  return fill(said.points.other, { name: verbatim(point) });
}
