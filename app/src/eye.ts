/** An eye: what is known of it, its photographs, and the buttons to add or remove one. */

import { rowsOf, sayEye, sayPoor } from "./answers";
import { isPoor, reasonsOf } from "./checklist";
import { drawCapture } from "./chooser";
import { drawDetails, drawTitle } from "./details";
import { aside, el } from "./dom";
import { drawPictures } from "./pictures";
import { type Eye, UNREAD, isGradable } from "./screener";
import type { Shot, Visit } from "./store";
import { verbatim } from "./text";
import { sayProblem, words } from "./words";

const { photograph: said } = words;

/** Actions on an eye's photographs; a visit in the history has none. */
export interface Handlers {
  choose(eye: Eye, files: File[]): void;
  remove(eye: Eye, shot: Shot): void;
  /** The user has answered the doubts about the files. */
  confirm(): void;
  next(): void;
}

/** Draw an eye. `busy` while a photograph is being graded. */
export function drawEye(eye: Eye, visit: Visit, busy: boolean, handlers: Handlers | null): HTMLElement {
  const shots = visit.eyes[eye];
  const id = `${eye}-${visit.id}`;
  const { tone, title } = sayEye(eye, visit);
  const photographs = [...shots].reverse(); // the latest first
  const known = shots.length ? drawTitle("h3", tone, title) : el("p", { class: "blank" }, handlers ? words.eyeAnswers.absent : words.eyeAnswers.never);
  const body = busy
    ? [el("div", { class: "blank" }, el("span", { class: "spinner", "aria-hidden": "true" }), words.status.looking)]
    : [known, shots.length > 1 && rowsOf(shots).some(isGradable) && el("p", { class: "small" }, said.counts), ...photographs.map((shot, i) => drawShot(shot, visit, eye, shots.length - i, handlers))];
  return el(
    "section",
    {
      class: "card eye",
      tabindex: -1,
      "aria-labelledby": id,
      "aria-busy": busy ? "true" : "false",
      "data-eye": eye,
      "data-result": busy ? null : shots.at(-1)?.row.result,
    },
    el("h2", { id }, words.eyes[eye]),
    ...body,
    handlers && el("div", { class: "actions" }, ...drawCapture(eye, false, shots.length && !visit.sample ? words.choose.another : words.choose.photograph, (files) => handlers.choose(eye, files))),
  );
}

/** Draw a photograph, `number` among those of its eye. */
function drawShot(shot: Shot, visit: Visit, eye: Eye, number: number, handlers: Handlers | null): HTMLElement {
  const { row } = shot;
  const total = visit.eyes[eye].length;
  const poor = isPoor(row);
  const remove = () => handlers?.remove(eye, shot);
  return el(
    "div",
    { class: "shot" },
    total > 1 && el("p", { class: "number" }, said.number(number, total)),
    shot.picture && drawPictures(shot, eye),
    row.result !== UNREAD && el("p", { class: `quality ${poor ? "poor" : "good"}` }, el("span", { "aria-hidden": "true" }, verbatim(poor ? "✕" : "✓")), poor ? said.poor : said.good),
    poor && el("ul", { class: "reasons" }, ...reasonsOf(row).map(([reason]) => el("li", {}, reason))),
    poor && row.questions ? el("p", {}, sayPoor(row, eye, visit)) : null,
    ...(row.notes ?? []).map((note) => el("p", { class: "small" }, sayProblem(note))),
    drawDetails(row),
    el(
      "p",
      { class: "small file-name" },
      verbatim(shot.name),
      handlers && el("button", { type: "button", class: "button quiet", onclick: remove }, words.choose.remove, aside(words.choose.called(shot.name))),
    ),
  );
}
