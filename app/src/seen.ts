/** Which network answered, and what it has seen: kept as the export tells it, in English, and said in the language of the page. */

import type { Model } from "./network";
import { sayCount } from "./numbers";
import type { Visit } from "./store";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const { about: said } = words;
const TOLD = /^(?:([\d,]+) )?(photographs|synthetic drawings)(?: of (.+))?$/; // by `what_it_has_seen` in eyenet/model/settings.py
const AGAIN = /^(.*); recalibrated on ([\d,]+) (synthetic )?photographs in ([^;]+)$/; // likewise, by recalibrate.py
const [DRAWN, REAL] = ["synthetic photographs", "photographs of patients"]; // exports of earlier versions tell only whether they were real

/** What a network has seen, as it is kept. */
export const seenBy = ({ trained_on: seen, synthetic }: Model): string => seen ?? (synthetic ? DRAWN : REAL);

/** Say what a network has seen. */
export function saySeen(seen: string): Text {
  if (seen === DRAWN) return said.synthetic;
  if (seen === REAL) return said.real;
  const [, before, number, drawn, place] = AGAIN.exec(seen) ?? [];
  if (before && number && place) return said.recalibrated(saySeen(before), sayCount(Number(number.replaceAll(",", ""))), !!drawn, place);
  const [, count, what, source] = TOLD.exec(seen) ?? [];
  if (!what) return verbatim(seen);
  return said.seen(count ? sayCount(Number(count.replaceAll(",", ""))) : "", what === "synthetic drawings", source ? (said.sources[source] ?? source) : "");
}

/** Say on whom a network was measured. */
export const saySet = (set: string): Text => words.settings.sets[set] ?? verbatim(set);

/** Say which network answered a visit. Earlier versions kept the sentence. */
export function sayNetwork({ model, seen }: Visit): Text {
  return seen === undefined ? verbatim(model) : said.network(model, saySeen(seen));
}
