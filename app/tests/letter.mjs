// Writes letters as the page does, for tests/test_letter.py: node letter.mjs JOBS
// JOBS holds "visits" and "clinics"; prints a letter for each visit and clinic, with the key before each text of eyenet/letter/en.json.

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

/** Put its key, in brackets, before each text. */
function mark(value, key) {
  if (typeof value === "string") return `⟦${key}⟧${value}`;
  const marked = Object.entries(value).map(([name, inner]) => [name, mark(inner, key ? `${key}.${name}` : name)]);
  return Array.isArray(value) ? marked.map(([, inner]) => inner) : Object.fromEntries(marked);
}

const marking = {
  name: "marking",
  enforce: "pre",
  load: (id) => (id.endsWith("letter/en.json") ? JSON.stringify(mark(JSON.parse(readFileSync(id, "utf8")), "")) : null),
};
globalThis.self = { location: { href: "http://localhost/" } }; // of the worker, whose modules the answers use
const { writeLetter } = await load("letter.ts", { plugins: [marking] });
const { about } = (await load("words.ts", { plugins: [marking] })).words;
const { visits, clinics } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const letters = visits.map(({ network, ...visit }) => clinics.map((clinic) => writeLetter({ ...visit, model: about.network(network.name, network.seen) }, clinic)));
process.stdout.write(JSON.stringify(letters));
