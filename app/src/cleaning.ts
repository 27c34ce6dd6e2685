/** The automatic deletion: the choice in the settings, and the deletion at the start and while the page is open. */

import { agree } from "./chooser";
import { byId, el, say } from "./dom";
import { erase } from "./erasing";
import { sayDate } from "./numbers";
import { listTakenElsewhere } from "./progress";
import { CHOICES, isExpired, mustAsk } from "./retention";
import { inUse, session } from "./session";
import { type Visit, list, recall, remember } from "./store";
import { words } from "./words";

const { retention: said } = words;
const PAUSE = 600_000; // milliseconds between two looks while the page is open
let isDeclined = false; // until the page is opened again

/** The days after which results are deleted; 0 for never. */
export function chosenDays(): number {
  const days = Number(recall("retention"));
  return CHOICES.includes(days) ? days : 0;
}

/** Delete what has expired now, and from time to time; `redraw` is called after a deletion. */
export function keepClean(redraw: () => void): void {
  const run = () => void clean(redraw).catch(() => undefined); // nothing is stored that could be deleted
  run();
  setInterval(run, PAUSE);
}

async function clean(redraw: () => void): Promise<void> {
  const days = chosenDays();
  const all = days ? await list() : [];
  const due = await dueOf(all, days);
  if (!due.length) return;
  if (mustAsk(due.length, all.length)) {
    if (isDeclined || inUse() || document.querySelector("dialog")) return; // nobody is interrupted
    isDeclined = !(await agree(said.due(due.length, all.length, days, sayDate(Date.now())), words.history.remove, said.later, "danger"));
    if (isDeclined) return;
  }
  await removeExpired(due, days);
  redraw();
}

const isShown = ({ id }: Visit): boolean => id === session.visit.id || location.hash === `#visit-${id}`;

/** Find what has expired and is neither on the screen nor in progress in another window. */
async function dueOf(all: Visit[], days: number): Promise<Visit[]> {
  const taken = await listTakenElsewhere();
  return all.filter((visit) => isExpired(visit, days, Date.now()) && !isShown(visit) && !taken.includes(visit.id));
}

/** Delete visits that have expired and still do: another window may have changed or taken them meanwhile. */
const removeExpired = (due: Visit[], days: number): Promise<string[]> => erase(due.map(({ id }) => id), (visit) => isExpired(visit, days, Date.now()));

/** Take a choice, after saying what it deletes. False if the user changes nothing. */
async function choose(days: number): Promise<boolean> {
  const all = days ? await list().catch(() => []) : [];
  const due = await dueOf(all, days);
  if (days && !(await agree(said.question(days, due.length, sayDate(Date.now())), said.start, words.choose.cancel, "danger"))) return false;
  remember("retention", String(days));
  if (chosenDays() !== days) {
    say(said.notKept, "wrong");
    return false;
  }
  await removeExpired(due, days).catch(() => say(words.status.notDeleted, "wrong"));
  return true;
}

/** Draw the choice. */
export function drawRetention(): HTMLElement {
  const chosen = chosenDays();
  const options = CHOICES.map((days) => {
    const onchange = async () => {
      const isTaken = await choose(days);
      byId("retention").replaceWith(drawRetention());
      byId("retention").querySelector<HTMLElement>(":checked")?.focus();
      if (isTaken) say(said.chosen(days), "said");
    };
    const input = el("input", { type: "radio", name: "retention", value: days, checked: days === chosen, onchange });
    return el("label", { class: "option" }, input, el("span", {}, said.option(days)));
  });
  return el("fieldset", { class: "card options", id: "retention" }, el("legend", {}, said.title), el("p", {}, said.meaning), ...options);
}
