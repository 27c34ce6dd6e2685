/** The card at the top: what to do next and, when there is one, the answer for the patient. */

import { SIDES, type Step, nextStep, sayAlone, sayEye, sayPatient } from "./answers";
import { drawChecklist, drawTodo, isPoor } from "./checklist";
import { drawCapture } from "./chooser";
import { sayDays } from "./days";
import { drawDetails, drawTitle } from "./details";
import { el } from "./dom";
import { type Doubt, openDoubts } from "./doubts";
import type { Handlers } from "./eye";
import { drawFoldedGuide, drawGuide } from "./guide";
import { sayPoint, sayUnsure } from "./points";
import { AGAIN, ATTEMPTS, type Eye, UNSURE } from "./screener";
import { sayNetwork } from "./seen";
import type { Visit } from "./store";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const { patient: said } = words;

const countOf = ({ eyes }: Visit): number => eyes.right.length + eyes.left.length;

/** Say what the card says, for those who hear the page: first of the eye that was photographed. */
export function announce(visit: Visit, latest: Eye | null): Text {
  const doubtful = openDoubts(visit).length > 0;
  const step = nextStep(visit);
  const eye = latest && words.eyeLine(latest, sayEye(latest, visit).title);
  const answer = doubtful ? words.status.check : titleOf(visit, step);
  const next = step && !doubtful && answer !== sayStep(step, visit) ? sayStep(step, visit) : null;
  const attempt = step && !doubtful ? sayAttempt(step, visit) : null;
  return words.status.sentences(...[eye, answer, next, attempt].filter((part) => part !== null));
}

/** Mark an instruction in a sample, for which nobody is photographed. */
const mark = (text: Text, { sample }: Visit): Text => (sample ? words.demonstration(text) : text);

/** Say what to do next. */
const sayStep = ({ eye, again }: NonNullable<Step>, visit: Visit): Text => mark(again ? said.againIs(eye) : said.nextIs(eye), visit);

/** Say after a poor photograph that the next one is the last attempt; null if it is not, or if the patient is referred already. */
function sayAttempt({ attempt }: NonNullable<Step>, visit: Visit): Text | null {
  const result = visit.joined?.result ?? AGAIN;
  if (attempt !== ATTEMPTS || (result !== AGAIN && result !== UNSURE)) return null;
  return mark((result === UNSURE ? said.attemptUnsure : said.attempt)(attempt - 1, ATTEMPTS), visit);
}

/** Title the card: with the answer, or with the next step while there is none. */
function titleOf(visit: Visit, step: Step): Text {
  return isOpen(visit, step) && step ? sayStep(step, visit) : sayPatient(visit).title;
}

/** Tell whether an eye must be photographed before there is an answer. */
const isOpen = (visit: Visit, step: Step): boolean => step !== null && (visit.joined?.result ?? AGAIN) === AGAIN;

/** Draw the card; `latest` is the eye that was photographed last. Without handlers, as in the history, there is no next step. */
export function drawResult(visit: Visit, handlers: Handlers | null = null, latest: Eye | null = null): HTMLElement | null {
  const step = handlers && nextStep(visit);
  if (!countOf(visit)) return step && handlers ? drawFirst(step, handlers) : null;
  const doubts = openDoubts(visit);
  if (doubts.length) return drawDoubts(doubts, visit, handlers);
  const open = isOpen(visit, step);
  const { tone, title, text } = sayPatient(visit);
  const id = `result-${visit.id}`;
  const photographed = SIDES.filter((eye) => visit.eyes[eye].length);
  const days = sayDays(visit);
  const rate = sayUnsure(visit.unsure);
  const alone = visit.joined?.result === UNSURE && sayAlone(visit);
  const attempt = step && sayAttempt(step, visit);
  return el(
    "section",
    { class: `card result ${open ? "again" : tone}`, id: handlers && "now", tabindex: -1, "aria-labelledby": id, "data-result": visit.joined?.result ?? AGAIN },
    el("p", { class: "over" }, open && step ? said.step(step.number) : photographed.length === 2 ? words.both : words.only(photographed[0])),
    open && step ? drawTitle("h2", step.again ? "again" : "none", sayStep(step, visit), id) : drawTitle("h2", tone, title, id),
    open ? null : text && el("p", {}, text),
    el("ul", { class: "lines" }, ...SIDES.map((eye) => drawLine(eye, visit, handlers !== null))),
    days && el("p", { class: "days" }, days),
    handlers && drawLatest(visit, latest, step),
    !open && step && el("p", { class: "over" }, said.step(step.number)),
    !open && step && el("p", { class: "step" }, el("strong", {}, sayStep(step, visit))),
    attempt && el("p", {}, el("strong", {}, attempt)),
    step && drawFoldedGuide(),
    handlers && drawActions(step, handlers),
    words.unreviewed && el("p", { class: "small" }, words.unreviewed),
    drawDetails(visit.joined, [
      alone ? el("p", { class: "small" }, words.details.alone(alone)) : null,
      el("p", { class: "small" }, words.notCovered),
      el("p", { class: "small" }, words.details.network(sayNetwork(visit))),
      el("p", { class: "small" }, words.details.point(sayPoint(visit.point))),
      rate && el("p", { class: "small" }, words.details.point(rate)),
    ]),
  );
}

function drawLine(eye: Eye, visit: Visit, isNow: boolean): HTMLElement {
  const { tone, title } = sayEye(eye, visit);
  const isThere = visit.eyes[eye].length > 0;
  const line = isThere || isNow ? title : words.eyeAnswers.never;
  return el("li", {}, drawTitle("p", isThere ? tone : "none", words.eyeLine(eye, line)));
}

/** Draw the checklist of the photograph that must be taken again, with what to do, or of the latest one. */
function drawLatest(visit: Visit, latest: Eye | null, step: Step): HTMLElement | null {
  const eye = step?.again ? step.eye : latest;
  const row = eye && visit.eyes[eye].at(-1)?.row;
  if (!eye || !row || !(step || isPoor(row))) return null;
  const number = visit.eyes[eye].length;
  const todo = step?.eye === eye ? drawTodo(row) : null;
  return el("div", { class: "latest" }, el("h3", {}, words.checklist.title(eye, number)), drawChecklist(row), todo && el("p", {}, words.checklist.todo), todo);
}

function drawActions(step: Step, handlers: Handlers): HTMLElement {
  if (step) return el("div", { class: "actions" }, ...drawCapture(step.eye, true, words.choose.photograph, (files) => handlers.choose(step.eye, files)));
  return el("div", { class: "actions" }, el("button", { type: "button", class: "button primary", onclick: handlers.next }, said.next), drawPrint());
}

export const drawPrint = (): HTMLElement => el("button", { type: "button", class: "button", onclick: () => print() }, said.print);

/** Draw the first step: how to photograph, and the buttons. */
function drawFirst(step: NonNullable<Step>, handlers: Handlers): HTMLElement {
  return el(
    "section",
    { class: "card first", id: "now", tabindex: -1, "aria-labelledby": "first" },
    el("p", { class: "over" }, said.step(step.number)),
    el("h2", { id: "first" }, said.photograph(step.eye)),
    drawGuide(),
    drawActions(step, handlers),
    el("p", { class: "small" }, said.stay),
  );
}

/** Ask about files that may not be these eyes of this patient; until then there is no result for the patient. */
function drawDoubts(doubts: Doubt[], visit: Visit, handlers: Handlers | null): HTMLElement {
  const asks = handlers !== null && doubts.every(({ certain }) => !certain);
  const id = `result-${visit.id}`;
  const confirm = () => handlers?.confirm();
  return el(
    "section",
    { class: "card result again", id: handlers && "now", tabindex: -1, "aria-labelledby": id, "data-result": "doubtful" },
    drawTitle("h2", "again", words.doubts.title, id),
    el("p", {}, words.doubts.none),
    el("ul", { class: "reasons" }, ...doubts.map(({ text }) => el("li", {}, text))),
    words.unreviewed && el("p", { class: "small" }, words.unreviewed),
    asks && el("p", {}, words.doubts.wrong),
    asks && el("div", { class: "actions" }, el("button", { type: "button", class: "button", onclick: confirm }, words.doubts.correct)),
  );
}

export const nameOf = ({ label }: Visit): Text => (label.trim() ? verbatim(label.trim()) : said.noName);
