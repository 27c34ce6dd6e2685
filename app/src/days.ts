/** When the photographs of a patient were taken: those of different days are said to be so. */

import { SIDES } from "./answers";
import { sayDate } from "./numbers";
import type { Shot, Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

/** The time of a photograph; earlier versions kept one for all of a visit. */
export const takenAt = (shot: Shot, visit: Visit): number => shot.when ?? visit.when;

/** The times of all photographs of a visit. */
const timesOf = (visit: Visit): number[] => SIDES.flatMap((eye) => visit.eyes[eye].map((shot) => takenAt(shot, visit)));

/** The time of a visit's first photograph, of those that it still has; of its beginning without one. */
export function firstOf(visit: Visit): number {
  const times = timesOf(visit);
  return times.length ? Math.min(...times) : visit.when;
}

/** The time of a visit's latest photograph. */
export const lastOf = (visit: Visit): number => Math.max(visit.when, ...timesOf(visit));

const two = (value: number): string => String(value).padStart(2, "0");

/** Write a day on this device as 2026-11-28. */
export function dayOf(when: number): string {
  const date = new Date(when);
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Write a time on this device as 2026-11-28 10:15, which spreadsheets read. */
export function timeOf(when: number): string {
  const date = new Date(when);
  return `${dayOf(when)} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** List the days on which a visit's photographs were taken, and the visit was begun, the earliest first. */
export function daysOf(visit: Visit): string[] {
  return [...new Set([visit.when, ...timesOf(visit)].map(dayOf))].sort();
}

/** Say the days of each eye's photographs if they are not all of one day; otherwise null. */
export function datesOf(visit: Visit): Text[] | null {
  const days = SIDES.map((eye) => new Map(visit.eyes[eye].map((shot) => [dayOf(takenAt(shot, visit)), sayDate(takenAt(shot, visit))])));
  if (new Set(days.flatMap((each) => [...each.keys()])).size < 2) return null;
  return SIDES.flatMap((eye, i) => (days[i].size ? [words.days.eye(eye, [...days[i].values()])] : []));
}

/** Say that the photographs are of different days; null if they are not. */
export function sayDays(visit: Visit): Text | null {
  const dates = datesOf(visit);
  return dates && words.days.differ(dates);
}
