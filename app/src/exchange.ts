/** Export of the history, as a table or as one file, and import of that file. */

import { ArchiveError, pack, unpack } from "./archive";
import { drawChooser } from "./chooser";
import { toCsv } from "./csv";
import { dayOf } from "./days";
import { el, say, tell } from "./dom";
import { merge } from "./merge";
import { listTaken } from "./progress";
import { session } from "./session";
import { type Visit, keepAll, list } from "./store";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const { exchange: said } = words;

/** Give a file to the browser's downloads. */
function download(blob: Blob, extension: string): void {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: `eyenet-${dayOf(Date.now())}.${extension}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may still ask where to save it
}

/** Read a file, and store its visits, all of them or none. Returns what was done, in a sentence. */
async function importFile(file: File): Promise<Text> {
  const imported = await unpack(file);
  const { changes, added, extended, known } = merge(await list(), imported, Date.now());
  const taken = [session.visit.id, ...(await listTaken())];
  if (changes.some(({ id }) => taken.includes(id))) throw new ArchiveError(said.inProgress);
  await keepAll(changes);
  return said.done(added, extended, known);
}

/** Draw the buttons; `visits` are exported, and `imported` is called after an import. */
export function drawExchange(visits: Visit[], isAll: boolean, imported: () => Promise<void>): HTMLElement {
  const busy = (act: () => Promise<Text>, failed: Text, after?: () => Promise<void>) => async () => {
    say(said.working, "done");
    let done: Text;
    try {
      done = await act();
    } catch (error) {
      return tell(error instanceof ArchiveError ? error.text : failed, "wrong");
    }
    try {
      await after?.();
    } finally {
      tell(done, "done"); // an import is stored, whatever happens to the view
    }
  };
  const csv = async () => {
    download(new Blob([toCsv(visits)], { type: "text/csv;charset=utf-8" }), "csv");
    return said.saved(visits.length);
  };
  const whole = async () => {
    download(await pack(visits), "json");
    return said.saved(visits.length);
  };
  const take = (files: File[]) => void busy(() => importFile(files[0]), said.failed, imported)();
  const button = (text: Text, act: () => Promise<Text>) => el("button", { type: "button", class: "button", onclick: busy(act, said.notSaved) }, text);
  return el(
    "details",
    { class: "exchange" },
    el("summary", {}, said.title),
    el("p", { class: "small" }, said.meaning),
    el(
      "div",
      { class: "actions" },
      visits.length > 0 && button(said.csv(visits.length, isAll), csv),
      visits.length > 0 && button(said.file(visits.length, isAll), whole),
      drawChooser(said.import, verbatim(""), "button", { accept: ".json,application/json" }, take),
    ),
  );
}
