/** The pictures of a photograph: the crop and, one tap away from it, the same with the contours of the evidence. */

import { aside, el } from "./dom";
import { LEVELS, WHOLE } from "./evidence";
import type { Eye } from "./screener";
import type { Shot } from "./store";
import type { Text } from "./text";
import { words } from "./words";

/** What the user chose for a photograph: the picture, and which of LEVELS the contours enclose. */
interface Chosen {
  kind: "photo" | "evidence";
  level: number;
}

export const USUAL = LEVELS.indexOf(0.3); // encloses a few areas of most photographs
const SVG = "http://www.w3.org/2000/svg";
const urls = new WeakMap<Blob, string>();
const choices = new WeakMap<Shot, Chosen>(); // kept while the page is drawn again
const { photograph: said } = words;

/** Make the address of a picture, once. */
function urlOf(blob: Blob): string {
  const known = urls.get(blob);
  if (known) return known;
  const url = URL.createObjectURL(blob);
  urls.set(blob, url);
  return url;
}

/** Release the memory of a photograph's picture. */
export function forget({ picture }: Shot): void {
  const url = picture && urls.get(picture);
  if (!picture || !url) return;
  URL.revokeObjectURL(url);
  urls.delete(picture);
}

/** Draw the photograph and, one tap away, the same with the contours of the evidence. */
export function drawPictures(shot: Shot, eye: Eye): HTMLElement {
  const { picture, contours, contoursOf } = shot;
  const isNothing = contours?.length === 0;
  const photograph = drawFigure("photo", drawFrame(picture, isNothing ? said.nothingAlt(eye) : said.alt(eye)), isNothing ? said.nothing : null);
  const pictures = el("div", { class: "pictures" }, photograph);
  if (!contours?.length || !contoursOf) return pictures;
  const lines = drawLines();
  const evidence = drawFigure("evidence", drawFrame(picture, said.evidenceAlt(eye, contoursOf), lines), said.evidenceCaption);
  const chosen = choices.get(shot) ?? { kind: "evidence", level: USUAL };
  choices.set(shot, chosen);
  pictures.append(evidence);
  pictures.dataset.shown = chosen.kind;
  return el("div", {}, pictures, drawLevel(chosen, eye, (level) => setLines(lines, contours[level])), drawSwitch(pictures, chosen, eye));
}

function drawFigure(kind: string, frame: HTMLElement, caption: Text | null): HTMLElement {
  return el("figure", { class: kind }, frame, caption && el("figcaption", {}, caption));
}

/** Draw a picture and, on it, the contours. */
export function drawFrame(picture: Blob | null, alt: Text, lines: SVGSVGElement | null = null): HTMLElement {
  return el("div", { class: "frame" }, picture && el("img", { src: urlOf(picture), alt, width: 512, height: 512 }), lines);
}

/** Draw contours, a path: a light line in a dark one, which stands out on a dark and on a bright retina, in grey too. */
export function drawLines(path = ""): SVGSVGElement {
  const lines = document.createElementNS(SVG, "svg");
  lines.setAttribute("viewBox", `0 0 ${WHOLE} ${WHOLE}`);
  lines.setAttribute("preserveAspectRatio", "xMinYMin"); // as the picture lies on paper
  lines.setAttribute("aria-hidden", "true"); // the picture's text says it
  lines.append(document.createElementNS(SVG, "path"), document.createElementNS(SVG, "path"));
  setLines(lines, path);
  return lines;
}

function setLines(lines: SVGSVGElement, path: string): void {
  for (const line of lines.children) line.setAttribute("d", path);
}

/** Draw the slider of the level; `show` draws the contours. */
function drawLevel(chosen: Chosen, eye: Eye, show: (level: number) => void): HTMLElement {
  const value = el("output", { class: "small" });
  const slider = el("input", { type: "range", min: 0, max: LEVELS.length - 1, value: chosen.level });
  const update = () => {
    chosen.level = slider.valueAsNumber;
    value.textContent = said.levelIs(LEVELS[chosen.level]);
    slider.setAttribute("aria-valuetext", value.textContent);
    show(chosen.level);
  };
  slider.addEventListener("input", update);
  update();
  return el("div", { class: "level" }, el("label", {}, said.level, aside(said.levelOf(eye)), slider), value);
}

/** Draw the buttons that choose between the photograph and the evidence. */
function drawSwitch(pictures: HTMLElement, chosen: Chosen, eye: Eye): HTMLElement {
  const buttons = (["photo", "evidence"] as const).map((kind) => {
    const onclick = () => {
      pictures.dataset.shown = chosen.kind = kind;
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
    };
    const button = el("button", { type: "button", class: "choice", "aria-pressed": String(kind === chosen.kind), onclick }, kind === "photo" ? said.photograph : said.evidence);
    return button;
  });
  return el("div", { class: "choices", role: "group", "aria-label": said.picture(eye) }, ...buttons);
}
