/** The pictures of a photograph: the crop and, behind a switch, the same with the evidence overlaid. */

import { el } from "./dom";
import type { Eye } from "./screener";
import type { Shot } from "./store";
import type { Text } from "./text";
import { words } from "./words";

const urls = new WeakMap<Blob, string>();
const { photograph: said } = words;

/** Make the address of a picture, once. */
export function urlOf(blob: Blob): string {
  const known = urls.get(blob);
  if (known) return known;
  const url = URL.createObjectURL(blob);
  urls.set(blob, url);
  return url;
}

/** Release the memory of a photograph's pictures. */
export function forget({ picture, heat }: Shot): void {
  for (const blob of [picture, heat]) {
    const url = blob && urls.get(blob);
    if (blob && url) {
      URL.revokeObjectURL(url);
      urls.delete(blob);
    }
  }
}

/** Draw the photograph and, behind a switch, the evidence. */
export function drawPictures(shot: Shot, eye: Eye): HTMLElement {
  const figure = (blob: Blob, kind: string, alt: Text, caption: Text) =>
    el("figure", { class: kind }, el("img", { src: urlOf(blob), alt, width: 512, height: 512 }), el("figcaption", {}, caption));
  const pictures = el("div", { class: "pictures", "data-shown": "photo" });
  if (shot.picture) pictures.append(figure(shot.picture, "photo", said.alt(eye), said.photograph));
  if (!shot.heat || !shot.heatOf) return pictures;
  pictures.append(figure(shot.heat, "heat", said.evidenceAlt(eye, shot.heatOf), said.evidenceCaption));
  const choices = (["photo", "heat"] as const).map((kind) => {
    const onclick = () => {
      pictures.dataset.shown = kind;
      for (const each of choices) each.setAttribute("aria-pressed", String(each === button));
    };
    const pressed = kind === "photo" ? "true" : "false";
    const button = el("button", { type: "button", class: "choice", "aria-pressed": pressed, onclick }, kind === "photo" ? said.photograph : said.evidence);
    return button;
  });
  return el("div", {}, pictures, el("div", { class: "choices", role: "group", "aria-label": said.picture(eye) }, ...choices));
}
