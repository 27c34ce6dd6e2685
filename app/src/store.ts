/** The storage of the history: results in the browser's database on this device, and nowhere else. */

import type { Side } from "./disc";
import type { Question } from "./probabilities";
import type { Eye, Row } from "./screener";

/** A photograph and its result. */
export interface Shot {
  name: string;
  fingerprint?: string; // of the file
  row: Row;
  picture: Blob | null;
  contours?: string[] | null; // of the evidence, as in Seen; earlier versions kept a heat map, which is not shown
  contoursOf?: Question | null;
  disc?: Side | null; // as in Seen
}

/** A visit of a patient. */
export interface Visit {
  id: string;
  when: number;
  label: string;
  born?: string; // the birth date, as 1957-03-04; not in the history of older versions
  point: string;
  model: string;
  classes: string[];
  synthetic: boolean; // the network was trained on drawings
  sample?: boolean; // drawn eyes, to try the page; not kept
  eyes: Record<Eye, Shot[]>; // in the order in which they were taken
  joined: Row | null;
  confirmed?: string[]; // doubts that the user has answered
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

/** Run a request, and wait until its transaction is complete: only then does a full disk report an error. */
async function ask<T>(mode: IDBTransactionMode, question: (visits: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await open()).transaction(VISITS, mode);
  const request = question(transaction.objectStore(VISITS));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Recall the last chosen operating point; null if there is none or the browser stores nothing. */
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
    // without storage, the next visit starts with the default
  }
}

export async function keep(visit: Visit): Promise<void> {
  const now = structuredClone(visit); // the visit may change before the database is open
  await ask("readwrite", (visits) => visits.put(now));
}

/** Add the evidence to an eye of a visit, unless the visit was deleted or the eye has another photograph. */
export async function addContours(id: string, eye: Eye, fingerprint: string | undefined, contours: string[]): Promise<void> {
  const visits = (await open()).transaction(VISITS, "readwrite").objectStore(VISITS);
  const request: IDBRequest<Visit | undefined> = visits.get(id);
  request.onsuccess = () => {
    const shot = request.result?.eyes[eye].find((one) => one.fingerprint === fingerprint);
    if (shot) visits.put({ ...request.result, eyes: { ...request.result?.eyes, [eye]: request.result?.eyes[eye].map((one) => (one === shot ? { ...shot, contours } : one)) } });
  };
}

/** List all visits, latest first. */
export async function list(): Promise<Visit[]> {
  const all = await ask<Visit[]>("readonly", (visits) => visits.getAll());
  return all.map(withLists).sort((a, b) => b.when - a.when);
}

/** Read a visit of an earlier version, which had one photograph of an eye at most. */
function withLists(visit: Visit): Visit {
  const { right = [], left = [] } = visit.eyes as Partial<Record<Eye, Shot | Shot[]>>;
  return { ...visit, eyes: { right: [right].flat(), left: [left].flat() } };
}

export async function remove(id: string): Promise<void> {
  await ask("readwrite", (visits) => visits.delete(id));
}

export async function removeAll(): Promise<void> {
  await ask("readwrite", (visits) => visits.clear());
}
