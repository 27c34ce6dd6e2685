/** Grade a photograph and a patient: quality first, then probability and decision. A port of eyenet/model/screener.py. */

import { encode } from "./bitmap";
import { type Colours, equalize } from "./colours";
import { type Geometry, type Photograph, cropped, geometryOf, locate, openPhotograph } from "./decode";
import { type Side, discOf } from "./disc";
import { drawContours } from "./evidence";
import { SIDE, measure } from "./measures";
import type { Answer as Looked, Model, Network } from "./network";
import { NoRetina, PhotoError, insideCircle } from "./photo";
import { problem } from "./problems";
import {
  type Question,
  TASKS,
  calibrate,
  diseaseProbability,
  expectedGrade,
  predictGrade,
} from "./probabilities";
import { type Quality, OTHER, SMALLEST, judge } from "./quality";
import type { Picture } from "./resample";
import { round } from "./stats";

export const AGAIN = "photograph again";
export const RETAKE = "photograph again if possible"; // a poor photograph that refers
export const UNGRADABLE = "refer: not gradable"; // a patient with an eye of ATTEMPTS poor photographs and no gradable one
export const ATTEMPTS = 2; // poor photographs of an eye, after which it is not photographed again but referred
const [SPENT, ABSENT] = ["second poor photograph", "no photograph"];
export const UNREAD = "not read";
export const BALANCED = "balanced";
export const SHOWN = 512; // pixels of a crop on the page
const QUALITY = 0.92; // of its JPEG
const CALLED: Record<Question, string> = { any: "DR", referable: "referable DR" };

export type Eye = "right" | "left";

export interface Answer {
  probability: number | null;
  threshold: number | null;
  disease: boolean | null; // null: undecided
}

export interface Row {
  result: string;
  gradable?: boolean; // not in the history of older versions, which answered for gradable photographs only
  retina?: boolean; // a colour photograph of a retina; not in the history of older versions
  reasons: string[]; // of a file that could not be read: a Problem
  quality?: number;
  questions?: Partial<Record<Question, Answer>>;
  expected_grade?: number;
  grade?: number;
  notes?: string[]; // what was left out of the file: Problems
}

/** The result of a photograph, and its pictures. */
export interface Seen {
  row: Row;
  fingerprint: string; // of the file; empty if it could not be read
  picture: Blob | null; // the crop, or the whole photograph where no retina was found
  contours: string[] | null; // of the evidence; empty if nothing stood out, null if it is drawn after the answer or not at all
  contoursOf: Question | null; // of the evidence that is drawn after the answer
  disc: Side | null; // half of the picture with the optic disc; null if that is not certain, or the photograph is poor
  geometry: Geometry | null;
  crop: Picture | null; // input of the quality gate
  input: Picture | null; // input of the network
}

const UNDECIDED: Answer = { probability: null, threshold: null, disease: null };

/** A result without pictures. */
export const NOTHING = { fingerprint: "", picture: null, contours: null, contoursOf: null, disc: null, geometry: null, crop: null, input: null };

/** The operating point that a model uses unless another is chosen. */
export const ownPoint = (model: Model): string => model.operating_point ?? BALANCED;

/** List the operating points that every question of the model has. */
export function pointsOf(model: Model): string[] {
  const each = TASKS[model.task].questions.map((question) => model.decision[question].eye.operating_points);
  return Object.keys(each[0]).filter((point) => each.every((points) => point in points));
}

/** Answer a question of an eye, or of a patient with the probability of the worst eye. */
export function call(model: Model, point: string, question: Question, probability: number): Answer {
  const threshold = model.decision[question].eye.operating_points[point];
  return { probability: round(probability, 6), threshold: round(threshold, 6), disease: probability >= threshold };
}

/** Find the most severe question that is answered with disease. */
function worstCalled(model: Model, answers: Row["questions"] = {}): Question | null {
  return [...TASKS[model.task].questions].reverse().find((question) => answers[question]?.disease) ?? null;
}

/** Summarise the answers to all questions in a few words. */
export function summarise(model: Model, answers: NonNullable<Row["questions"]>): string {
  const worst = worstCalled(model, answers);
  if (worst === "any" && answers.referable?.disease === false) return "DR, not referable";
  if (worst) return CALLED[worst];
  if (Object.values(answers).some((answer) => answer.disease === null)) return AGAIN;
  return model.task === "referable" ? "not referable" : "no DR";
}

/** Limit a grade to what the answers say: 0 for no DR, 1 for DR that is not referable, otherwise 2 to 4. */
export function consistentGrade(grade: number, answers: NonNullable<Row["questions"]>): number {
  if (answers.referable?.disease) return Math.max(grade, 2);
  return answers.any?.disease ? 1 : 0;
}

/** Keep the answers that tell disease, and leave the others undecided: what a poor photograph may say. */
export function onlyDisease(answers: NonNullable<Row["questions"]>): NonNullable<Row["questions"]> {
  return Object.fromEntries(Object.entries(answers).map(([question, one]) => [question, one.disease ? one : UNDECIDED]));
}

/** Tell whether a photograph was graded and may count as negative. */
export function isGradable(row: Row): boolean {
  return row.questions !== undefined && row.gradable !== false;
}

/** Tell whether an eye has no gradable photograph after the last attempt; unread files are no attempts. */
export function isSpent(rows: Row[]): boolean {
  return rows.filter((row) => row.gradable === false).length >= ATTEMPTS && !rows.some(isGradable);
}

/** Say what is to be done about an eye without a gradable photograph. */
function missingIn(rows: Row[]): string {
  if (rows.some((row) => row.questions)) return RETAKE;
  return isSpent(rows) ? SPENT : (rows.at(-1)?.result ?? ABSENT);
}

/**
 * Join the photographs of a patient by the worst of them: the patient is referred for any, also for a poor one. Without
 * a gradable photograph of both eyes nothing rules out disease, and after the second poor one of an eye it is referred.
 */
export function join(model: Model, point: string, eyes: Record<Eye, Row[]>): Row {
  const sides: Eye[] = ["left", "right"];
  const seen = sides.flatMap((eye) => eyes[eye]).filter((row) => row.questions);
  const missing = sides.filter((eye) => !eyes[eye].some(isGradable));
  const answers: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions) {
    const each = seen.map((row) => row.questions?.[question]?.probability ?? 0);
    const worst = call(model, point, question, Math.max(0, ...each));
    answers[question] = worst.disease || !missing.length ? worst : UNDECIDED;
  }
  const told = [...missing].sort((one, other) => Number(!eyes[one].length) - Number(!eyes[other].length)); // absent eyes last
  const reasons = told.map((eye) => `${eye} eye: ${missingIn(eyes[eye])}`);
  const result = summarise(model, answers);
  if (result === AGAIN) return { result: sides.some((eye) => isSpent(eyes[eye])) ? UNGRADABLE : AGAIN, reasons, questions: answers };
  const grades = seen.flatMap((row) => (row.grade === undefined ? [] : [row.grade]));
  const grade = grades.length && grades.length === seen.length ? { grade: consistentGrade(Math.max(...grades), answers) } : {};
  return { result, reasons, questions: answers, ...grade };
}

/** A photograph that was graded, and how to draw the contours of its evidence. */
export interface Graded {
  seen: Seen;
  explain: (() => Promise<string[]>) | null;
}

/** Grade a photograph. Throws PhotoError if it cannot be read. */
export async function look(network: Network, model: Model, point: string, file: Blob): Promise<Graded> {
  const photograph = await openPhotograph(file);
  try {
    const { seen, explain } = await lookAt(network, model, point, photograph);
    if (photograph.note) seen.row.notes = [photograph.note];
    return { seen: { ...seen, fingerprint: photograph.fingerprint }, explain };
  } catch (error) {
    if (!(error instanceof NoRetina)) throw error;
    const row = { result: AGAIN, gradable: false, retina: false, reasons: [OTHER, error.message] };
    const { fingerprint } = photograph;
    return { seen: { ...NOTHING, row, fingerprint, picture: await photograph.thumbnail(SHOWN) }, explain: null };
  } finally {
    photograph.close();
  }
}

async function lookAt(network: Network, model: Model, point: string, photograph: Photograph): Promise<Graded> {
  const field = model.field ?? "circle";
  const found = await locate(photograph, model.size, field);
  const large = model.size < SIDE ? await locate(photograph, SIDE, field) : found;
  const geometry = geometryOf(photograph, found);
  const crop = cropped(found, model.size);
  const [judged, { visible, field: seen }] =
    model.size >= SMALLEST ? [crop, geometry] : [cropped(large, SIDE), geometryOf(photograph, large)];
  const quality = judge(measure(judged, visible, seen), model.quality);
  const shown = cropped(large, SHOWN);
  const encoded = encode(shown, SHOWN, QUALITY); // by the browser, while the network runs
  const nothing = { ...NOTHING, row: graded(quality), geometry, crop: judged };
  if (!quality.retina) return { seen: { ...nothing, picture: await encoded }, explain: null };
  const inColours = coloured(crop, found.crop?.colours ?? "natural", model);
  const looked = await network.look(inColours);
  const row = { ...graded(quality), ...answer(model, point, looked, quality) };
  const equalized = model.colours === "equalized" ? inColours : equalize(crop, insideCircle(model.size));
  const disc = quality.gradable && geometry.field === "circle" ? discOf(equalized) : null;
  const answered = { ...nothing, row, disc, picture: await encoded, input: inColours };
  const grid = model.evidence;
  const contoursOf = worstCalled(model, row.questions);
  if (row.result === AGAIN || !grid) return { seen: answered, explain: null };
  if (!contoursOf) return { seen: { ...answered, contours: [] }, explain: null }; // below every threshold
  const explain = async () => {
    const { evidence } = await network.look(inColours, true);
    return evidence ? drawContours(evidence[grid.questions.indexOf(contoursOf)], inColours, grid) : [];
  };
  return { seen: { ...answered, contoursOf }, explain };
}

/** Convert a crop to the colours of the model. Throws PhotoError if natural ones were equalised when it was made. */
function coloured(crop: Picture, made: Colours, model: Model): Picture {
  if (made === model.colours) return crop;
  if (made === "equalized") throw new PhotoError(problem("equalised"));
  return equalize(crop, insideCircle(model.size));
}

function graded(quality: Quality): Row {
  return { result: AGAIN, gradable: quality.gradable, retina: quality.retina, reasons: quality.reasons, quality: quality.score };
}

/** Turn the network's output into the answers of a row: a poor photograph may tell disease, and nothing else. */
function answer(model: Model, point: string, { probabilities }: Looked, { gradable, reasons }: Quality): Row {
  const answers: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions) {
    const { temperature, shift } = model.decision[question];
    const own = diseaseProbability(probabilities, model.task, question);
    answers[question] = call(model, point, question, calibrate(own, temperature, shift));
  }
  if (!gradable) {
    const questions = onlyDisease(answers);
    const result = summarise(model, questions);
    return result === AGAIN ? { result, reasons } : { result, reasons, questions };
  }
  const row: Row = { result: summarise(model, answers), reasons, questions: answers };
  if (model.decision.grade) {
    row.expected_grade = round(expectedGrade(probabilities), 2);
    row.grade = consistentGrade(predictGrade(probabilities, model.decision.grade.cuts), answers);
  }
  return row;
}
