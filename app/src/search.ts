/** Find visits in the history: by name or number, day and answer. */

import { type Tone, kindOf, nextStep, sayPatient } from "./answers";
import { daysOf } from "./days";
import { openDoubts } from "./doubts";
import { canonical } from "./names";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

/** What a visit is listed under: its answer, or why there is none. */
export type Listed = ReturnType<typeof kindOf> | "doubtful";
/** An answer, visits with an eye that must be photographed, or all. */
export type Answered = Listed | "open" | "";

export interface Wanted {
  text: string; // of name or number; each word must occur
  day: string; // as 2026-11-28; empty for all
  answer: Answered;
}

export const EVERYTHING: Wanted = { text: "", day: "", answer: "" };

/** Find what a visit is listed under. */
export const listedAs = (visit: Visit): Listed => (openDoubts(visit).length ? "doubtful" : kindOf(visit));

/** Say under which answer a visit is listed. */
export const sayListed = (visit: Visit): { tone: Tone; title: Text } =>
  openDoubts(visit).length ? { tone: "again", title: words.doubts.history } : sayPatient(visit);

/** Tell whether an eye must still be photographed, or photographed again. */
export const isUnfinished = (visit: Visit): boolean => !openDoubts(visit).length && nextStep(visit) !== null;

/** Ignore case and accents. */
const fold = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Tell whether a visit is among those that are searched for. */
export function isWanted(visit: Visit, { text, day, answer }: Wanted): boolean {
  const name = fold(visit.label);
  const isNamed = fold(text).split(/\s+/).every((word) => name.includes(word)) || canonical(fold(text)) === canonical(name);
  if (!isNamed) return false;
  if (day && !daysOf(visit).includes(day)) return false;
  return answer === "" || (answer === "open" ? isUnfinished(visit) : listedAs(visit) === answer);
}
