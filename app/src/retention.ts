/** Which results the automatic deletion deletes, and when it asks first. */

import { lastOf } from "./days";
import type { Visit } from "./store";

/** Days to choose from, after which a result is deleted; 0 for never. */
export const CHOICES = [0, 1, 7, 30, 365];
/** At most so many results are deleted without a question: a clock that jumps must not delete a history. */
const FEW = 5;
const DAY = 86_400_000; // milliseconds

/** Tell whether a result is deleted: its latest photograph, or its import, is longer ago than the chosen days. */
export const isExpired = (visit: Visit, days: number, now: number): boolean => days > 0 && now - Math.max(lastOf(visit), visit.imported ?? 0) > days * DAY;

/** Tell whether to ask before `due` of `all` results are deleted. */
export const mustAsk = (due: number, all: number): boolean => due > FEW || due === all;
