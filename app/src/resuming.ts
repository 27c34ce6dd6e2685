/** Go on with the patient of a page that was closed or reloaded, or with one of the history. */

import { SIDES, nextStep } from "./answers";
import { agree } from "./chooser";
import { lastOf } from "./days";
import { aside, el, tell } from "./dom";
import { sayWhen } from "./numbers";
import { type Progress, endProgress, isTaken, recallProgress, release } from "./progress";
import { nameOf } from "./result";
import { isUnfinished } from "./search";
import { inUse, isBy, resume, session } from "./session";
import { type Visit, list } from "./store";
import type { Text } from "./text";
import { words } from "./words";

const { resumed: said } = words;
const RECENT = 15 * 60_000; // milliseconds: after a longer pause another patient may have come, so the page asks

/** Go on with the patient of the page before it was loaded again. Returns what to say about it, if anything. */
export async function resumeProgress(): Promise<Text | null> {
  const progress = await recallProgress().catch(() => null); // the browser stores nothing
  if (!progress) return null;
  const { visit, latest, changed, busy } = progress;
  const isThere = !inUse() && !session.failure; // nobody has been photographed meanwhile
  if (!isThere) {
    release(visit.id);
    return null;
  }
  if (Date.now() - changed > RECENT && !(await askAgain(progress))) {
    endProgress(visit.id);
    return null;
  }
  if (inUse()) {
    release(visit.id);
    return null;
  }
  if (session.model && !isBy(session.model, visit)) { // loaded meanwhile; `useNetwork` checks a later one
    endProgress(visit.id);
    return said.lostNetwork;
  }
  resume(visit, latest);
  return busy.length ? said.lost(busy) : null;
}

async function askAgain({ visit, changed }: Progress): Promise<boolean> {
  const photographed = SIDES.filter((eye) => visit.eyes[eye].length);
  return ask(said.stillHere(nameOf(visit), sayWhen(changed), photographed), said.other);
}

/** Ask whether to continue a patient. */
const ask = (question: Text, no: Text): Promise<boolean> => agree(question, said.go, no, "primary");

/** Draw the button that continues a visit of the history, or why it cannot be; null if nothing is left to do. */
export function drawContinue(visit: Visit): HTMLElement | null {
  const { model } = session;
  if (visit.id === session.visit.id) return el("a", { class: "button primary", href: "#new" }, said.back);
  if (!isUnfinished(visit) || !model) return null;
  if (!isBy(model, visit)) return el("p", {}, said.otherNetwork);
  const onclick = () => void goOn(visit).catch(() => tell(said.gone, "wrong"));
  return el("button", { type: "button", class: "button primary", onclick }, said.go, aside(said.ofPatient(nameOf(visit))));
}

/** Continue a visit, after a question with the name: photographs of two people must not be joined. */
async function goOn({ id }: Visit): Promise<void> {
  const visit = (await list()).find((one) => one.id === id); // another window may have changed it
  const step = visit && nextStep(visit);
  if (!visit || !step || !session.model || !isBy(session.model, visit)) return tell(said.gone, "wrong");
  if (SIDES.some(session.isBusy)) return tell(said.busy, "wrong");
  if (await isTaken(id)) return tell(said.taken, "wrong");
  const name = visit.label.trim() ? nameOf(visit) : null;
  const question = name ? said.question(name, sayWhen(lastOf(visit)), step.eye) : said.questionNoName(sayWhen(lastOf(visit)), step.eye);
  if (!(await ask(question, words.choose.cancel)) || SIDES.some(session.isBusy)) return;
  resume(visit, null);
  location.hash = "new";
}

/** Draw who is continued, with the way out. */
export function drawResumed(visit: Visit, next: () => void): HTMLElement {
  return el(
    "div",
    { class: "resumed actions" },
    el("p", {}, said.now(nameOf(visit), sayWhen(visit.when))),
    el("button", { type: "button", class: "button", onclick: next }, said.notThis),
  );
}
