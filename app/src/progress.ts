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
const LOCK = "eyenet-patient-"; // prefix of the name of a lock, before the id of the visit
const patients = database("eyenet-progress", "patients"); // a database of its own: an open window of an earlier version would block a change of "eyenet"

let current: string | null = null; // id of the visit
const held = new Map<string, () => void>(); // by id of the visit: lets go of its lock, or of the wait for it

/** List the patients in progress, of this window and of others. */
export async function listTaken(): Promise<string[]> {
  const { held: locks = [] } = (await navigator.locks?.query()) ?? {}; // missing when the page is served without https
  return locks.flatMap(({ name = "" }) => (name.startsWith(LOCK) ? name.slice(LOCK.length) : []));
}

/** Tell whether a window has a patient in progress. */
export const isTaken = async (id: string): Promise<boolean> => (await listTaken()).includes(id);

/** Take a patient for this window, until `release`; false if another window has. */
async function take(id: string): Promise<boolean> {
  const { locks } = navigator;
  if (!locks) return true;
  let isOver = false;
  held.set(id, () => void (isOver = true));
  return new Promise((resolve) => {
    const hold = () => new Promise<void>((done) => {
      resolve(true);
      if (isOver) done(); // the next patient has started
      else held.set(id, done);
    });
    locks.request(LOCK + id, { signal: AbortSignal.timeout(PATIENCE) }, hold).catch(() => {
      if (!isOver) held.delete(id);
      resolve(false);
    });
  });
}

/** Leave a patient to other windows. */
export function release(id: string): void {
  held.get(id)?.();
  held.delete(id);
}

/** Store what the page holds of the patient. */
export async function keepProgress(progress: Pick<Progress, "visit" | "latest" | "busy">): Promise<void> {
  const { id } = progress.visit;
  const now: Progress = structuredClone({ ...progress, id, changed: Date.now() });
  current = id;
  if (!held.has(id)) void take(id);
  await patients.change((all) => {
    if (current !== id) return; // the next patient has started
    all.put(now);
    all.transaction.commit?.(); // so that it is stored although the page ends now
  });
}

/** Forget the patient in progress. */
export function endProgress(id: string): void {
  release(id);
  if (current === id) current = null;
  patients.ask("readwrite", (all) => all.delete(id)).catch(() => undefined); // not stored at all
}

/** Find the patient of a window that was closed or reloaded, the latest first, and take it. */
export async function recallProgress(now = Date.now()): Promise<Progress | null> {
  const isOld = ({ changed }: Progress) => Math.abs(now - changed) > FORGOTTEN;
  const all = await patients.ask<Progress[]>("readonly", (each) => each.getAll());
  await forgetProgress(all.filter(isOld).map(({ id }) => id));
  for (const one of all.filter((each) => !isOld(each)).sort((a, b) => b.changed - a.changed)) {
    if (await take(one.id)) return one;
  }
  return null;
}

/** Forget patients whose results were deleted; null for all. */
export async function forgetProgress(ids: string[] | null): Promise<void> {
  await patients.change((all) => (ids ? ids.forEach((id) => all.delete(id)) : void all.clear()));
}
