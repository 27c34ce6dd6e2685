/** Probabilities and decisions: a port of eyenet/model/probabilities.py and decision.py and of eyenet/data/tasks.py. */

import { clip } from "./stats";

const LEAST = 2 ** -25;

export type Question = "any" | "referable";
export type Task = "any" | "referable" | "grade";

/** By task: the lowest grade of each class of the network, and the questions that the classes answer. */
export const TASKS: Record<Task, { starts: number[]; questions: Question[] }> = {
  any: { starts: [0, 1], questions: ["any"] },
  referable: { starts: [0, 2], questions: ["referable"] },
  grade: { starts: [0, 1, 2, 3, 4], questions: ["any", "referable"] },
};
const LEAST_GRADE: Record<Question, number> = { any: 1, referable: 2 };

function logOdds(probability: number): number {
  const certain = clip(probability, LEAST, 1 - LEAST);
  return Math.log(certain) - Math.log1p(-certain);
}

function expit(odds: number): number {
  return 1 / (1 + Math.exp(-odds));
}

export function calibrate(probability: number, temperature: number, shift: number): number {
  return expit(logOdds(probability) / temperature + shift);
}

/** Sum the probabilities of the classes that count as disease. */
export function diseaseProbability(probabilities: ArrayLike<number>, task: Task, question: Question): number {
  const first = TASKS[task].starts.indexOf(LEAST_GRADE[question]);
  let healthy = 0;
  for (let i = 0; i < first; i++) healthy += probabilities[i];
  return 1 - healthy;
}

/** Average the grades 0-4 by their probabilities. */
export function expectedGrade(probabilities: ArrayLike<number>): number {
  return Array.from(probabilities).reduce((total, value, grade) => total + value * grade, 0);
}

export function predictGrade(probabilities: ArrayLike<number>, cuts: number[]): number {
  const expected = expectedGrade(probabilities);
  return cuts.filter((cut) => cut <= expected).length;
}
