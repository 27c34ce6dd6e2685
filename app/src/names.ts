/** Whose eye a photograph shows, by its file's name: a port of `read_name` in eyenet/data/identity.py, and of names.py. */

import type { Eye } from "./screener";

const WORDS: Record<string, Eye> = { left: "left", os: "left", right: "right", od: "right" };
const LETTERS: Record<string, Eye> = { l: "left", le: "left", r: "right", re: "right" }; // only after the patient: `le` is also a name
const EYES = { ...WORDS, ...LETTERS };
const MARK = /^(?:\(?\d{1,2}\)?|copy)$/i; // what may follow one of LETTERS
const SEPARATORS = /[\s._-]+/g;
const PLACEHOLDER = new RegExp(
  "^(?:(no ?|un)?(id|name)|0*|x+|none|null|nan?|#?n/a|-1|-9+|unknown|removed|deleted|empty|test|patient|person|subject|anon[a-z]*" +
    "|de-?identified|dsc|dcim|fundus|im|image|img|colou?r|photo|pic|picture|retina|scan|eye|export|[^\\p{L}\\p{N}_]+" +
    "|\\d(\\.\\d+)?E\\+\\d\\d)$", // the last: a long number that a spreadsheet has rounded
  "iu",
);
const OWN = /^(.+)_(left|right)(_mir|_90|_120|_180|_270)?$/s; // the form of our own files; the last part marks a copy
const NUMBER = /^(.*~)?0*(\d+)(\.0)?$/s;

interface Name {
  patient: string | null; // null also for a placeholder
  eye: Eye | null;
}

/** Read patient and eye from a name without its extension. */
export function readName(stem: string): Name {
  const { patient, eye } = parse(stem);
  return eye === null || !patient || PLACEHOLDER.test(patient.trim()) ? { patient: null, eye } : { patient, eye };
}

/** Read patient and eye from the name of a file. */
export function readFileName(name: string): Name {
  return readName(name.replace(/(?<=[^.])\.[^.]*$/, ""));
}

/** Split a name into patient, perhaps empty, and eye; both null if it does not tell exactly one eye. */
function parse(stem: string): Name {
  const nothing = { patient: null, eye: null };
  const own = OWN.exec(stem);
  if (own) return own[3] ? nothing : { patient: own[1], eye: own[2] as Eye };
  const gaps = [...stem.matchAll(SEPARATORS)];
  const starts = [0, ...gaps.map((gap) => gap.index + gap[0].length)];
  const ends = [...gaps.map((gap) => gap.index), stem.length];
  const words = starts.map((start, i) => stem.slice(start, ends[i]).toLowerCase());
  const places = words.map((_, i) => i);
  const marksFrom = (place: number) => words.slice(place).every((word) => MARK.test(word));
  let found = places.filter((i) => Object.hasOwn(WORDS, words[i]));
  if (!found.length) {
    found = places.filter((i) => Object.hasOwn(LETTERS, words[i]) && marksFrom(i + 1));
    found = found.filter((i) => i > 0 || words.length === 1).slice(0, 1);
  }
  if (!found.length || new Set(found.map((i) => EYES[words[i]])).size > 1) return nothing;
  const [first] = found;
  const eye = EYES[words[first]];
  if (first > 0) return { patient: stem.slice(0, ends[first - 1]), eye };
  const isCopy = words.length > 1 && marksFrom(1) && !/^\d+$/.test(words[1]); // `left (1)` is a copy of `left`
  return { patient: words.length > 1 && !isCopy ? stem.slice(starts[1]) : "", eye };
}

/** Return the form in which patients are compared: 12 for 0012 and 12.0. */
export function canonical(patient: string): string {
  const composed = patient.trim().normalize("NFC");
  const found = NUMBER.exec(composed);
  return found ? (found[1] ?? "") + found[2] : composed;
}
