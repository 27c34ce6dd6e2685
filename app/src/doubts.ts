/** What speaks against one patient's two eyes: the same file twice, the other eye in a name, names of two patients. */

import { canonical, readFileName } from "./names";
import type { Eye } from "./screener";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

export interface Doubt {
  text: Text;
  certain: boolean; // it cannot be right: there is nothing to ask
}

/** A chosen file; `fingerprint` is equal for files with the same bytes, and empty for a file that could not be read. */
interface Chosen {
  name: string;
  fingerprint?: string;
}

/** List what is doubtful about the photographs of a patient. */
export function doubtsOf({ right, left }: Record<Eye, Chosen[]>): Doubt[] {
  const isTwice = right.some(({ fingerprint }) => fingerprint && left.some((other) => other.fingerprint === fingerprint));
  if (isTwice) return [{ text: words.doubts.same, certain: true }];
  const doubts: Doubt[] = [];
  for (const [eye, chosen] of [["right", right], ["left", left]] as const) {
    for (const { name } of chosen) {
      const named = readFileName(name).eye;
      if (named && named !== eye) doubts.push({ text: words.doubts.otherEye(name, eye), certain: false });
    }
  }
  const named = [...right, ...left].flatMap(({ name }) => readFileName(name).patient ?? []);
  const other = named.find((patient) => canonical(patient) !== canonical(named[0]));
  if (other) doubts.push({ text: words.doubts.patients(named[0], other), certain: false });
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
