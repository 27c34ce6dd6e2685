/** The words for the user: results, reasons, grades and operating points. */

import type { Measured, Model } from "./network";
import type { Question } from "./probabilities";
import { AGAIN, BALANCED, type Eye, UNREAD } from "./screener";

export type Tone = "refer" | "mild" | "clear" | "again" | "none";

export const EYES: Record<Eye, string> = { right: "Right eye", left: "Left eye" };
export const QUESTIONS: Record<Question, string> = { any: "Any retinopathy", referable: "Referable retinopathy" };
export const SYNTHETIC_MODEL = "Trained on synthetic photographs: its answers say nothing about patients.";
export const NOT_A_DEVICE =
  "EyeNet is not a medical device. It is research software: a trained person decides about every patient.";

interface Said {
  tone: Tone;
  title: string;
  text: string;
}

const LOOK = "A specialist should look at the photographs.";
export const NOT_COVERED =
  "It looks for diabetic retinopathy only: macular oedema, which clinics usually count as referable too, is not covered, nor is any other disease of the eye.";
export const REFER_AND_RETAKE = "The photograph is poor, but shows signs of disease. Refer, and take it again if possible.";
const NO_ALL_CLEAR = `This is not an all-clear: EyeNet can miss disease. ${NOT_COVERED}`;
const RESULTS: Record<string, Said> = {
  "referable DR": { tone: "refer", title: "Signs of referable retinopathy", text: LOOK },
  DR: { tone: "refer", title: "Signs of retinopathy", text: LOOK },
  "DR, not referable": { tone: "mild", title: "Signs of retinopathy, below the referral level", text: NO_ALL_CLEAR },
  "no DR": { tone: "clear", title: "No signs of retinopathy found", text: NO_ALL_CLEAR },
  "not referable": { tone: "clear", title: "No signs of referable retinopathy found", text: NO_ALL_CLEAR },
  [AGAIN]: { tone: "again", title: "Photograph again", text: "" },
  [UNREAD]: { tone: "again", title: "This file cannot be used", text: "" },
};

/** Say a result in words. A network of drawings gives a demonstration, and never a sign that all is well. */
export function sayResult(result: string, synthetic: boolean): Said {
  const said = RESULTS[result] ?? { tone: "again", title: result, text: "" };
  if (!synthetic || said.tone === "again") return said;
  return { tone: said.tone === "clear" ? "none" : said.tone, title: `Demonstration: ${said.title}`, text: SYNTHETIC_MODEL };
}

const REASONS: Record<string, string> = {
  "too dark": "Too dark. Increase the flash, or wait until the pupil is wider.",
  overexposed: "Too bright. Reduce the flash.",
  "under- or overexposed": "Too dark or too bright. Adjust the flash.",
  "detail lost": "Fine detail is lost. Use the camera's own file, which is compressed less, and check the flash.",
  "retina cut off": "Part of the retina is cut off. Keep the whole round field in the frame.",
  "low contrast": "Low contrast. Clean the lens and ask the patient to blink.",
  "out of focus": "Out of focus. Focus on the vessels.",
  "not a colour photograph": "Not a colour photograph: EyeNet grades colour photographs only.",
  "not a fundus photograph": "No retina is visible. Is this the right photograph?",
};

/** Explain the reasons of a `Row`; a reason without an explanation is shown as it is. */
export function sayReasons(reasons: string[]): string[] {
  const told = reasons.filter((reason) => !reason.startsWith("no retina found")); // the reason before it already says this
  return told.map((reason) => REASONS[reason] ?? reason.charAt(0).toUpperCase() + reason.slice(1));
}

/** Name an operating point after its aim, which is not what it reaches on other patients. */
export function sayPoint(point: string, own = false): string {
  const [kind, level] = point.split("_");
  const percent = Math.round(Number(level) * 100);
  const balanced = point === BALANCED;
  const meant = balanced ? "sensitivity and specificity" : kind === "sensitivity" ? `to find ${percent} % of disease` : `to refer ${100 - percent} % of healthy eyes`;
  return `${balanced ? "Balanced" : `Aim: ${kind} ${percent} %`} (${own ? "the network's own" : meant})`;
}

/** Say what a network has seen; exports of earlier versions tell only whether it was real. */
export function trainedOn({ trained_on, synthetic }: Model): string {
  return trained_on ?? (synthetic ? "synthetic photographs" : "photographs of patients");
}

/** Name a network, and say what it has seen. */
export const sayNetwork = (model: Model): string => `${model.name}, trained on ${trainedOn(model)}`;

/** Say what an operating point reached on test patients, a line for each question. */
export function sayMeasured(point: string, questions: Question[], measured?: Measured | null): string[] {
  return questions.map((question) => {
    const found = measured?.questions[question]?.[point];
    const figures = (["sensitivity", "specificity"] as const).flatMap((name) => {
      const figure = found?.[name];
      if (!figure) return [];
      const [value, low, high] = [figure.value, figure.low, figure.high].map((share) => Math.round(100 * share));
      return [`${name} ${value}\u00a0% (${low}\u2060–\u2060${high}\u00a0%)`];
    });
    return `${QUESTIONS[question]}: ${figures.join(", ") || "not measured"}`;
  });
}

function percent(probability: number): string {
  if (probability > 0 && probability < 0.01) return "under 1\u00a0%";
  if (probability < 1 && probability > 0.99) return "over 99\u00a0%";
  return `${Math.round(probability * 100)}\u00a0%`;
}

/** Format a probability and its threshold, with decimals where whole numbers would be equal. */
export function percents(probability: number, threshold: number): [string, string] {
  const whole: [string, string] = [percent(probability), percent(threshold)];
  if (whole[0] !== whole[1] || probability === threshold) return whole;
  const say = (value: number, decimals: number) => `${(100 * value).toFixed(decimals)}\u00a0%`;
  const decimals = [1, 2].find((count) => say(probability, count) !== say(threshold, count)) ?? 3;
  return [say(probability, decimals), say(threshold, decimals)];
}

const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export function sayWhen(when: number): string {
  return WHEN.format(when);
}
