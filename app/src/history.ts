/** The history: results on this device, to open, print or delete. */

import { byId, el, say } from "./dom";
import { openDoubts } from "./doubts";
import { type Visit, list, remove, removeAll } from "./store";
import { SIDES, confirmDelete, drawEye, drawPrintHead, drawResult, forget } from "./view";
import { sayPoint, sayResult, sayWhen } from "./words";

/** Called with the id of the deleted visit, or with null if all were deleted. */
type Deleted = (id: string | null) => void;

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
  Object.values(opened?.eyes ?? {}).forEach(forget);
  opened = all?.find(({ id }) => address === OPENED + id) ?? null;
  byId("history").replaceChildren(...(opened ? drawVisit(opened, deleted) : drawList(all, deleted)));
}

function drawList(visits: Visit[] | null, deleted: Deleted): HTMLElement[] {
  const title = el("h1", { id: "history-title" }, "History");
  if (!visits) return [title, el("p", { class: "lead" }, "This browser does not store a history for this page, for example in a private window.")];
  if (!visits.length) return [title, el("p", { class: "lead" }, "No results yet. Results are stored on this device only.")];
  const every = visits.length === 1 ? "the only result" : `all ${visits.length} results`;
  return [
    title,
    el("p", { class: "lead" }, "Stored on this device only, until you delete them."),
    el("ul", { class: "visits" }, ...visits.map((visit) => drawEntry(visit, deleted))),
    el(
      "div",
      { class: "actions wide" },
      drawDelete("Delete all", "", "button danger", `Delete ${every} from this device?`, async () => {
        await removeAll();
        deleted(null);
      }),
    ),
  ];
}

function nameOf(visit: Visit): string {
  return visit.label.trim() || "No name";
}

function drawEntry(visit: Visit, deleted: Deleted): HTMLElement {
  const row = visit.joined ?? SIDES.flatMap((eye) => visit.eyes[eye]?.row ?? [])[0];
  const doubtful = openDoubts(visit).length > 0;
  const said = sayResult(row?.result ?? "", visit.synthetic);
  const { tone, title } = doubtful ? { tone: "again", title: "No result: the files were not checked" } : said;
  const aside = ` ${nameOf(visit)}, ${sayWhen(visit.when)}`;
  return el(
    "li",
    { class: `card entry ${tone}` },
    el(
      "div",
      { class: "about" },
      el("strong", {}, nameOf(visit)),
      el("span", { class: "small" }, sayWhen(visit.when)),
      el("span", {}, title, visit.joined || doubtful ? "" : " (one eye)"),
    ),
    el("a", { class: "button", href: `#${OPENED}${visit.id}` }, "Open", el("span", { class: "hidden" }, aside)),
    drawDeleteOne(visit, aside, "button quiet", deleted),
  );
}

function drawVisit(visit: Visit, deleted: Deleted): HTMLElement[] {
  return [
    el("h1", { id: "history-title" }, nameOf(visit)),
    el("p", { class: "lead" }, `${sayWhen(visit.when)}. Operating point: ${sayPoint(visit.point)}.`),
    drawPrintHead(visit),
    drawResult(visit) ?? el("p", {}, "No result."),
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, false, null))),
    el(
      "div",
      { class: "actions wide" },
      el("a", { class: "button", href: "#history" }, "Back to the list"),
      el("button", { type: "button", class: "button", onclick: () => print() }, "Print"),
      drawDeleteOne(visit, "", "button danger", deleted),
    ),
  ];
}

function drawDeleteOne(visit: Visit, aside: string, style: string, deleted: Deleted): HTMLElement {
  const question = `Delete the result of ${nameOf(visit)}, ${sayWhen(visit.when)}?`;
  return drawDelete("Delete", aside, style, question, async () => {
    await remove(visit.id);
    deleted(visit.id);
  });
}

/** Draw a button that asks before it deletes. `aside` is for screen readers only. */
function drawDelete(words: string, aside: string, style: string, question: string, act: () => Promise<void>): HTMLElement {
  const onclick = async () => {
    if (await confirmDelete(`${question} This cannot be undone.`)) {
      await act().catch(() => say("It could not be deleted: the browser's storage is not available to this page.", "wrong"));
    }
  };
  return el("button", { type: "button", class: style, onclick }, words, el("span", { class: "hidden" }, aside));
}
