/** Why a file or the program cannot be used: as a key with values, so that the history says it in the language of the day. */

import type { Words } from "./words/en";

type Problems = Words["problems"];
type Key = keyof Problems;
type Values<K extends Key> = Problems[K] extends (...given: infer G) => string ? G : [];

declare const coded: unique symbol;
/** JSON of a key of words.problems and its values; `sayProblem` in words.ts says it. */
export type Problem = string & { [coded]: true };

export function problem<K extends Key>(key: K, ...values: Values<K>): Problem {
  return JSON.stringify([key, ...values]) as Problem;
}

/** Read a problem; null for a sentence, as earlier versions kept it, and for what is not in words.problems. */
export function readProblem(told: string): [key: string, ...values: (string | number)[]] | null {
  return told.startsWith('["') ? JSON.parse(told) : null;
}

/** The program cannot be used. */
export class ProgramError extends Error {
  constructor(told: Problem) {
    super(told);
  }
}
