/** The history: what was graded on this device, in the browser's own database, and nowhere else. */

import type { Question } from "./probabilities";
import type { Eye, Row } from "./screener";

/** A photograph and what was said of it. */
export interface Shot {
  name: string;
  row: Row;
  picture: Blob | null;
  heat: Blob | null;
  heatOf: Question | null;
}

/** A patient on a day. */
export interface Visit {
  id: string;
  when: number;
  label: string;
  point: string;
  model: string;
  classes: string[];
  eyes: Partial<Record<Eye, Shot>>;
  joined: Row | null;
}

const VISITS = "visits";
let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("eyenet", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(VISITS, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

/** Ask the store, and wait until the answer is on the disk: a full device says so only then. */
async function ask<T>(mode: IDBTransactionMode, question: (visits: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await open()).transaction(VISITS, mode);
  const request = question(transaction.objectStore(VISITS));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Recall the operating point that was chosen last; null where there is none, or the browser keeps nothing. */
export function recallPoint(): string | null {
  try {
    return localStorage.getItem("point");
  } catch {
    return null;
  }
}

export function rememberPoint(point: string): void {
  try {
    localStorage.setItem("point", point);
  } catch {
    // then it is asked for again on the next visit
  }
}

export async function keep(visit: Visit): Promise<void> {
  const now = structuredClone(visit); // it may change before the database is open
  await ask("readwrite", (visits) => visits.put(now));
}

/** List all visits, the latest first. */
export async function list(): Promise<Visit[]> {
  const all = await ask<Visit[]>("readonly", (visits) => visits.getAll());
  return all.sort((a, b) => b.when - a.when);
}

export async function remove(id: string): Promise<void> {
  await ask("readwrite", (visits) => visits.delete(id));
}

export async function removeAll(): Promise<void> {
  await ask("readwrite", (visits) => visits.clear());
}
