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
const LOCK = "eyenet-patient-"; // prefix of the name of a lock, before the id of the visit
const OWN = "patient"; // key in the storage of this window, which a reload keeps: the id of its patient
const patients = database("eyenet-progress", "patients"); // a database of its own: an open window of an earlier version would block a change of "eyenet"

/** A lock of this window, or the wait for it. */
interface Hold {
  isHeld: boolean;
  letGo(): void;
}

let current: string | null = null; // id of the visit
const holds = new Map<string, Hold>(); // by id of the visit

/** List the patients in progress, of this window and of others. */
export async function listTaken(): Promise<string[]> {
  const { held: locks = [] } = (await navigator.locks?.query()) ?? {}; // missing when the page is served without https
  return locks.flatMap(({ name = "" }) => (name.startsWith(LOCK) ? name.slice(LOCK.length) : []));
}

/** Tell whether a window has a patient in progress. */
export const isTaken = async (id: string): Promise<boolean> => (await listTaken()).includes(id);

/** List the patients in progress in other windows. */
export const listTakenElsewhere = async (): Promise<string[]> => (await listTaken()).filter((id) => !holds.get(id)?.isHeld);

/** Take a patient for this window, until `release`; `isOwn` waits for the lock, otherwise false if another window has it. */
async function take(id: string, isOwn: boolean): Promise<boolean> {
  const { locks } = navigator;
  if (!locks) return true;
  let isOver = false; // the next patient has started
  const hold: Hold = { isHeld: false, letGo: () => void (isOver = true) };
  holds.set(id, hold);
  return new Promise((resolve) => {
    const keep = (lock: Lock | null) => {
      if (!lock) holds.delete(id);
      resolve(lock !== null && !isOver);
      if (!lock || isOver) return;
      hold.isHeld = true;
      return new Promise<void>((done) => (hold.letGo = done));
    };
    locks.request(LOCK + id, { ifAvailable: !isOwn }, keep).catch(() => resolve(false));
  });
}

/** Leave a patient to other windows. */
export function release(id: string): void {
  holds.get(id)?.letGo();
  holds.delete(id);
}

/** Call `act` with those patients whom no other window has in progress, and keep other windows from them until it has ended. */
export async function withFree<T>(ids: string[], act: (free: string[]) => Promise<T>): Promise<T> {
  const taken: string[] = [];
  const isOurs = (id: string) => holds.get(id)?.isHeld === true;
  const free: string[] = [];
  try {
    for (const id of ids) {
      const isBefore = isOurs(id);
      if (!isBefore && (holds.has(id) || !(await take(id, false)))) continue;
      free.push(id);
      if (!isBefore) taken.push(id);
    }
    return await act(free);
  } finally {
    taken.forEach(release);
  }
}

/** Remember in this window, for a reload, whose lock it has. */
function remind(id: string | null): void {
  try {
    if (id) sessionStorage.setItem(OWN, id);
    else sessionStorage.removeItem(OWN);
  } catch {
    // the browser stores nothing
  }
}

function ownId(): string | null {
  try {
    return sessionStorage.getItem(OWN);
  } catch {
    return null;
  }
}

/** Store what the page holds of the patient. */
export async function keepProgress(progress: Pick<Progress, "visit" | "latest" | "busy">): Promise<void> {
  const { id } = progress.visit;
  const now: Progress = structuredClone({ ...progress, id, changed: Date.now() });
  current = id;
  remind(id);
  if (!holds.has(id)) void take(id, true);
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
  if (ownId() === id) remind(null);
  patients.ask("readwrite", (all) => all.delete(id)).catch(() => undefined); // not stored at all
}

/**
 * Find the patient of this window before it was reloaded, or else the latest of a window that was closed, and take it.
 *
 * A window that is reloaded gives up its lock some time after the new page has started, so its patient is waited for;
 * those of other windows are not.
 */
export async function recallProgress(now = Date.now()): Promise<Progress | null> {
  const isOld = ({ changed }: Progress) => Math.abs(now - changed) > FORGOTTEN;
  const all = await patients.ask<Progress[]>("readonly", (each) => each.getAll());
  await withFree(all.filter(isOld).map(({ id }) => id), forgetProgress);
  const own = ownId();
  const recent = all.filter((each) => !isOld(each)).sort((a, b) => Number(b.id === own) - Number(a.id === own) || b.changed - a.changed);
  for (const { id } of recent) {
    if (!(await take(id, id === own))) continue;
    const latest = await patients.ask<Progress | undefined>("readonly", (each) => each.get(id)); // it may have ended during the wait
    if (latest) return latest;
    release(id);
  }
  return null;
}

/** Forget patients whose results were deleted; null for all. */
export async function forgetProgress(ids: string[] | null): Promise<void> {
  await patients.change((all) => (ids ? ids.forEach((id) => all.delete(id)) : void all.clear()));
}
