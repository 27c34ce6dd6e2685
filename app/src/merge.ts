/** Join imported visits to those of the device: nothing is lost, and nothing is kept twice. */

import { SIDES } from "./answers";
import { fingerprintOfText } from "./fingerprint";
import type { Visit } from "./store";

interface Merged {
  changes: Visit[]; // to store: new visits, and those that gain photographs
  added: number;
  extended: number;
  known: number; // left as they are
}

/** Name each photograph of a visit. */
const photographsOf = ({ eyes }: Visit): string[] => SIDES.flatMap((eye) => eyes[eye].map(({ name, fingerprint }) => `${eye} ${fingerprint || name}`)).sort();

const isPart = (few: string[], many: string[]): boolean => few.every((one) => many.includes(one));

/**
 * Find what to store of imported visits.
 *
 * Of two versions of a visit the one with all photographs of both stays, with the name and the birth date of this device,
 * which may have been corrected, where they are not empty. If each has one that the other lacks, as when the
 * patient was continued on two devices, the imported one becomes a visit of its own.
 */
export function merge(stored: Visit[], imported: Visit[], now: number): Merged {
  const known = new Map(stored.map((visit) => [visit.id, visit]));
  const merged: Merged = { changes: [], added: 0, extended: 0, known: 0 };
  for (const visit of imported) {
    const mine = known.get(visit.id);
    const [theirs, ours] = [photographsOf(visit), mine ? photographsOf(mine) : []];
    const id = mine && !isPart(ours, theirs) ? `${visit.id.slice(0, 32)}-${fingerprintOfText(theirs.join("\n"))}` : visit.id;
    if (mine && (isPart(theirs, ours) || (id !== visit.id && known.has(id)))) merged.known++;
    else {
      const same = mine && id === visit.id ? mine : null;
      merged[same ? "extended" : "added"]++;
      const own = same && { label: same.label.trim() ? same.label : visit.label, born: same.born || visit.born };
      merged.changes.push({ ...visit, ...own, id, imported: now });
    }
  }
  return merged;
}
