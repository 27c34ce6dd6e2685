/** Draws the letter for the printer: one page, A4 or US Letter, in black and white too. It is not shown on the screen. */

import { recallClinic } from "./clinic";
import { drawTitle } from "./details";
import { el } from "./dom";
import { type EyePart, type Letter, type Line, writeLetter } from "./letter";
import { USUAL, drawFrame, drawLines } from "./pictures";
import type { Visit } from "./store";
import type { Text } from "./text";

/** Draw the letter of a visit. */
export function drawLetter(visit: Visit): HTMLElement {
  const letter = writeLetter(visit, recallClinic());
  const [warning, ...why] = letter.demonstration;
  return el(
    "article",
    { class: "letter print-only" },
    warning && el("div", { class: "warning" }, el("strong", {}, warning), ...why.map((line) => el("p", {}, line))),
    el("header", {}, letter.clinic && el("strong", {}, letter.clinic), ...letter.reach.map((line) => el("p", {}, line)), el("h1", {}, letter.title)),
    el("dl", { class: "about" }, ...letter.about.map(drawLine)),
    el("section", { class: "answer" }, el("p", {}, letter.result), drawTitle("h2", letter.tone, letter.answer), letter.note && el("p", {}, letter.note), letter.urgency && el("dl", {}, drawLine(letter.urgency)), letter.unreviewed && el("p", { class: "small" }, letter.unreviewed)),
    letter.eyes.length > 0 && el("div", { class: "both" }, ...letter.eyes.map(drawEyePart)),
    el("dl", { class: "advice" }, ...letter.advice.map(drawLine)),
    letter.decision && drawDecision(letter.decision),
    el("footer", {}, ...letter.foot.map((line) => el("p", {}, line))),
  );
}

/** Draw a label and its text, or a line to write on. */
function drawLine([label, text]: Line): HTMLElement {
  return el("div", {}, el("dt", {}, label), el("dd", { class: text === null && "write" }, text));
}

function drawEyePart({ eye, tone, finding, shot, captions, lines }: EyePart): HTMLElement {
  const figure = (caption: Text, lines?: SVGSVGElement) => el("figure", {}, drawFrame(shot?.picture ?? null, caption, lines), el("figcaption", {}, caption));
  const figures = shot?.picture ? [figure(captions.picture)] : [];
  if (shot?.picture && shot.contours?.length) figures.push(figure(captions.evidence, drawLines(shot.contours[USUAL])));
  return el(
    "section",
    {},
    el("h3", {}, eye),
    drawTitle("p", tone, finding),
    figures.length > 0 && el("div", { class: "figures" }, ...figures),
    el("ul", {}, ...lines.map((line) => el("li", {}, line))),
  );
}

/** Draw what the doctor fills in. */
function drawDecision({ title, boxes, other, lines }: NonNullable<Letter["decision"]>): HTMLElement {
  return el(
    "section",
    { class: "decision" },
    el("h2", {}, title),
    el("ul", { class: "boxes" }, ...boxes.map((box) => el("li", {}, box)), el("li", { class: "write" }, other)),
    el("dl", { class: "sign" }, ...lines.map(drawLine)),
  );
}
