/** Reasons to doubt that the files show both eyes of one patient: the same file or eye twice, the other eye in a name, names of two patients. */

import type { Side } from "./disc";
import { canonical, readFileName } from "./names";
import type { Eye } from "./screener";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

export interface Doubt {
  key: string; // what it says, in no language
  text: Text;
  certain: boolean; // it cannot be right: there is nothing to ask
}

/** A chosen file; `fingerprint` is equal for files with the same bytes, and empty for a file that could not be read. */
interface Chosen {
  name: string;
  fingerprint?: string;
  disc?: Side | null; // half of the picture with the optic disc; null if that is not certain
}

/** List what is doubtful about the photographs of a patient. */
export function doubtsOf({ right, left }: Record<Eye, Chosen[]>): Doubt[] {
  const isTwice = right.some(({ fingerprint }) => fingerprint && left.some((other) => other.fingerprint === fingerprint));
  if (isTwice) return [{ key: "same", text: words.doubts.same, certain: true }];
  const doubts: Doubt[] = [];
  for (const [eye, chosen] of [["right", right], ["left", left]] as const) {
    for (const { name } of chosen) {
      const named = readFileName(name).eye;
      if (named && named !== eye) doubts.push({ key: `${eye} ${name}`, text: words.doubts.otherEye(name, eye), certain: false });
    }
  }
  const named = [...right, ...left].flatMap(({ name }) => readFileName(name).patient ?? []);
  const other = named.find((patient) => canonical(patient) !== canonical(named[0]));
  if (other) doubts.push({ key: `patients ${named[0]} ${other}`, text: words.doubts.patients(named[0], other), certain: false });
  const same = findSameEye(right, left);
  if (same) doubts.push({ key: `same eye ${same.join(" ")}`, text: words.doubts.sameEye(...same), certain: false });
  return doubts;
}

/**
 * Find whether the photographs of both eyes show the optic disc in the same half; their names, or null. In a single
 * photograph its half does not tell the eye: some cameras turn the picture by 180 degrees, but they do so for both eyes.
 */
function findSameEye(right: Chosen[], left: Chosen[]): [string, string] | null {
  const [ours, others] = [right, left].map((chosen) => chosen.filter(({ disc }) => disc));
  const isSame = ours.length > 0 && others.length > 0 && [...ours, ...others].every(({ disc }) => disc === ours[0].disc);
  return isSame ? [ours[0].name, others[0].name] : null;
}

/** List the doubts that the user has not answered; until then the patient has no result. */
export function openDoubts({ eyes, confirmed = [] }: Visit): Doubt[] {
  return doubtsOf(eyes).filter(({ key, text }) => !confirmed.includes(key) && !confirmed.includes(text));
}

/** Answer all doubts; returns the answers, with those that were given before. */
export const answerAll = (visit: Visit): string[] => [...(visit.confirmed ?? []), ...openDoubts(visit).map(({ key }) => key)];

/**
 * Find the answers that stay after the removal of a photograph: those about doubts that are still there and do not name it.
 * A camera may call every file image.jpg, so the next photograph must not inherit an answer.
 */
export function answersWithout({ eyes, confirmed = [] }: Visit, removed: Chosen): string[] {
  const there = doubtsOf(eyes).flatMap(({ key, text }) => [key, text as string]);
  return confirmed.filter((answer) => there.includes(answer) && !answer.includes(removed.name));
}
