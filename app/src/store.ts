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

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  if (!opened) {
    const request = indexedDB.open("eyenet", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(VISITS, { keyPath: "id" });
    opened = finished(request);
  }
  return opened;
}

async function visits(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  return (await open()).transaction(VISITS, mode).objectStore(VISITS);
}

export async function keep(visit: Visit): Promise<void> {
  await finished((await visits("readwrite")).put(visit));
}

/** List all visits, the latest first. */
export async function list(): Promise<Visit[]> {
  const all = (await finished((await visits("readonly")).getAll())) as Visit[];
  return all.sort((a, b) => b.when - a.when);
}

export async function remove(id: string): Promise<void> {
  await finished((await visits("readwrite")).delete(id));
}

export async function removeAll(): Promise<void> {
  await finished((await visits("readwrite")).clear());
}
