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
export const UNSURE = "unsure: a grader must look"; // only where it is asked for
const RETAKE = "photograph again if possible"; // a poor photograph that refers
export const UNGRADABLE = "refer: not gradable"; // a patient with an eye of ATTEMPTS poor photographs and no gradable one
export const ATTEMPTS = 2; // poor photographs of an eye, after which it is not photographed again but referred
const [SPENT, ABSENT] = ["second poor photograph", "no photograph"];
export const UNREAD = "not read";
export const BALANCED = "balanced";
const SHOWN = 512; // pixels of a crop on the page
const QUALITY = 0.92; // of its JPEG
const CALLED: Record<Question, string> = { any: "DR", referable: "referable DR" };

export type Eye = "right" | "left";

/** How to answer: at an operating point and, where "unsure" is asked for, with an error rate. */
export interface Rule {
  point: string;
  unsure: string; // such as "0.05"; empty where it is not asked for
}

export interface Answer {
  probability: number | null;
  threshold: number | null;
  disease: boolean | null; // null: undecided, or unsure
  unsure?: boolean; // this and the next only where "unsure" was asked for
  low?: number; // from which probability on it is unsure
  high?: number; // below which it is
}

export interface Row {
  result: string;
  gradable?: boolean; // not in the history of older versions, which answered for gradable photographs only
  retina?: boolean; // a colour photograph of a retina; not in the history of older versions
  reasons: string[]; // of a file that could not be read: a Problem
  quality?: number;
  field?: "circle" | "frame"; // what the crop shows; not in the history of older versions
  questions?: Partial<Record<Question, Answer>>;
  by_threshold?: string; // the result without "unsure", where that was asked for
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

/** List the error rates for which the model has limits for every question, the lowest first. */
export function ratesOf({ task, unsure }: Model): string[] {
  const each = TASKS[task].questions.map((question) => unsure?.[question]?.limits ?? {});
  return Object.keys(each[0]).filter((rate) => each.every((limits) => rate in limits));
}

/**
 * Answer a question of an eye, or of a patient with the probability of the worst eye. Where "unsure" is asked for, an answer
 * is sure if the limits and the threshold agree about it.
 */
export function call(model: Model, { point, unsure }: Rule, question: Question, probability: number): Answer {
  const threshold = model.decision[question].eye.operating_points[point];
  const answer = { probability: round(probability, 6), threshold: round(threshold, 6), disease: probability >= threshold };
  const limits = unsure ? model.unsure?.[question].limits[unsure] : undefined;
  if (!limits) return answer;
  const [low, high] = [Math.min(...limits, threshold), Math.max(...limits, threshold)];
  const within = low <= probability && probability < high;
  return { ...answer, disease: within ? null : answer.disease, unsure: within, low: round(low, 6), high: round(high, 6) };
}

/** Tell whether an answer is disease by its threshold alone, whether or not it is sure. */
export const isAbove = ({ probability, threshold, disease, unsure }: Answer): boolean => disease === true || (unsure === true && (probability ?? 0) >= (threshold ?? 1));

/** Answer again by the thresholds alone. */
const withoutLimits = (answers: NonNullable<Row["questions"]>): NonNullable<Row["questions"]> =>
  Object.fromEntries(Object.entries(answers).map(([question, one]) => [question, one.unsure ? { ...one, disease: isAbove(one), unsure: false } : one]));

/** Find the most severe question that is answered with disease; with `test`, that it holds for. */
function worstCalled(model: Model, answers: Row["questions"] = {}, test = ({ disease }: Answer) => disease === true): Question | null {
  return [...TASKS[model.task].questions].reverse().find((question) => answers[question] && test(answers[question])) ?? null;
}

/** Summarise the answers to all questions in a few words. Unless the most severe question is sure, a patient is unsure if any is. */
export function summarise(model: Model, answers: NonNullable<Row["questions"]>): string {
  const worst = worstCalled(model, answers);
  if (worst !== TASKS[model.task].questions.at(-1) && Object.values(answers).some(({ unsure }) => unsure)) return UNSURE;
  if (worst === "any" && answers.referable?.disease === false) return "DR, not referable";
  if (worst) return CALLED[worst];
  if (Object.values(answers).some((answer) => answer.disease === null)) return AGAIN;
  return model.task === "referable" ? "not referable" : "no DR";
}

/**
 * Show the network's own grade if the answers allow it, otherwise none: no DR allows 0, DR that is not referable 1, and
 * referable DR 2 to 4. Answers that are undecided or unsure allow none, unless referable DR is sure.
 */
export function showGrade(grade: number, answers: NonNullable<Row["questions"]>): { grade?: number } {
  if (answers.referable?.disease) return grade >= 2 ? { grade } : {};
  if (Object.values(answers).some((answer) => answer.disease === null)) return {};
  return grade === (answers.any?.disease ? 1 : 0) ? { grade } : {};
}

/** Say what the result is without "unsure", where that was asked for. */
export const byThreshold = (model: Model, { unsure }: Rule, answers: NonNullable<Row["questions"]>): { by_threshold?: string } =>
  unsure ? { by_threshold: summarise(model, withoutLimits(answers)) } : {};

/** Keep the answers at or above the threshold, and leave the others undecided: what a poor photograph may say. */
export function onlyDisease(answers: NonNullable<Row["questions"]>): NonNullable<Row["questions"]> {
  return Object.fromEntries(Object.entries(answers).map(([question, one]) => [question, isAbove(one) ? one : UNDECIDED]));
}

/** Tell whether a photograph was graded and may count as negative. */
export function isGradable(row: Row): boolean {
  return row.questions !== undefined && row.gradable !== false;
}

/** Count the poor photographs of an eye; unread files are no attempts. */
export const countPoor = (rows: Row[]): number => rows.filter((row) => row.gradable === false).length;

/** Tell whether an eye has no gradable photograph after the last attempt. */
export function isSpent(rows: Row[]): boolean {
  return countPoor(rows) >= ATTEMPTS && !rows.some(isGradable);
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
export function join(model: Model, rule: Rule, eyes: Record<Eye, Row[]>): Row {
  const joined = joinBy(model, rule, eyes);
  return rule.unsure ? { ...joined, by_threshold: joinBy(model, { ...rule, unsure: "" }, eyes).result } : joined;
}

function joinBy(model: Model, rule: Rule, eyes: Record<Eye, Row[]>): Row {
  const sides: Eye[] = ["left", "right"];
  const seen = sides.flatMap((eye) => eyes[eye]).filter((row) => row.questions);
  const missing = sides.filter((eye) => !eyes[eye].some(isGradable));
  const answers: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions) {
    const each = seen.map((row) => row.questions?.[question]?.probability ?? 0);
    const worst = call(model, rule, question, Math.max(0, ...each));
    answers[question] = worst.disease || worst.unsure || !missing.length ? worst : UNDECIDED;
  }
  const told = [...missing].sort((one, other) => Number(!eyes[one].length) - Number(!eyes[other].length)); // absent eyes last
  const reasons = told.map((eye) => `${eye} eye: ${missingIn(eyes[eye])}`);
  const result = summarise(model, answers);
  const nothing = result === AGAIN || result === UNSURE;
  if (nothing && sides.some((eye) => isSpent(eyes[eye]))) return { result: UNGRADABLE, reasons, questions: answers };
  const grade = largestGrade(seen);
  return { result, reasons, questions: answers, ...(grade === null ? {} : showGrade(grade, answers)) };
}

/** Find the largest grade of answered photographs; null unless all have one. */
function largestGrade(rows: Row[]): number | null {
  const grades = rows.flatMap(({ grade }) => grade ?? []);
  return rows.length && grades.length === rows.length ? Math.max(...grades) : null;
}

/** A photograph that was graded, and how to draw the contours of its evidence. */
export interface Graded {
  seen: Seen;
  explain: (() => Promise<string[]>) | null;
}

/** Grade a photograph. Throws PhotoError if it cannot be read. */
export async function look(network: Network, model: Model, rule: Rule, file: Blob): Promise<Graded> {
  const photograph = await openPhotograph(file);
  try {
    const { seen, explain } = await lookAt(network, model, rule, photograph);
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

async function lookAt(network: Network, model: Model, rule: Rule, photograph: Photograph): Promise<Graded> {
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
  const nothing = { ...NOTHING, row: graded(quality, geometry), geometry, crop: judged };
  if (!quality.retina) return { seen: { ...nothing, picture: await encoded }, explain: null };
  const inColours = coloured(crop, found.crop?.colours ?? "natural", model);
  const looked = await network.look(inColours);
  const row = { ...graded(quality, geometry), ...answer(model, rule, looked, quality) };
  const equalized = model.colours === "equalized" ? inColours : equalize(crop, insideCircle(model.size));
  const disc = quality.gradable && geometry.field === "circle" ? discOf(equalized) : null;
  const answered = { ...nothing, row, disc, picture: await encoded, input: inColours };
  const grid = model.evidence;
  const contoursOf = worstCalled(model, row.questions, isAbove);
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

function graded(quality: Quality, { field }: Geometry): Row {
  return { result: AGAIN, gradable: quality.gradable, retina: quality.retina, reasons: quality.reasons, quality: quality.score, field };
}

/** Turn the network's output into the answers of a row: a poor photograph may tell disease, and nothing else. */
function answer(model: Model, rule: Rule, { probabilities }: Looked, { gradable, reasons }: Quality): Row {
  const answers: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions) {
    const { temperature, shift } = model.decision[question];
    const own = diseaseProbability(probabilities, model.task, question);
    answers[question] = call(model, rule, question, calibrate(own, temperature, shift));
  }
  if (!gradable) {
    const questions = onlyDisease(answers);
    const result = summarise(model, questions);
    return result === AGAIN ? { result, reasons } : { result, reasons, questions, ...byThreshold(model, rule, questions) };
  }
  const row: Row = { result: summarise(model, answers), reasons, questions: answers, ...byThreshold(model, rule, answers) };
  const cuts = model.decision.grade?.cuts;
  return cuts ? { ...row, expected_grade: round(expectedGrade(probabilities), 2), ...showGrade(predictGrade(probabilities, cuts), answers) } : row;
}
