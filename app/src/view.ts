/** Drawing a visit: the patient's result, and each eye with its photograph, quality, answers and evidence. */

import { el } from "./dom";
import { type Doubt, openDoubts } from "./doubts";
import type { Question } from "./probabilities";
import { AGAIN, type Eye, RETAKE, type Row, UNREAD, isGradable } from "./screener";
import type { Shot, Visit } from "./store";
import { EYES, NOT_A_DEVICE, QUESTIONS, REFER_AND_RETAKE, type Tone, percents, sayPoint, sayReasons, sayResult, sayWhen } from "./words";

const SYMBOLS: Record<Tone, string> = { refer: "!", mild: "!", clear: "✓", again: "↻", none: "–" };
export const SIDES: Eye[] = ["right", "left"]; // as seen when facing the patient

/** Actions on an eye's photograph; a visit in the history has none. */
export interface Handlers {
  choose(eye: Eye, files: File[]): void;
  clear(eye: Eye): void;
  /** The user has answered the doubts about the files. */
  confirm(): void;
}

const urls = new WeakMap<Blob, string>();

function urlOf(blob: Blob): string {
  const known = urls.get(blob);
  if (known) return known;
  const url = URL.createObjectURL(blob);
  urls.set(blob, url);
  return url;
}

/** Release the memory of an eye's pictures. */
export function forget({ picture, heat }: Shot): void {
  for (const blob of [picture, heat]) {
    const url = blob && urls.get(blob);
    if (blob && url) {
      URL.revokeObjectURL(url);
      urls.delete(blob);
    }
  }
}

/** Draw the result of the patient, or of the only eye; null before there is a result. */
export function drawResult(visit: Visit, handlers: Handlers | null = null): HTMLElement | null {
  const shots = SIDES.flatMap((eye) => (visit.eyes[eye] ? [[eye, visit.eyes[eye]] as const] : []));
  if (!shots.length) return null;
  const doubts = openDoubts(visit);
  if (doubts.length) return drawDoubts(doubts, visit, handlers);
  const [eye, shot] = shots[0];
  const row = visit.joined ?? shot.row;
  const said = sayResult(row.result, visit.synthetic);
  const head = visit.joined ? "Both eyes" : `${EYES[eye]} only`;
  const lines = visit.joined ? sayMissing(row.reasons) : [];
  if (!visit.joined && row.questions && !isGradable(row)) lines.push(REFER_AND_RETAKE);
  if (!visit.joined) lines.push(`Add the ${eye === "right" ? "left" : "right"} eye for the patient's result.`);
  return el(
    "section",
    { class: `card result ${said.tone}`, "aria-labelledby": `result-${visit.id}`, "data-result": row.result },
    el("p", { class: "over" }, head),
    drawTitle("h2", said.tone, said.title, `result-${visit.id}`),
    said.text && el("p", {}, said.text),
    ...lines.map((line) => el("p", {}, line)),
    visit.joined && drawAnswers(row, visit.classes),
    el("p", { class: "small" }, `Answered by ${visit.model}.`),
    el("p", { class: "print-only small" }, `${NOT_A_DEVICE} Operating point: ${sayPoint(visit.point)}.`),
  );
}

/** Ask about files that may not be these eyes of this patient; until then there is no result for the patient. */
function drawDoubts(doubts: Doubt[], visit: Visit, handlers: Handlers | null): HTMLElement {
  const asks = handlers !== null && doubts.every(({ certain }) => !certain);
  const confirm = () => handlers?.confirm();
  return el(
    "section",
    { class: "card result again", "aria-labelledby": `result-${visit.id}`, "data-result": "doubtful" },
    drawTitle("h2", "again", "Please check the files", `result-${visit.id}`),
    el("p", {}, "There is no result for the patient until this is clear."),
    el("ul", { class: "reasons" }, ...doubts.map(({ text }) => el("li", {}, text))),
    asks && el("p", {}, "If a file is wrong, choose another one below."),
    asks && el("div", { class: "actions" }, el("button", { type: "button", class: "button", onclick: confirm }, "The files are correct")),
  );
}

/** Turn "left eye: photograph again" into a sentence. */
function sayMissing(reasons: string[]): string[] {
  const again = reasons.filter((reason) => !reason.endsWith(RETAKE));
  if (again.length > 1) return ["Both eyes need another photograph."];
  return reasons.map((reason) => {
    const eye = reason.split(" ")[0];
    if (reason.endsWith(RETAKE)) return `The photograph of the ${eye} eye is poor. Take it again if possible, and refer in any case.`;
    return `The ${eye} eye needs another photograph: without it, disease cannot be ruled out.`;
  });
}

function drawTitle(tag: "h2" | "h3", tone: Tone, title: string, id?: string): HTMLElement {
  return el(tag, { class: `title ${tone}`, id }, el("span", { class: "symbol", "aria-hidden": "true" }, SYMBOLS[tone]), title);
}

/** Draw the answers of a row: for each question the probability, as a number and a bar, and the threshold. */
function drawAnswers(row: Row, classes: string[]): HTMLElement | null {
  const answers = Object.entries(row.questions ?? {}).filter(([, answer]) => answer.probability !== null);
  if (!answers.length) return null;
  const lines = answers.map(([question, { probability, threshold, disease }]) => {
    const [value, least] = [probability ?? 0, threshold ?? 0];
    const bar = el("span", { class: `meter ${disease ? "called" : ""}`, "aria-hidden": "true" }, el("i"), el("b"));
    bar.style.setProperty("--value", String(value));
    bar.style.setProperty("--least", String(least));
    const [said, shown] = percents(value, least);
    return el(
      "div",
      {},
      el("dt", {}, QUESTIONS[question as Question]),
      el("dd", {}, el("strong", {}, said), ` ${disease ? "reaches" : "is below"} the threshold\u00a0of\u00a0${shown}`, bar),
    );
  });
  const grade = row.grade !== undefined && classes[row.grade];
  return el(
    "dl",
    { class: "answers" },
    ...lines,
    grade && el("div", {}, el("dt", {}, "Estimated grade"), el("dd", {}, `${row.grade} of 4, ${grade}`)),
  );
}

/** Draw an eye: its result, or the buttons to choose a photograph. `busy` while its photograph is being graded. */
export function drawEye(eye: Eye, visit: Visit, busy: boolean, handlers: Handlers | null): HTMLElement {
  const shot = visit.eyes[eye];
  const id = `${eye}-${visit.id}`;
  const body = busy ? [drawBusy()] : shot ? drawShot(shot, visit, eye) : [drawEmpty(handlers)];
  return el(
    "section",
    {
      class: "card eye",
      tabindex: -1,
      "aria-labelledby": id,
      "aria-busy": busy ? "true" : "false",
      "data-eye": eye,
      "data-result": busy ? null : shot?.row.result,
    },
    el("h2", { id }, EYES[eye]),
    ...body,
    !busy && handlers && drawButtons(eye, Boolean(shot), handlers),
  );
}

function drawBusy(): HTMLElement {
  return el("div", { class: "blank" }, el("span", { class: "spinner", "aria-hidden": "true" }), "Looking at the photograph…");
}

function drawEmpty(handlers: Handlers | null): HTMLElement {
  return el("div", { class: "blank" }, handlers ? "No photograph yet" : "No photograph was taken");
}

function drawShot(shot: Shot, visit: Visit, eye: Eye): (HTMLElement | null)[] {
  const { row } = shot;
  const said = sayResult(row.result, visit.synthetic);
  const poor = row.result === UNREAD || !isGradable(row);
  const quality = poor ? "Not good enough to grade" : "Good enough to grade";
  return [
    shot.picture && drawPictures(shot, eye),
    row.result !== UNREAD
      ? el("p", { class: `quality ${poor ? "poor" : "good"}` }, el("span", { "aria-hidden": "true" }, poor ? "✕" : "✓"), quality)
      : null,
    drawTitle("h3", said.tone, row.result === AGAIN && poor ? "Photograph this eye again" : said.title),
    poor && row.questions ? el("p", {}, REFER_AND_RETAKE) : null,
    poor ? el("ul", { class: "reasons" }, ...sayReasons(row.reasons).map((reason) => el("li", {}, reason))) : null,
    drawAnswers(row, visit.classes),
    ...(row.notes ?? []).map((note) => el("p", { class: "small" }, note)),
    el("p", { class: "small" }, shot.name),
  ];
}

/** Draw the photograph and, behind a switch, the same with the evidence overlaid. On paper both are shown. */
function drawPictures(shot: Shot, eye: Eye): HTMLElement {
  const figure = (blob: Blob, kind: string, words: string, caption: string) =>
    el(
      "figure",
      { class: kind },
      el("img", { src: urlOf(blob), alt: words, width: 512, height: 512 }),
      el("figcaption", {}, caption),
    );
  const side = EYES[eye].toLowerCase();
  const pictures = el("div", { class: "pictures", "data-shown": "photo" });
  if (shot.picture) pictures.append(figure(shot.picture, "photo", `Photograph of the ${side}`, "Photograph"));
  if (!shot.heat || !shot.heatOf) return pictures;
  const what = QUESTIONS[shot.heatOf].toLowerCase();
  pictures.append(figure(shot.heat, "heat", `${EYES[eye]} with the evidence for ${what}`, `Green to yellow: evidence for ${what}.`));
  const choices = [
    ["photo", "Photograph"],
    ["heat", "Evidence"],
  ].map(([kind, words]) =>
    el(
      "button",
      {
        type: "button",
        class: "choice",
        "aria-pressed": kind === "photo" ? "true" : "false",
        onclick: (event: Event) => {
          pictures.dataset.shown = kind;
          for (const each of choices) each.setAttribute("aria-pressed", String(each === event.currentTarget));
        },
      },
      words,
    ),
  );
  return el("div", {}, pictures, el("div", { class: "choices", role: "group", "aria-label": `Picture of the ${side}` }, ...choices));
}

function drawButtons(eye: Eye, again: boolean, handlers: Handlers): HTMLElement {
  const side = EYES[eye].toLowerCase();
  return el(
    "div",
    { class: "actions" },
    drawChooser(again ? "Choose another" : "Choose photograph", ` ${side}`, again ? "button" : "button primary", {}, (files) =>
      handlers.choose(eye, files),
    ),
    drawChooser("Take photograph", ` ${side}`, "button camera", { capture: "environment" }, (files) => handlers.choose(eye, files)),
    again &&
      el("button", { type: "button", class: "button quiet", onclick: () => handlers.clear(eye) }, "Remove", el("span", { class: "hidden" }, ` ${side}`)),
  );
}

/** Draw a button that chooses files. `aside` is for screen readers only. */
export function drawChooser(
  words: string,
  aside: string,
  style: string,
  attributes: Record<string, unknown>,
  chosen: (files: File[]) => void,
): HTMLElement {
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
  return el("label", { class: style }, input, words, el("span", { class: "hidden" }, aside));
}

/** Draw the header of a printed page. */
export function drawPrintHead(visit: Visit): HTMLElement {
  return el(
    "div",
    { class: "print-only head" },
    el("strong", {}, `EyeNet: ${visit.label || "patient without a name"}`),
    el("span", {}, sayWhen(visit.when)),
    el("span", { class: "sign" }, "Checked by:"),
  );
}

/**
 * Ask before something is deleted.
 *
 * Each question has its own dialog: a reused one could receive the late "close" event of the previous question.
 */
export async function confirmDelete(question: string): Promise<boolean> {
  const dialog = el(
    "dialog",
    { "aria-label": question },
    el(
      "form",
      { method: "dialog" },
      el("p", {}, question),
      el(
        "div",
        { class: "actions" },
        el("button", { class: "button danger", value: "yes" }, "Delete"),
        el("button", { class: "button", value: "no", autofocus: true }, "Keep"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  dialog.remove();
  return dialog.returnValue === "yes";
}
