/** How to take a good photograph: tips, and drawings of a good one and of what goes wrong. */

import { drawFold, el } from "./dom";
import { words } from "./words";

type Name = keyof typeof words.guide.pictures;

let isUnfolded = false; // as the user left it; the card is drawn again when the evidence arrives

/** Draw the guide below one line, which opens it. */
export function drawFoldedGuide(): HTMLElement {
  return drawFold(isUnfolded, words.guide.short, [drawGuide()], (isOpen) => {
    isUnfolded = isOpen;
  });
}

/** Draw the guide. */
export function drawGuide(): HTMLElement {
  const { tips, drawings, pictures } = words.guide;
  const names = Object.keys(pictures) as Name[];
  const figures = names.map((name) => {
    const [caption, alt] = pictures[name];
    return el("figure", { class: name === "good" ? "good" : "bad" }, el("img", { src: `./examples/${name}.webp`, alt, width: 160, height: 160 }), el("figcaption", {}, caption));
  });
  return el(
    "div",
    { class: "guide" },
    el("ul", {}, ...tips.map((tip) => el("li", {}, tip))),
    el("div", { class: "examples" }, ...figures),
    el("p", { class: "small" }, drawings),
  );
}
