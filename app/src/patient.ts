/** The view of the patient who is photographed now. */

import { SIDES, nextStep } from "./answers";
import { assign, drawChooser } from "./chooser";
import { byId, el, tell } from "./dom";
import { openDoubts } from "./doubts";
import { type Handlers, drawEye } from "./eye";
import { drawPrint, drawResult } from "./result";
import { drawResumed } from "./resuming";
import { drawSamples } from "./samples";
import type { Eye } from "./screener";
import { choose, confirmFiles, keepInProgress, removeShot, save, session, startNext } from "./session";
import { drawLetter } from "./sheet";
import { verbatim } from "./text";
import { words } from "./words";

const { patient: said } = words;
const label = el("input", { id: "label", type: "text", autocomplete: "off", maxlength: 80, placeholder: said.optional });
const born = el("input", { id: "born", type: "date", autocomplete: "off", min: "1900-01-01" });
const body = el("div", { id: "patient" });
let drawn = ""; // id of the visit

const handlers: Handlers = { choose, remove: removeShot, confirm: confirmFiles, next: askNext };

/** Make the view, once. */
export function makePatient(): void {
  byId("new").replaceChildren(
    el("h1", { id: "new-title" }, said.title),
    el(
      "div",
      { class: "who" },
      el("div", { class: "field" }, el("label", { for: "label" }, said.label), label),
      el("div", { class: "field" }, el("label", { for: "born" }, said.born), born),
    ),
    body,
  );
  label.addEventListener("input", () => {
    session.visit.label = label.value;
    redrawLetter();
  });
  label.addEventListener("change", () => void save());
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && session.visit.label !== session.named) void keepInProgress().catch(() => undefined); // the device may end a page that is not shown
  });
  born.addEventListener("change", () => {
    born.max = new Date().toISOString().slice(0, 10); // the page may stay open for days
    session.visit.born = born.reportValidity() ? born.value : "";
    redrawLetter();
    void save();
  });
}

/** Write the letter again, after a change of what it names. */
export function redrawLetter(): void {
  body.querySelector(".letter")?.replaceWith(drawLetter(session.visit));
}

/** Start the next patient, unless photographs of this one are still being graded: they would be lost. */
function askNext(): void {
  if (SIDES.some(session.isBusy)) tell(words.resumed.busy, "wrong");
  else next();
}

/** Start the next patient. */
export function next(): void {
  startNext();
  label.value = born.value = "";
  scrollTo(0, 0);
  label.focus({ preventScroll: true });
}

/** Redraw the patient, and keep the focus; when a result has arrived, bring it onto the screen. */
export function drawPatient(arrived: boolean): void {
  const { visit, latest } = session;
  const focused = document.activeElement?.closest<HTMLElement>("#patient [data-eye], #now");
  const isBusy = SIDES.some(session.isBusy);
  const isStarted = isBusy || SIDES.some((eye) => visit.eyes[eye].length);
  const busy = el("section", { class: "card result busy", id: "now", tabindex: -1 }, el("span", { class: "spinner", "aria-hidden": "true" }), el("p", {}, words.status.lookingAll));
  const isDone = isStarted && !isBusy && !openDoubts(visit).length && nextStep(visit) === null; // the card has the buttons
  const several = drawChooser(isStarted && !visit.sample ? said.addSeveral : said.several, verbatim(""), "button", { multiple: true }, (files) => void chooseSeveral(files));
  const ends = [drawPrint(), el("button", { type: "button", class: "button", onclick: askNext }, said.next)];
  if (label.value !== visit.label) label.value = visit.label;
  if (visit.id !== drawn || (visit.born && born.value !== visit.born)) born.value = visit.born ?? ""; // what is being typed stays
  drawn = visit.id;
  body.replaceChildren(
    session.resumed ? drawResumed(visit, askNext) : "",
    isBusy ? busy : (drawResult(visit, handlers, latest) ?? ""),
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, session.isBusy(eye), handlers))),
    el("div", { class: "actions wide" }, several, ...(isStarted && !isDone ? ends : [])),
    isStarted || session.failure ? "" : drawSamples(),
    isStarted && !isBusy ? drawLetter(visit) : "",
  );
  drawBanner();
  const again = focused?.dataset.eye ? `#patient [data-eye=${focused.dataset.eye}]` : "#now";
  if (focused) document.querySelector<HTMLElement>(again)?.focus({ preventScroll: true });
  if (arrived) show(byId("now"));
}

/** Say above every view if the network, or the eyes on the page, are drawn. */
function drawBanner(): void {
  const { synthetic, sample } = session.visit;
  byId("banner").hidden = !synthetic && !sample;
  byId("banner").textContent = synthetic ? words.syntheticModel : words.samples.notice;
}

/** Scroll to a card unless it is on the screen as a whole. */
function show(card: HTMLElement): void {
  const { top, bottom } = card.getBoundingClientRect();
  const covered = document.querySelector("nav")?.getBoundingClientRect() ?? { top: 0, bottom: 0 };
  const end = covered.bottom >= innerHeight ? covered.top : innerHeight; // on a phone the navigation is at the bottom
  if (top < 0 || bottom > end) card.scrollIntoView({ block: "start" });
}

async function chooseSeveral(files: File[]): Promise<void> {
  const chosen = await assign(files);
  for (const eye of SIDES) if (chosen?.[eye].length) choose(eye, chosen[eye]);
}

/** Accept files dropped on the page: a single one for the eye it is dropped on, others by their names. */
export function takeDropped({ dataTransfer, target }: DragEvent): void {
  const files = [...(dataTransfer?.files ?? [])];
  const eye = target instanceof Element && target.closest<HTMLElement>("#new [data-eye]")?.dataset.eye;
  if (!files.length) return;
  location.hash = "new";
  if (eye && files.length === 1) choose(eye as Eye, files);
  else void chooseSeveral(files);
}
