/** The history: what was graded on this device, to be opened, printed or deleted. */

import { byId, el } from "./dom";
import { SIDES, confirmDelete, drawEye, drawPrintHead, drawResult, forget } from "./view";
import { type Visit, list, remove, removeAll } from "./store";
import { sayPoint, sayResult, sayWhen } from "./words";

/** List the visits. */
export async function drawHistory(): Promise<void> {
  const section = byId("history");
  const title = el("h1", { id: "history-title" }, "History");
  let visits: Visit[];
  try {
    visits = await list();
  } catch {
    section.replaceChildren(title, el("p", { class: "lead" }, "This browser keeps no history for this page, as in a private window."));
    return;
  }
  if (!visits.length) {
    section.replaceChildren(title, el("p", { class: "lead" }, "Nothing yet. Results are kept here, on this device only."));
    return;
  }
  section.replaceChildren(
    title,
    el("p", { class: "lead" }, "Kept on this device only, until you delete them."),
    el("ul", { class: "visits" }, ...visits.map(drawEntry)),
    el(
      "div",
      { class: "actions wide" },
      el("button", { type: "button", class: "button danger", onclick: () => void deleteAll(visits.length) }, "Delete all"),
    ),
  );
}

function resultOf(visit: Visit): string {
  return (visit.joined ?? SIDES.flatMap((eye) => visit.eyes[eye]?.row ?? [])[0])?.result ?? "";
}

function nameOf(visit: Visit): string {
  return visit.label || "No name";
}

function drawEntry(visit: Visit): HTMLElement {
  const { tone, title } = sayResult(resultOf(visit));
  const aside = el("span", { class: "hidden" }, ` ${nameOf(visit)}, ${sayWhen(visit.when)}`);
  return el(
    "li",
    { class: `card entry ${tone}`, "data-visit": visit.id },
    el(
      "div",
      { class: "about" },
      el("strong", {}, nameOf(visit)),
      el("span", { class: "small" }, sayWhen(visit.when)),
      el("span", {}, title, visit.joined ? "" : " (one eye)"),
    ),
    el("button", { type: "button", class: "button", onclick: () => open(visit) }, "Open", aside),
    el("button", { type: "button", class: "button quiet", onclick: () => void deleteOne(visit) }, "Delete", aside.cloneNode(true)),
  );
}

function open(visit: Visit): void {
  const back = el("button", { type: "button", class: "button", onclick: () => leave(visit) }, "Back to the list");
  byId("history").replaceChildren(
    el("h1", { id: "history-title" }, nameOf(visit)),
    el("p", { class: "lead" }, `${sayWhen(visit.when)}. Operating point: ${sayPoint(visit.point)}.`),
    drawPrintHead(visit),
    drawResult(visit) ?? "",
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, false, null))),
    el(
      "div",
      { class: "actions wide" },
      back,
      el("button", { type: "button", class: "button", onclick: () => print() }, "Print"),
      el("button", { type: "button", class: "button danger", onclick: () => void deleteOne(visit) }, "Delete"),
    ),
  );
  scrollTo(0, 0);
  back.focus({ preventScroll: true });
}

function leave(visit: Visit): void {
  forget(visit);
  void drawHistory();
}

async function deleteOne(visit: Visit): Promise<void> {
  if (!(await confirmDelete(`Delete the result of ${nameOf(visit)}, ${sayWhen(visit.when)}? It cannot be brought back.`))) return;
  await remove(visit.id);
  leave(visit);
}

async function deleteAll(count: number): Promise<void> {
  const what = count === 1 ? "the only result" : `all ${count} results`;
  if (!(await confirmDelete(`Delete ${what} from this device? They cannot be brought back.`))) return;
  await removeAll();
  await drawHistory();
}
