/** Buttons that choose files or open the system's camera, and the question which eye each file shows. */

import { type Attributes, aside, el } from "./dom";
import { readFileName } from "./names";
import type { Eye } from "./screener";
import { type Text, verbatim } from "./text";
import { words } from "./words";

export type Chosen = Record<Eye, File[]>;

const { choose: said } = words;
const CAMERA = { capture: "environment" }; // the camera at the back, where the browser knows one

/** Draw a button that chooses files. `more` is for screen readers only. */
export function drawChooser(text: Text, more: Text, style: string, attributes: Attributes, chosen: (files: File[]) => void): HTMLElement {
  const input = el("input", {
    type: "file",
    accept: "image/*",
    class: "file",
    ...attributes,
    onchange: () => {
      const files = [...(input.files ?? [])];
      input.value = ""; // so that choosing the same file again triggers an event
      if (files.length) chosen(files);
    },
  });
  return el("label", { class: style }, input, text, aside(more));
}

/** Draw the two ways to photograph an eye: with the system's camera, on devices that have one, and from a file. */
export function drawCapture(eye: Eye, isPrimary: boolean, words: Text, chosen: (files: File[]) => void): HTMLElement[] {
  const style = isPrimary ? "button primary" : "button";
  return [
    drawChooser(said.take, said.ofEye(eye), `${style} camera`, CAMERA, chosen),
    drawChooser(words, said.ofEye(eye), `${style} from-file`, {}, chosen),
  ];
}

/** Assign files to the eyes in their names, and ask about the others. Resolves to null if the user cancels. */
export async function assign(files: File[]): Promise<Chosen | null> {
  const named = files.map((file) => readFileName(file.name).eye);
  const answers = named.includes(null) ? await ask(files, named) : named;
  if (!answers) return null;
  const filesOf = (eye: Eye) => files.filter((_, i) => answers[i] === eye);
  return { right: filesOf("right"), left: filesOf("left") };
}

/** Ask which eye each file shows, with its picture. */
async function ask(files: File[], named: (Eye | null)[]): Promise<(Eye | null)[] | null> {
  const urls = files.map((file) => URL.createObjectURL(file));
  const option = (i: number, value: Eye | "", text: Text) =>
    el("label", { class: "pick" }, el("input", { type: "radio", name: `file-${i}`, value, required: true, checked: value !== "" && named[i] === value }), text);
  const questions = files.map(({ name }, i) =>
    el(
      "fieldset",
      { class: "which" },
      el("legend", {}, verbatim(name)),
      el("img", { src: urls[i], alt: verbatim(name), width: 120, height: 120 }),
      el("div", {}, option(i, "right", words.eyes.right), option(i, "left", words.eyes.left), option(i, "", said.leaveOut)),
    ),
  );
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { id: "which" }, said.which),
    el("p", {}, said.whichLong),
    ...questions,
    el(
      "div",
      { class: "actions" },
      el("button", { class: "button primary", value: "yes" }, said.use),
      el("button", { class: "button", value: "no", formnovalidate: true }, said.cancel),
    ),
  );
  const answer = await showDialog(el("dialog", { "aria-labelledby": "which" }, form));
  urls.forEach(URL.revokeObjectURL);
  const data = new FormData(form);
  return answer === "yes" ? files.map((_, i) => (data.get(`file-${i}`) || null) as Eye | null) : null;
}

/**
 * Show a dialog, and wait for its answer: the value of the button that closed it.
 *
 * Each question has its own dialog: a reused one could receive the late "close" event of the previous question.
 */
async function showDialog(dialog: HTMLDialogElement): Promise<string> {
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  dialog.remove();
  return dialog.returnValue;
}

/** Ask a question, and wait: true if the user agrees. What is dangerous is not the answer to a careless Enter. */
export async function agree(question: Text, yes: Text, no: Text, style: "primary" | "danger"): Promise<boolean> {
  const answers = el(
    "div",
    { class: "actions" },
    el("button", { class: `button ${style}`, value: "yes" }, yes),
    el("button", { class: "button", value: "no", autofocus: style === "danger" }, no),
  );
  const form = el("form", { method: "dialog" }, el("p", {}, question), answers);
  return (await showDialog(el("dialog", { "aria-label": question }, form))) === "yes";
}
