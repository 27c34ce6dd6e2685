// Compares the languages of the page with English, for tests/test_page_words.py: node words.mjs JOBS
// JOBS holds "spoiled", a list of [language, path, text]: what a careless translation would be; "choices", of [chosen, asked by the
// browser]; "problems"; and "seen", what networks were trained on. Prints what is wrong with the languages as they are and when spoiled, the languages chosen, and what is said.

import { readFileSync } from "node:fs";
import { load, place } from "./load.mjs";

const { chooseLanguage, known, sayProblem } = await load("words.ts");
const { saySeen } = await load("seen.ts");

// The same in every language.
const NAMES = /EyeNet|EyePACS|Kaggle|JPEG|PNG|HEIC|DICOM|TIFF|sRGB|CSV|JavaScript|Safari|Chrome|Firefox|iPhone|iPad|Android|MB|export_model\.py|⟨\w⟩|\{\w+\}/g;
// Words of both English and another language.
const SHARED = { ko: [], es: ["a", "no", "centre", "compatible", "decide", "error", "flash", "glaucoma", "internet", "macular", "original", "red", "retina", "use"] };
// By type: values of a parameter; text is marked, so that it is found again.
const VALUES = {
  string: (i) => [`⟨${"abcdef"[i]}⟩`, ""],
  "string[]": () => [[], ["⟨x⟩"], ["⟨x⟩", "⟨y⟩"]],
  number: () => [0, 0.8, 1, 2, 40],
  boolean: () => [true, false],
  Eye: () => ["right", "left"],
  "Eye[]": () => [[], ["right"], ["right", "left"]],
  Question: () => ["any", "referable"],
};

/** List the names and the parameters' types of the functions in en.ts, in their order. */
function signatures() {
  const source = readFileSync(place("words/en.ts"), "utf8").split("const en = {")[1];
  return [...source.matchAll(/^\s+(\w+): \(([^()]*)\)(?:: [^=]+)? =>/gm)].map(([, name, parameters]) => ({
    name,
    isRest: parameters.startsWith("..."),
    types: parameters.split(", ").map((one) => one.split(": ")[1]),
  }));
}

const product = (lists) => lists.reduce((all, list) => all.flatMap((start) => list.map((value) => [...start, value])), [[]]);

/** Call a function with all combinations of values; [values, text] of each. */
function callAll(act, { types, isRest }) {
  return product(types.map((type, i) => VALUES[type](i))).map((values) => [values, String(isRest ? act(...values[0]) : act(...values))]);
}

/** Map each text of a language to its path; the functions, in their order, to what they return. */
function flatten(value, path = "", found = { texts: new Map(), functions: new Map() }) {
  if (path === "locale") return found; // is not read
  if (typeof value === "string") found.texts.set(path, value);
  else if (typeof value === "function") found.functions.set(path, value);
  else for (const [name, inner] of Object.entries(value)) flatten(inner, path ? `${path}.${name}` : name, found);
  return found;
}

const lettersOf = (text) => text.replace(NAMES, " ").match(/\p{L}+/gu) ?? [];
const marksOf = (text) => [...new Set(text.match(/⟨\w⟩|\{\w+\}|40/g))].sort().join();

/** Say what is wrong with a text, or with what a function returns for values. */
function* wrongIn(language, text, english) {
  const left = lettersOf(text).map((word) => word.toLowerCase()).filter((word) => !SHARED[language].includes(word));
  const latin = left.filter((word) => word.length > 1 && (language === "es" ? vocabulary.has(word) : /[a-z]/.test(word)));
  if (text === english && left.length) yield `the same as in English: ${text}`;
  else if (latin.length) yield `English words (${latin.join(", ")}): ${text}`;
  if (/undefined|NaN|\[object|null/.test(text)) yield `a missing value: ${text}`;
  if (marksOf(text) !== marksOf(english)) yield `other values than in English: ${text}`;
}

/** Find values that change the text in one language only. */
function* insensitive(types, own, english) {
  const differs = (calls, i, j) => calls[i][1] !== calls[j][1];
  for (let i = 0; i < own.length; i++) {
    for (let j = 0; j < i; j++) {
      const changed = types.filter((_, k) => own[i][0][k] !== own[j][0][k]);
      if (changed.length === 1 && differs(own, i, j) !== differs(english, i, j)) return yield `depends on ${changed[0]} otherwise than in English: ${own[i][1]} / ${own[j][1]}`;
    }
  }
}

function* compare(language, own) {
  for (const path of new Set([...own.texts.keys(), ...own.functions.keys(), ...english.texts.keys(), ...english.functions.keys()])) {
    const isBoth = (kind) => own[kind].has(path) && english[kind].has(path);
    if (isBoth("texts")) for (const what of wrongIn(language, own.texts.get(path), english.texts.get(path))) yield [language, path, what];
    else if (isBoth("functions")) {
      const signature = signed.get(path);
      const [mine, theirs] = [callAll(own.functions.get(path), signature), callAll(english.functions.get(path), signature)];
      const wrong = mine.flatMap(([, text], i) => [...wrongIn(language, text, theirs[i][1])]);
      for (const what of [...wrong.slice(0, 1), ...insensitive(signature.types, mine, theirs)]) yield [language, path, what];
    } else yield [language, path, english.texts.has(path) || english.functions.has(path) ? "missing" : "not in English"];
  }
}

/** Put a text into a language; in place of a function, one that always says it. */
function spoil(words, path, text) {
  const [name, ...rest] = path.split(".");
  const inner = rest.length ? spoil(words[name], rest.join("."), text) : typeof words[name] === "function" ? () => text : text;
  const copy = Array.isArray(words) ? [...words] : { ...words };
  if (inner === null) delete copy[name];
  else copy[name] = inner;
  return copy;
}

const english = flatten(known.get("en"));
const inOrder = signatures();
const signed = new Map([...english.functions.keys()].map((path, i) => [path, inOrder[i]]));
for (const [path, { name }] of signed) if (path.split(".").at(-1) !== name) throw new Error(`${path} is read as ${name}`);
const said = [...english.texts.values(), ...[...english.functions].flatMap(([path, act]) => callAll(act, signed.get(path)).map(([, text]) => text))];
const vocabulary = new Set(said.flatMap(lettersOf).map((word) => word.toLowerCase()));

const { spoiled = [], choices = [], problems = [], seen = [] } = JSON.parse(process.argv[2] ?? "{}");
const others = [...known].filter(([language]) => language !== "en");
const found = others.flatMap(([language, words]) => [...compare(language, flatten(words))]);
const careless = others.flatMap(([language, words]) => {
  const put = (all, [to, path, text]) => (to === language ? spoil(all, path, text) : all);
  return [...compare(language, flatten(spoiled.reduce(put, words)))];
});
const unreviewed = Object.fromEntries([...known].map(([language, words]) => [language, words.unreviewed]));
process.stdout.write(JSON.stringify({ unreviewed, found, careless, chosen: choices.map(([chosen, asked]) => chooseLanguage(chosen, asked)), said: problems.map(sayProblem), seen: seen.map(saySeen) }));
