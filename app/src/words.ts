/** What a nurse is told: plain words for results, reasons, grades and operating points. */

import type { Question } from "./probabilities";
import { AGAIN, BALANCED, type Eye, UNREAD } from "./screener";

export type Tone = "refer" | "mild" | "clear" | "again";

export const EYES: Record<Eye, string> = { right: "Right eye", left: "Left eye" };
export const QUESTIONS: Record<Question, string> = { any: "Any retinopathy", referable: "Referable retinopathy" };
export const SYNTHETIC_MODEL = "Trained on synthetic photographs: its answers say nothing about patients.";
export const NOT_A_DEVICE =
  "EyeNet is not a medical device: research software. A person who is trained for it decides about patients.";

interface Said {
  tone: Tone;
  title: string;
  text: string;
}

const LOOK = "A specialist should look at the photographs.";
const NO_ALL_CLEAR = "This is no all-clear: the program can miss disease, and looks for nothing else.";
const RESULTS: Record<string, Said> = {
  "referable DR": { tone: "refer", title: "Signs of referable retinopathy", text: LOOK },
  DR: { tone: "refer", title: "Signs of retinopathy", text: LOOK },
  "DR, not referable": { tone: "mild", title: "Signs of retinopathy, below the referral level", text: NO_ALL_CLEAR },
  "no DR": { tone: "clear", title: "No signs of retinopathy found", text: NO_ALL_CLEAR },
  "not referable": { tone: "clear", title: "No signs of referable retinopathy found", text: NO_ALL_CLEAR },
  [AGAIN]: { tone: "again", title: "Photograph again", text: "" },
  [UNREAD]: { tone: "again", title: "This file cannot be used", text: "" },
};

export function sayResult(result: string): Said {
  return RESULTS[result] ?? { tone: "again", title: result, text: "" };
}

const REASONS: Record<string, string> = {
  "too dark": "Too dark. More flash, or wait until the pupil is wider.",
  overexposed: "Too bright. Less flash.",
  "under- or overexposed": "Too dark or too bright. Change the flash.",
  "uneven light": "Uneven light. Centre the pupil and mind the distance.",
  "retina cut off": "Part of the retina is cut off. Keep the whole round field in the frame.",
  "low contrast": "Low contrast. Clean the lens and let the patient blink.",
  "out of focus": "Out of focus. Focus on the vessels.",
  "not a fundus photograph": "No retina is to be seen. Is it the right photograph?",
};

/** Say reasons as `Row` has them; what has no words of its own is said as it is. */
export function sayReasons(reasons: string[]): string[] {
  const told = reasons.filter((reason) => !reason.startsWith("no retina found")); // the reason before it says so
  return told.map((reason) => REASONS[reason] ?? reason.charAt(0).toUpperCase() + reason.slice(1));
}

export function sayPoint(point: string): string {
  if (point === BALANCED) return "Balanced (the network's own)";
  const [kind, level] = point.split("_");
  const percent = Math.round(Number(level) * 100);
  return kind === "sensitivity" ? `Finds ${percent} % of disease` : `Clears ${percent} % of healthy eyes`;
}

function percent(probability: number): string {
  if (probability > 0 && probability < 0.01) return "under 1\u00a0%";
  if (probability < 1 && probability > 0.99) return "over 99\u00a0%";
  return `${Math.round(probability * 100)}\u00a0%`;
}

/** Say a probability and its limit, with decimals where whole numbers do not tell them apart. */
export function percents(probability: number, limit: number): [string, string] {
  const whole: [string, string] = [percent(probability), percent(limit)];
  if (whole[0] !== whole[1] || probability === limit) return whole;
  const say = (value: number, decimals: number) => `${(100 * value).toFixed(decimals)}\u00a0%`;
  const decimals = [1, 2].find((count) => say(probability, count) !== say(limit, count)) ?? 3;
  return [say(probability, decimals), say(limit, decimals)];
}

const WHEN = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

export function sayWhen(when: number): string {
  return WHEN.format(when);
}

/** Find by its name which eye a file shows: 10_left.jpeg, "Smith OD.jpg"; null if it does not say. */
export function eyeOf(name: string): Eye | null {
  const parts = name.replace(/\.[^.]*$/, "").toLowerCase().split(/[^a-z]+/);
  const [left, right] = [["left", "os", "l"], ["right", "od", "r"]].map((of) => parts.some((part) => of.includes(part)));
  return left === right ? null : left ? "left" : "right";
}
