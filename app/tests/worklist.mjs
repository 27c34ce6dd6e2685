// Runs what the history does without a browser, for tests/test_worklist.py.
// Reads lists of {"do": name, ...} from standard input, one a line, and prints their results. Pictures are base64 in both.

import { createInterface } from "node:readline";
import { load } from "./load.mjs";

const [{ pack, unpack }, { toCsv }, { merge }, { isExpired, mustAsk }, { isWanted, EVERYTHING }, { decideAgain }, { sayDays }, { kindOf, sayPoor }, { words }, { answerAll, answersWithout, openDoubts }, { announce }] = await Promise.all(
  ["archive.ts", "csv.ts", "merge.ts", "retention.ts", "search.ts", "again.ts", "days.ts", "answers.ts", "words.ts", "doubts.ts", "result.ts"].map((name) => load(name)),
);

/** Change the pictures of a visit. */
async function convert(visit, change) {
  const eyes = {};
  for (const [eye, shots] of Object.entries(visit.eyes)) eyes[eye] = await Promise.all(shots.map(async (shot) => ({ ...shot, picture: shot.picture && (await change(shot.picture)) })));
  return { ...visit, eyes };
}
const toBlob = (text) => new Blob([Buffer.from(text, "base64")], { type: "image/jpeg" });
const toText = async (blob) => Buffer.from(await blob.arrayBuffer()).toString("base64");
const withBlobs = (visits) => Promise.all(visits.map((visit) => convert(visit, toBlob)));

const jobs = {
  csv: async ({ visits }) => toCsv(visits),
  pack: async ({ visits, now }) => (await pack(await withBlobs(visits), now)).text(),
  /** Read a file, given in base64: its visits, or the sentence that refuses it. */
  unpack: async ({ file }) => {
    try {
      const visits = await unpack(new Blob([Buffer.from(file, "base64")]));
      return await Promise.all(visits.map((visit) => convert(visit, toText)));
    } catch (error) {
      return error.text ?? `unexpected: ${error.stack}`;
    }
  },
  merge: async ({ stored, imported, now }) => merge(stored, imported, now),
  expired: async ({ visits, days, now }) => visits.filter((visit) => isExpired(visit, days, now)).map(({ id }) => id),
  ask: async ({ due, all }) => mustAsk(due, all),
  search: async ({ visits, wanted }) => visits.filter((visit) => isWanted(visit, { ...EVERYTHING, ...wanted })).map(({ id }) => id),
  again: async ({ model, point, unsure = "", row }) => decideAgain(model, { point, unsure }, row),
  days: async ({ visit }) => sayDays(visit),
  answer: async ({ visit }) => answerAll(visit),
  answers: async ({ visit, removed }) => answersWithout(visit, removed),
  doubts: async ({ visit }) => openDoubts(visit).map(({ key }) => key),
  kind: async ({ visit }) => kindOf(visit),
  announce: async ({ visit, latest }) => announce(visit, latest),
  poor: async ({ row, eye, visit }) => sayPoor(row, eye, visit),
  imported: async ({ counts }) => words.exchange.done(...counts),
};

for await (const line of createInterface({ input: process.stdin })) {
  const found = [];
  for (const job of JSON.parse(line)) found.push(await jobs[job.do](job));
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
