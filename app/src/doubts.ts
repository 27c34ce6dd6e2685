/** What speaks against one patient's two eyes: the same file twice, the other eye in a name, names of two patients. */

import { canonical, readFileName } from "./names";
import type { Eye } from "./screener";
import type { Visit } from "./store";

export interface Doubt {
  text: string;
  certain: boolean; // it cannot be right: there is nothing to ask
}

/** A chosen file; `fingerprint` is equal for files with the same bytes, and empty for a file that could not be read. */
interface Chosen {
  name: string;
  fingerprint?: string;
}

/** List what is doubtful about the photographs of a patient. */
export function doubtsOf({ right, left }: Partial<Record<Eye, Chosen>>): Doubt[] {
  if (right && left && right.fingerprint && right.fingerprint === left.fingerprint) {
    const text = "The same photograph was chosen for both eyes. Choose another one for the eye that it does not show.";
    return [{ text, certain: true }];
  }
  const doubts: Doubt[] = [];
  for (const [eye, chosen] of [["right", right], ["left", left]] as const) {
    const named = chosen && readFileName(chosen.name).eye;
    if (named && named !== eye) {
      doubts.push({ text: `${chosen.name} was chosen as the ${eye} eye, but its name says ${named} eye.`, certain: false });
    }
  }
  const [one, other] = [right, left].map((chosen) => (chosen ? readFileName(chosen.name).patient : null));
  if (one && other && canonical(one) !== canonical(other)) {
    doubts.push({ text: `The names of the files tell two patients: ${one} and ${other}.`, certain: false });
  }
  return doubts;
}

/** List the doubts that the user has not answered; until then the patient has no result. */
export function openDoubts({ eyes, confirmed = [] }: Visit): Doubt[] {
  return doubtsOf(eyes).filter(({ text }) => !confirmed.includes(text));
}

/** Make a fingerprint of a file: two 32-bit FNV-1a hashes of its bytes, and their number. */
export function fingerprintOf(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x01000193);
    b = Math.imul(b ^ bytes[i], 0x5bd1e995);
  }
  return [bytes.length, a >>> 0, b >>> 0].join("-");
}
