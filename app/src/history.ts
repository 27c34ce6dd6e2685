/** The history: results on this device, to open, print, continue or delete. */

import { SIDES } from "./answers";
import { agree } from "./chooser";
import { chosenDays } from "./cleaning";
import { aside, byId, el, say, tell } from "./dom";
import { erase, eraseAll } from "./erasing";
import { drawExchange } from "./exchange";
import { drawEye } from "./eye";
import { sayDay, sayWhen } from "./numbers";
import { forget } from "./pictures";
import { sayPoint } from "./points";
import { listTakenElsewhere } from "./progress";
import { drawPrint, drawResult, nameOf } from "./result";
import { drawContinue } from "./resuming";
import { drawLetter } from "./sheet";
import { type Visit, list } from "./store";
import type { Text } from "./text";
import { words } from "./words";
import { drawWorklist } from "./worklist";

/** Called with the id of the deleted visit, or with null if all were deleted. */
type Deleted = (id: string | null) => void;

const { history: said } = words;
const OPENED = "visit-"; // prefix of the address, #visit-..., while a visit is open
let opened: Visit | null = null;

/** Tell whether an address within the page belongs to the history. */
export function isHistory(address: string): boolean {
  return address === "history" || address.startsWith(OPENED);
}

/** Draw the list of visits, or the visit that the address names. */
export async function drawHistory(address: string, deleted: Deleted): Promise<void> {
  byId("history").replaceChildren(); // what was drawn before may be out of date
  const all = await list().catch(() => null);
  if (opened) SIDES.flatMap((eye) => opened?.eyes[eye] ?? []).forEach(forget);
  opened = all?.find(({ id }) => address === OPENED + id) ?? null;
  byId("history").replaceChildren(...(opened ? drawVisit(opened, deleted) : drawList(all, deleted)));
}

function drawList(visits: Visit[] | null, deleted: Deleted): HTMLElement[] {
  const title = el("h1", { id: "history-title" }, said.title);
  if (!visits) return [title, el("p", { class: "lead" }, said.unavailable)];
  const redraw = async () => {
    await drawHistory("history", deleted);
    byId("content").focus({ preventScroll: true });
  };
  const exchange = (found: Visit[], isAll: boolean) => drawExchange(found, isAll, redraw);
  if (!visits.length) return [title, el("p", { class: "lead" }, said.empty), exchange([], true)];
  const removeEvery = async () => {
    if (!(await eraseAll())) return tell(words.resumed.anyTaken, "wrong");
    deleted(null);
  };
  const all = el("div", { class: "actions wide" }, drawDelete(said.removeAll, null, "button danger", said.removeEvery(visits.length), removeEvery));
  return [
    title,
    el("p", { class: "lead" }, chosenDays() ? words.retention.stored(chosenDays()) : said.stored),
    words.unreviewed && el("p", { class: "lead" }, words.unreviewed),
    ...drawWorklist(visits, {
      link: (visit, more) => [el("a", { class: "button", href: `#${OPENED}${visit.id}` }, said.open, aside(more)), drawDeleteOne(visit, more, "button quiet", deleted)],
      below: (found, isAll) => [exchange(found, isAll), ...(isAll ? [all] : [])],
    }),
  ].filter((part) => part instanceof HTMLElement);
}

function drawVisit(visit: Visit, deleted: Deleted): HTMLElement[] {
  const go = drawContinue(visit);
  return [
    el("h1", { id: "history-title" }, nameOf(visit)),
    el("p", { class: "lead" }, said.lead(sayWhen(visit.when), sayPoint(visit.point))),
    visit.born && el("p", { class: "lead" }, words.patient.bornOn(sayDay(visit.born))),
    drawResult(visit) ?? el("p", {}, said.noResult),
    ...(go ? [el("div", { class: "actions" }, go)] : []),
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, false, null))),
    el(
      "div",
      { class: "actions wide" },
      el("a", { class: "button", href: "#history" }, said.back),
      drawPrint(),
      drawDeleteOne(visit, null, "button danger", deleted),
    ),
    drawLetter(visit),
  ].filter((part) => part instanceof HTMLElement);
}

function drawDeleteOne(visit: Visit, more: Text | null, style: string, deleted: Deleted): HTMLElement {
  return drawDelete(said.remove, more, style, said.removeOne(nameOf(visit), sayWhen(visit.when)), async () => {
    if ((await listTakenElsewhere()).includes(visit.id)) return tell(words.resumed.taken, "wrong");
    await erase([visit.id]);
    deleted(visit.id);
  });
}

/** Draw a button that asks before it deletes. `more` is for screen readers only. */
function drawDelete(text: Text, more: Text | null, style: string, question: Text, act: () => Promise<void>): HTMLElement {
  const onclick = async () => {
    if (await agree(question, said.remove, said.keep, "danger")) await act().catch(() => say(words.status.notDeleted, "wrong"));
  };
  return el("button", { type: "button", class: style, onclick }, text, more && aside(more));
}
