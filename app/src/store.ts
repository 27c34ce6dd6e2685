/** The storage of the history: results in the browser's database on this device, and nowhere else. */

import { database } from "./database";
import type { Side } from "./disc";
import type { Question } from "./probabilities";
import type { Eye, Row } from "./screener";

/** A photograph and its result. */
export interface Shot {
  name: string;
  when?: number; // it was taken; earlier versions kept that of the visit only
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
  when: number; // the visit was begun
  imported?: number; // when, if it came from a file
  label: string;
  born?: string; // the birth date, as 1957-03-04; not in the history of older versions
  point: string;
  unsure?: string; // the error rate with which "unsure" was asked for; empty or missing where it was not
  model: string; // its name; in earlier versions a sentence, and then without `seen`
  seen?: string; // what it was trained on, in English
  network?: string; // what identifies it and its decisions; not in earlier versions
  synthetic: boolean; // the network was trained on drawings
  sample?: boolean; // drawn eyes, to try the page; not kept
  eyes: Record<Eye, Shot[]>; // in the order in which they were taken
  joined: Row | null;
  confirmed?: string[]; // keys of doubts that the user has answered; in earlier versions their sentences
}

const visits = database("eyenet", "visits");

type Choice = "point" | "unsure" | "retention" | "language" | "clinic"; // the operating point; the error rate of "unsure"; the days after which results are deleted; the language of the page; the clinic of the letter

/** Recall a choice in the settings; null if there is none or the browser stores nothing. */
export function recall(choice: Choice): string | null {
  try {
    return localStorage.getItem(choice);
  } catch {
    return null;
  }
}

/** Remember a choice. False if the browser stores nothing: then the next visit starts with the default. */
export function remember(choice: Choice, value: string): boolean {
  try {
    localStorage.setItem(choice, value);
    return true;
  } catch {
    return false;
  }
}

export async function keep(visit: Visit): Promise<void> {
  const now = structuredClone(visit); // the visit may change before the database is open
  await visits.ask("readwrite", (all) => all.put(now));
}

/** Add the evidence to an eye of a visit, unless the visit was deleted or the eye has another photograph. */
export async function addContours(id: string, eye: Eye, fingerprint: string | undefined, contours: string[]): Promise<void> {
  await visits.change((all) => {
    const request: IDBRequest<Visit | undefined> = all.get(id);
    request.onsuccess = () => {
      const shot = request.result?.eyes[eye].find((one) => one.fingerprint === fingerprint);
      if (shot) all.put({ ...request.result, eyes: { ...request.result?.eyes, [eye]: request.result?.eyes[eye].map((one) => (one === shot ? { ...shot, contours } : one)) } });
    };
  });
}

/** Store visits, all of them or, on an error, none. */
export async function keepAll(changed: Visit[]): Promise<void> {
  await visits.change((all) => changed.forEach((visit) => all.put(visit)));
}

/** List all visits, latest first. */
export async function list(): Promise<Visit[]> {
  const all = await visits.ask<Visit[]>("readonly", (one) => one.getAll());
  return all.map(withLists).sort((a, b) => b.when - a.when);
}

/** Read a visit of an earlier version, which had one photograph of an eye at most, and of the first, which had no `synthetic`. */
function withLists(visit: Visit): Visit {
  const { right = [], left = [] } = visit.eyes as Partial<Record<Eye, Shot | Shot[]>>;
  return { ...visit, synthetic: visit.synthetic ?? false, eyes: { right: [right].flat(), left: [left].flat() } };
}

export async function remove(id: string): Promise<void> {
  await visits.ask("readwrite", (all) => all.delete(id));
}

/** Remove visits that a test holds for at the moment of their deletion; another window may have changed them meanwhile. Returns the ids of those removed. */
export async function removeThose(ids: string[], test: (visit: Visit) => boolean): Promise<string[]> {
  const removed: string[] = [];
  await visits.change((all) => {
    for (const id of ids) {
      const request: IDBRequest<Visit | undefined> = all.get(id);
      request.onsuccess = () => {
        if (!request.result || !test(withLists(request.result))) return;
        all.delete(id);
        removed.push(id);
      };
    }
  });
  return removed;
}

export async function removeAll(): Promise<void> {
  await visits.ask("readwrite", (all) => all.clear());
}
