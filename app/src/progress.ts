/** The patient in progress, on this device, so that a reload, or a phone that ends the page, does not lose it. */

import { database } from "./database";
import type { Eye } from "./screener";
import type { Visit } from "./store";

/** What the page holds of a patient. */
export interface Progress {
  id: string; // of the visit
  changed: number; // when it was stored
  visit: Visit;
  latest: Eye | null; // the eye that was photographed last
  busy: Eye[]; // eyes whose photographs are being graded
}

const FORGOTTEN = 24 * 3_600_000; // milliseconds: a patient of another day is continued from the history
const PATIENCE = 1_000; // milliseconds until the window that is reloaded has given up its patient
const patients = database("eyenet-progress", "patients"); // a database of its own: an open window of an earlier version would block a change of "eyenet"

let current: string | null = null; // id of the visit
let letGo: (() => void) | null = null;

const lockOf = (id: string): string => `eyenet-patient-${id}`;

/** Tell whether a window has a patient in progress. */
export async function isTaken(id: string): Promise<boolean> {
  const { held = [] } = (await navigator.locks?.query()) ?? {}; // missing when the page is served without https
  return held.some(({ name }) => name === lockOf(id));
}

/** Take a patient for this window; false if another window has. */
async function take(id: string): Promise<boolean> {
  current = id;
  const { locks } = navigator;
  if (!locks) return true;
  return new Promise((resolve) => {
    const hold = () => new Promise<void>((done) => {
      resolve(true);
      if (current === id) letGo = done;
      else done(); // the next patient has started
    });
    locks.request(lockOf(id), { signal: AbortSignal.timeout(PATIENCE) }, hold).catch(() => resolve(false));
  });
}

/** Store what the page holds of the patient. */
export async function keepProgress(progress: Pick<Progress, "visit" | "latest" | "busy">): Promise<void> {
  const { id } = progress.visit;
  const now: Progress = structuredClone({ ...progress, id, changed: Date.now() });
  if (current !== id) void take(id);
  await patients.change((all) => {
    if (current !== id) return; // the next patient has started
    all.put(now);
    all.transaction.commit?.(); // so that it is stored although the page ends now
  });
}

/** Forget the patient in progress. */
export function endProgress(id: string): void {
  if (current === id) {
    letGo?.();
    [current, letGo] = [null, null];
  }
  patients.ask("readwrite", (all) => all.delete(id)).catch(() => undefined); // not stored at all
}

/** Find the patient of a window that was closed or reloaded, the latest first. */
export async function recallProgress(now = Date.now()): Promise<Progress | null> {
  const isOld = ({ changed }: Progress) => Math.abs(now - changed) > FORGOTTEN;
  const all = await patients.ask<Progress[]>("readonly", (each) => each.getAll());
  await forgetProgress(all.filter(isOld).map(({ id }) => id));
  for (const one of all.filter((each) => !isOld(each)).sort((a, b) => b.changed - a.changed)) {
    if (await take(one.id)) return one;
  }
  current = null;
  return null;
}

/** Forget patients whose results were deleted; null for all. */
export async function forgetProgress(ids: string[] | null): Promise<void> {
  await patients.change((all) => (ids ? ids.forEach((id) => all.delete(id)) : void all.clear()));
}
