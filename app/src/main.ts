/** The page: three views, the patient in front of the nurse, and the worker that looks at photographs. */

import { byId, el } from "./dom";
import { drawHistory } from "./history";
import type { Model } from "./network";
import { BALANCED, type Eye, type Seen, join, pointsOf } from "./screener";
import { type Visit, keep } from "./store";
import { type Handlers, SIDES, drawChooser, drawEye, drawPrintHead, drawResult, forget } from "./view";
import { EYES, QUESTIONS, eyeOf, sayPoint, sayResult } from "./words";
import type { Reply, Request } from "./worker";

const FIRST_VISIT = 60_000; // milliseconds to wait for everything to be kept, before going on without

let model: Model | null = null;
let worker: Worker | null = null;
let visit = newVisit();
let point = localStorage.getItem("point") ?? BALANCED;
const files: Partial<Record<Eye, File>> = {};
const asked = new Map<number, (seen: Seen) => void>();
const busy: Partial<Record<Eye, number>> = {}; // by eye: the question to the worker that counts
let questions = 0;

function newVisit(): Visit {
  // randomUUID is not there where the page is served without https.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, when: Date.now(), label: "", point: BALANCED, model: "", classes: [], eyes: {}, joined: null };
}

function say(text: string, kind = ""): void {
  const status = byId("status");
  status.textContent = text;
  status.dataset.kind = kind;
}

/** Keep the program on the device; true if it then needs no internet. */
async function keepOffline(): Promise<boolean> {
  if (!("serviceWorker" in navigator)) return false;
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), FIRST_VISIT));
  const kept = navigator.serviceWorker.register("./sw.js").then(async (registration) => {
    if (navigator.serviceWorker.controller) return true;
    const coming = registration.installing;
    return new Promise<boolean>((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", () => resolve(true), { once: true });
      coming?.addEventListener("statechange", () => coming.state === "redundant" && resolve(false));
    });
  });
  return Promise.race([kept.catch(() => false), late]);
}

function ask(file: Blob): { id: number; seen: Promise<Seen> } {
  const id = ++questions;
  const seen = new Promise<Seen>((resolve) => asked.set(id, resolve));
  worker?.postMessage({ id, file, point } satisfies Request);
  return { id, seen };
}

async function look(eye: Eye): Promise<void> {
  const file = files[eye];
  if (!file) return;
  const { id, seen } = ask(file);
  busy[eye] = id;
  draw();
  const { row, picture, heat, heatOf } = await seen;
  if (busy[eye] !== id) return; // another photograph was chosen meanwhile
  delete busy[eye];
  if (!Object.keys(visit.eyes).length) visit.when = Date.now();
  visit.eyes[eye] = { name: file.name, row, picture, heat, heatOf };
  await update();
  say(`${EYES[eye]}: ${sayResult(row.result).title}.`, "said");
}

/** Draw again and keep what there is. */
async function update(): Promise<void> {
  const { left, right } = visit.eyes;
  if (!model) return;
  visit.joined = left && right ? join(model, point, { left: left.row, right: right.row }) : null;
  Object.assign(visit, { point, model: model.name, classes: model.classes });
  draw();
  await save();
}

async function save(): Promise<void> {
  if (!Object.values(visit.eyes).some((shot) => shot.picture)) return;
  try {
    await keep(visit);
    await navigator.storage?.persist?.();
  } catch {
    say("This result is not kept in the history: the device's storage is full or closed to this page.", "wrong");
  }
}

const handlers: Handlers = {
  choose(eye, [file]) {
    files[eye] = file;
    void look(eye);
  },
  clear(eye) {
    delete files[eye];
    delete busy[eye];
    delete visit.eyes[eye];
    void update();
  },
};

/** Take several files, each to the eye that its name says. */
function chooseBoth(chosen: File[]): void {
  const eyes = chosen.map((file) => eyeOf(file.name));
  if (chosen.length === 1 && eyes[0]) return handlers.choose(eyes[0], chosen);
  if (chosen.length !== 2 || !eyes.includes("left") || !eyes.includes("right")) {
    say("The names of the files do not say which eye is which. Choose each eye by itself.", "wrong");
    return;
  }
  chosen.forEach((file, i) => handlers.choose(eyes[i] as Eye, [file]));
}

function next(): void {
  forget(visit);
  for (const eye of SIDES) {
    delete files[eye];
    delete busy[eye];
  }
  visit = newVisit();
  say("");
  draw();
  scrollTo(0, 0);
  byId("label").focus();
}

function drawPoint(): HTMLElement | null {
  if (!model) return null;
  const options = pointsOf(model).map((name) => el("option", { value: name, selected: name === point }, sayPoint(name)));
  const select = el(
    "select",
    {
      id: "point",
      onchange: () => {
        point = select.value;
        localStorage.setItem("point", point);
        for (const eye of SIDES) void look(eye);
      },
    },
    ...options,
  );
  return el("div", { class: "field last" }, el("label", { for: "point" }, "Operating point: where the limits lie"), select);
}

/** Draw the patient anew, and give the focus back to where it was. */
function draw(): void {
  const { activeElement } = document;
  const eye = activeElement?.closest<HTMLElement>("#new [data-eye]")?.dataset.eye;
  const focused = activeElement?.id ? `#${activeElement.id}` : eye && `#new [data-eye=${eye}]`;
  const head = drawPrintHead(visit);
  const label = el("input", {
    id: "label",
    type: "text",
    autocomplete: "off",
    maxlength: 80,
    value: visit.label,
    oninput: () => {
      visit.label = label.value.trim();
      head.replaceChildren(...drawPrintHead(visit).childNodes);
    },
    onchange: () => void save(), // and not drawn anew, under the click that may have ended the typing
  });
  const result = drawResult(visit);
  const both = drawChooser("Choose both eyes at once", "", "button both", { multiple: true }, chooseBoth);
  byId("new").replaceChildren(
    el("h1", { id: "new-title" }, "Patient"),
    head,
    el("div", { class: "field" }, el("label", { for: "label" }, "Name or number (optional)"), label),
    result ?? el("p", { class: "lead" }, "Choose or take a photograph of each retina. They stay on this device."),
    result ? "" : both,
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, eye in busy, handlers))),
    result
      ? el(
          "div",
          { class: "actions wide" },
          el("button", { type: "button", class: "button", onclick: () => print() }, "Print"),
          el("button", { type: "button", class: "button primary", onclick: next }, "Next patient"),
        )
      : "",
    drawPoint() ?? "",
  );
  if (focused) document.querySelector<HTMLElement>(focused)?.focus({ preventScroll: true });
}

function drawFacts(of: Model): void {
  const facts = [
    ["Network", of.name],
    ["It answers", of.classes.join(", ")],
    ["Trained on", of.synthetic ? "synthetic photographs: it says nothing about patients" : "photographs of patients"],
    ["Questions", Object.keys(of.decision).flatMap((name) => (name in QUESTIONS ? [QUESTIONS[name as keyof typeof QUESTIONS]] : [])).join(", ")],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function show(): void {
  const wanted = location.hash.slice(1);
  const view = ["new", "history", "about"].includes(wanted) ? wanted : "new";
  for (const section of document.querySelectorAll<HTMLElement>("main > section")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "history") void drawHistory();
  scrollTo(0, 0);
}

function started(ready: Model, offline: boolean): void {
  model = ready;
  if (!pointsOf(model).includes(point)) point = BALANCED;
  drawFacts(model);
  draw();
  const warning = model.synthetic ? " Trained on synthetic photographs: it says nothing about patients." : "";
  say(offline ? `Ready. No internet is needed.${warning}` : `Ready, but only with a connection.${warning}`, warning ? "wrong" : "ready");
}

async function start(): Promise<void> {
  addEventListener("hashchange", show);
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
  addEventListener("drop", ({ dataTransfer }: DragEvent) => dataTransfer?.files.length && chooseBoth([...dataTransfer.files]));
  draw();
  show();
  if (typeof OffscreenCanvas === "undefined" || typeof DecompressionStream === "undefined") {
    say("This browser is too old. EyeNet needs Safari 16.4, Chrome 105, Firefox 121 or a later one.", "wrong");
    return;
  }
  say("Getting ready. The first visit loads about 12 MB, once.");
  const offline = await keepOffline();
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    if (data.kind === "ready") started(data.model, offline);
    else if (data.kind === "failed") {
      for (const eye of SIDES) delete busy[eye];
      draw();
      say(data.message, "wrong");
    } else {
      asked.get(data.id)?.(data.seen);
      asked.delete(data.id);
    }
  });
  worker.addEventListener("error", () => say("The program could not start. Reload the page.", "wrong"));
  for (const eye of SIDES) void look(eye); // what was chosen meanwhile
}

void start();
