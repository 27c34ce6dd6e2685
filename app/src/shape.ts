/** Check that a visit from a file is one that the page can show and join. */

import { isResult } from "./answers";
import { LEVELS } from "./evidence";
import type { Row } from "./screener";
import type { Shot, Visit } from "./store";

const LATEST = 8.64e15; // milliseconds, the last time that a Date can hold
type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isFlag = (value: unknown): boolean => typeof value === "boolean";
const isTime = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= LATEST;
const isShare = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 1;
const isDay = (value: unknown): boolean => value === "" || (isText(value) && /^\d{4}-\d\d-\d\d$/.test(value) && Number.isFinite(Date.parse(value)));
const arePaths = (value: unknown): boolean => isTexts(value) && (value as string[]).every((path) => /^[\w\s.,-]*$/.test(path));
const areContours = (value: unknown): boolean => arePaths(value) && [0, LEVELS.length].includes((value as string[]).length); // none without evidence
const isQuestion = (value: unknown): boolean => value === "any" || value === "referable";
const isField = (value: unknown): boolean => value === "circle" || value === "frame";
const isPicture = (value: unknown): boolean => value === null || (value instanceof Blob && value.type.startsWith("image/"));
const may = (check: (value: unknown) => boolean, value: unknown): boolean => value === undefined || check(value);
const orNull = (check: (value: unknown) => boolean, value: unknown): boolean => value === null || check(value);

function isAnswer(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { probability, threshold, disease, unsure, low, high } = value;
  return [probability, threshold].every((one) => orNull(isShare, one)) && orNull(isFlag, disease) && may(isFlag, unsure) && [low, high].every((one) => may(isShare, one));
}

function isRow(value: unknown): value is Row {
  if (!isObject(value) || !isResult(value.result) || !isTexts(value.reasons)) return false;
  const { questions, grade, gradable, retina, notes, field, by_threshold: alone } = value;
  const isGrade = may((one) => Number.isInteger(one) && Number(one) >= 0 && Number(one) <= 4, grade);
  const isAnswered = may((one) => isObject(one) && Object.entries(one).every(([name, answer]) => isQuestion(name) && isAnswer(answer)), questions);
  return isGrade && isAnswered && may(isFlag, gradable) && may(isFlag, retina) && may(isTexts, notes) && may(isField, field) && may(isResult, alone);
}

function isShot(value: unknown): value is Shot {
  if (!isObject(value) || !isText(value.name) || !isRow(value.row)) return false;
  const { fingerprint, when, picture, contours, contoursOf, disc } = value;
  const isDrawn = may((one) => orNull(areContours, one), contours) && may((one) => orNull(isQuestion, one), contoursOf) && may((one) => orNull(isText, one), disc);
  return may(isText, fingerprint) && may(isTime, when) && isPicture(picture) && isDrawn;
}

/** Tell whether a value is a visit; fields that this version does not know are kept. */
export function isVisit(value: unknown): value is Visit {
  if (!isObject(value) || !isText(value.id) || !/^[\w-]{1,64}$/.test(value.id) || value.sample) return false;
  const { when, label, born, point, unsure, model, seen, network, synthetic, eyes, joined, confirmed } = value;
  const isFramed = isTime(when) && [label, point, model].every(isText) && [seen, network, unsure].every((one) => may(isText, one)) && may(isDay, born) && may(isFlag, synthetic) && may(isTexts, confirmed);
  if (!isFramed || !isObject(eyes) || !orNull(isRow, joined)) return false;
  return [eyes.right, eyes.left].every((shots) => Array.isArray(shots) && shots.every(isShot));
}
