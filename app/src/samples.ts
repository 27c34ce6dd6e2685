/** Three drawn patients, to try the page before the first patient. */

import { el, say } from "./dom";
import type { Eye } from "./screener";
import { startSample } from "./session";
import { words } from "./words";

const { samples: said } = words;
/** By sample: the files of its eyes, made by app/make_examples.py. */
const FILES: Record<keyof typeof said.names, Record<Eye, string>> = {
  negative: { right: "negative_right", left: "negative_left" },
  referable: { right: "referable_right", left: "referable_left" },
  poor: { right: "poor_right", left: "negative_left" },
};
type Name = keyof typeof FILES;

async function load(name: string, as: string): Promise<File> {
  const response = await fetch(`./samples/${name}.webp`);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return new File([await response.blob()], `${as}.webp`, { type: "image/webp" });
}

async function start(name: Name): Promise<void> {
  const { right, left } = FILES[name];
  try {
    const eyes = { right: await load(right, `drawing-${name}_right`), left: await load(left, `drawing-${name}_left`) };
    startSample(said.label(said.names[name]), eyes);
  } catch {
    say(said.missing, "wrong");
  }
}

/** Draw the offer. */
export function drawSamples(): HTMLElement {
  const names = Object.keys(FILES) as Name[];
  const buttons = names.map((name) => el("button", { type: "button", class: "button", onclick: () => void start(name) }, said.names[name]));
  return el("section", { class: "samples", "aria-labelledby": "samples" }, el("h2", { id: "samples" }, said.title), el("p", { class: "small" }, said.notice), el("div", { class: "actions" }, ...buttons));
}
