/** The operating points in words: how cautious the page is, and what each reached on test patients. */

import type { Measured } from "./network";
import type { Question } from "./probabilities";
import { BALANCED } from "./screener";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const { settings: said } = words;

/** Name an operating point after its aim, which is not what it reaches on other patients. */
export function sayPoint(point: string): Text {
  if (point === BALANCED) return said.aims.balanced;
  const [kind, aim] = point.split("_");
  if (kind !== "sensitivity" && kind !== "specificity") return verbatim(point);
  return said.aims[kind](Number(aim));
}

/** Say with which error rate "unsure" was asked for; null where it was not. */
export const sayUnsure = (rate: string | undefined): Text | null => (rate ? said.unsure.rate(Number(rate)) : null);

/** Sort operating points, the most cautious first. */
export function byCaution(points: string[]): string[] {
  const rank = (point: string) => {
    const [kind, aim] = point.split("_");
    return kind === "sensitivity" ? Number(aim) : kind === "specificity" ? -Number(aim) : 0;
  };
  return [...points].sort((one, other) => rank(other) - rank(one));
}

/** Say what an operating point reached on test patients, a line for each question. */
export function sayMeasured(point: string, questions: Question[], measured?: Measured | null): Text[] {
  return questions.map((question) => {
    const { sensitivity, specificity } = measured?.questions[question]?.[point] ?? {};
    const figures: Text[] = [];
    if (sensitivity) figures.push(said.found(sensitivity.value, sensitivity.low, sensitivity.high));
    if (specificity) figures.push(said.alarms(specificity.value, specificity.low, specificity.high));
    return said.measured(question, figures);
  });
}
