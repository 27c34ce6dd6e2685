/** The page: its three views, the current patient, and the worker that grades photographs. */

import { byId, el, say } from "./dom";
import { openDoubts } from "./doubts";
import { drawHistory, isHistory } from "./history";
import type { Model } from "./network";
import { readFileName } from "./names";
import { keepOffline } from "./offline";
import { TASKS } from "./probabilities";
import { BALANCED, type Eye, type Seen, join, ownPoint, pointsOf } from "./screener";
import { type Shot, type Visit, addHeat, keep, recallPoint, rememberPoint, remove } from "./store";
import { type Handlers, SIDES, drawChooser, drawEye, drawPrintHead, drawResult, forget } from "./view";
import { EYES, QUESTIONS, SYNTHETIC_MODEL, sayMeasured, sayNetwork, sayPoint, sayResult, trainedOn } from "./words";
import type { Reply, Request } from "./worker";

const label = byId<HTMLInputElement>("label");
const files: Partial<Record<Eye, File>> = {};
const asked = new Map<number, (seen: Seen) => void>();
const unexplained = new Map<number, { shot: Shot; eye: Eye; id: string }>(); // graded, and waiting for the evidence
const busy: Partial<Record<Eye, number>> = {}; // by eye: the latest request to the worker
let model: Model | null = null; // photographs wait until it is loaded
let failure = ""; // why it could not be loaded
let worker: Worker | null = null;
let point = recallPoint() ?? ""; // until the model is loaded, which may have it or its own
let visit = newVisit();
let kept = false; // whether the visit is in the history
let questions = 0;

function newVisit(): Visit {
  // crypto.randomUUID does not exist when the page is served without https.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, when: Date.now(), label: "", point: BALANCED, model: "", classes: [], synthetic: false, eyes: {}, joined: null };
}

/** Grade the photograph of an eye, if there is one. */
async function look(eye: Eye): Promise<void> {
  const file = files[eye];
  if (!file) return;
  if (failure) return say(failure, "wrong");
  drop(eye); // the old result is for another photograph or other thresholds
  const id = ++questions;
  busy[eye] = id;
  draw();
  if (!model) return;
  const seen = new Promise<Seen>((resolve) => asked.set(id, resolve));
  worker?.postMessage({ id, file, point } satisfies Request);
  const { row, fingerprint, picture, heatOf } = await seen;
  if (busy[eye] !== id) return; // another photograph was chosen meanwhile, or the next patient started
  delete busy[eye];
  const shot: Shot = { name: file.name, fingerprint, row, picture, heat: null, heatOf };
  visit.eyes[eye] = shot;
  if (heatOf) unexplained.set(id, { shot, eye, id: visit.id });
  await update(`${EYES[eye]}: ${sayResult(row.result, visit.synthetic).title}.`);
}

/** Show the evidence of a photograph, or add it to the history if the next patient has started. */
async function explain(id: number, heat: Blob): Promise<void> {
  const waiting = unexplained.get(id);
  unexplained.delete(id);
  if (!waiting) return; // another photograph was chosen meanwhile
  const { shot, eye, id: of } = waiting;
  if (visit.id !== of) return addHeat(of, eye, shot.fingerprint, heat).catch(() => undefined); // not stored at all
  if (visit.eyes[eye] !== shot) return; // removed, or graded again
  shot.heat = heat;
  draw();
  await save();
}

/** Remove the result of an eye. */
function drop(eye: Eye): void {
  const shot = visit.eyes[eye];
  if (shot) forget(shot);
  delete visit.eyes[eye];
  delete busy[eye];
  visit.joined = null;
}

/** Join the eyes, redraw, and save the visit. */
async function update(said: string): Promise<void> {
  if (!model) return;
  const { left, right } = visit.eyes;
  visit.joined = left && right && !openDoubts(visit).length ? join(model, point, { left: [left.row], right: [right.row] }) : null;
  Object.assign(visit, { point, model: sayNetwork(model), classes: model.classes, synthetic: model.synthetic });
  draw();
  say(openDoubts(visit).length ? `${said} Please check the files: there is no result for the patient yet.` : said, "said");
  await save();
}

/** Save the visit in the history, or remove it when it has no photograph left. */
async function save(): Promise<void> {
  const worthIt = Object.values(visit.eyes).some((shot) => shot.picture);
  if (!worthIt && !kept) return;
  const first = !kept;
  kept = worthIt;
  try {
    await (worthIt ? keep(visit) : remove(visit.id));
    if (first) await navigator.storage?.persist?.();
  } catch {
    say("This result is not kept in the history: the device's storage is full, or not available to this page.", "wrong");
  }
}

const handlers: Handlers = {
  choose(eye, [file]) {
    if (!Object.keys({ ...visit.eyes, ...busy }).length) visit.when = Date.now();
    files[eye] = file;
    void look(eye);
  },
  clear(eye) {
    delete files[eye];
    drop(eye);
    void update(`${EYES[eye]}: removed.`);
  },
  confirm() {
    visit.confirmed = openDoubts(visit).map(({ text }) => text);
    void update("The files are confirmed.");
  },
};

/** Assign several files to the eyes in their names. */
function chooseBoth(chosen: File[]): void {
  const eyes = chosen.map((file) => readFileName(file.name).eye);
  if (chosen.length === 1 && eyes[0]) return handlers.choose(eyes[0], chosen);
  if (chosen.length !== 2 || !eyes.includes("left") || !eyes.includes("right")) {
    say("The file names do not say which eye is which. Choose each eye separately.", "wrong");
    return;
  }
  chosen.forEach((file, i) => handlers.choose(eyes[i] as Eye, [file]));
}

/** Accept files dropped on the page: a single one for the eye it is dropped on, others by their names. */
function takeDropped({ dataTransfer, target }: DragEvent): void {
  const chosen = [...(dataTransfer?.files ?? [])];
  const eye = target instanceof Element && target.closest<HTMLElement>("#new [data-eye]")?.dataset.eye;
  if (!chosen.length) return;
  location.hash = "new";
  if (eye && chosen.length === 1) handlers.choose(eye as Eye, chosen);
  else chooseBoth(chosen);
}

function next(): void {
  for (const eye of SIDES) {
    delete files[eye];
    drop(eye);
  }
  visit = { ...newVisit(), synthetic: model?.synthetic ?? false };
  kept = false;
  label.value = "";
  say("");
  draw();
  scrollTo(0, 0);
  label.focus();
}

function drawPoint(graded: Model): HTMLElement {
  const options = pointsOf(graded).map((name) => el("option", { value: name, selected: name === point }, sayPoint(name, name === ownPoint(graded))));
  const onchange = () => {
    point = select.value;
    rememberPoint(point);
    draw();
    for (const eye of SIDES) void look(eye);
  };
  const select = el("select", { id: "point", "aria-describedby": "measured", onchange }, ...options);
  const { set } = graded.measured ?? {};
  const measured = sayMeasured(point, TASKS[graded.task].questions, graded.measured);
  return el(
    "div",
    { class: "field last" },
    el("label", { for: "point" }, "Operating point: sets the thresholds"),
    select,
    el("p", { class: "small", id: "measured" }, set ? `Measured on eyes of ${set}, with the 95\u00a0% interval:` : "Measured on test patients:"),
    el("ul", { class: "small reasons" }, ...measured.map((line) => el("li", {}, line))),
  );
}

/** Redraw the patient, and keep the focus. */
function draw(): void {
  const { activeElement } = document;
  const eye = activeElement?.closest<HTMLElement>("#patient [data-eye]")?.dataset.eye;
  const focused = eye ? `#patient [data-eye=${eye}]` : activeElement?.id === "point" && "#point";
  const looking = Object.keys(busy).length > 0;
  const result = looking ? el("p", { class: "card result" }, "Looking at the photographs…") : drawResult(visit, handlers);
  const lead = el("p", { class: "lead" }, "Choose or take a photograph of each retina. They stay on this device.");
  const both = drawChooser("Choose both eyes at once", "", "button", { multiple: true }, chooseBoth);
  const ends = [
    el("button", { type: "button", class: "button", onclick: () => print() }, "Print"),
    el("button", { type: "button", class: "button primary", onclick: next }, "Next patient"),
  ];
  byId("patient").replaceChildren(
    drawPrintHead(visit),
    result ?? lead,
    el("div", { class: "eyes" }, ...SIDES.map((eye) => drawEye(eye, visit, eye in busy, handlers))),
    el("div", { class: "actions wide" }, ...(result ? ends : [both])),
    model ? drawPoint(model) : "",
  );
  if (focused) document.querySelector<HTMLElement>(focused)?.focus({ preventScroll: true });
}

function drawFacts(ready: Model): void {
  const asked = Object.keys(ready.decision).flatMap((name) => (name in QUESTIONS ? [QUESTIONS[name as keyof typeof QUESTIONS]] : []));
  const facts = [
    ["Name", ready.name],
    ["Trained on", `${trainedOn(ready)}${ready.synthetic ? ": its answers say nothing about patients" : ""}`],
    ["Detects", asked.join(", ")],
    ["Classes", ready.classes.join(", ")],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Show the view that the address names; without one, the patient. */
function show(): void {
  const address = location.hash.slice(1) || "new";
  const view = isHistory(address) ? "history" : address;
  if (!["new", "history", "about"].includes(view)) return;
  for (const section of document.querySelectorAll<HTMLElement>("main > section")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "history") void drawHistory(address, deleted);
  scrollTo(0, 0);
}

/** Update the history after a deletion, and start the next patient if the current one was deleted. */
function deleted(id: string | null): void {
  if (id === visit.id || (id === null && kept)) next();
  if (location.hash === "#history") show();
  else location.hash = "history";
  byId("content").focus({ preventScroll: true });
}

function started(ready: Model, offline: boolean): void {
  model = ready;
  if (!pointsOf(model).includes(point)) point = ownPoint(model);
  drawFacts(model);
  draw();
  byId("banner").hidden = !model.synthetic;
  byId("banner").textContent = SYNTHETIC_MODEL;
  visit.synthetic = model.synthetic;
  say(offline ? "Ready. No internet is needed." : "Ready, but only while connected to the internet.", "ready");
  for (const eye of SIDES) void look(eye); // photographs chosen meanwhile
}

function failed(message: string): void {
  failure = message;
  for (const eye of SIDES) delete busy[eye];
  draw();
  say(message, "wrong");
}

function listen(): void {
  addEventListener("hashchange", () => {
    show();
    byId("content").focus({ preventScroll: true });
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    takeDropped(event);
  });
  label.addEventListener("input", () => {
    visit.label = label.value;
    document.querySelector("#patient .head")?.replaceWith(drawPrintHead(visit));
  });
  label.addEventListener("change", () => void save());
}

async function start(): Promise<void> {
  listen();
  draw();
  show();
  if (typeof OffscreenCanvas === "undefined" || typeof DecompressionStream === "undefined") {
    return failed("This browser is too old. EyeNet needs Safari 16.4, Chrome 105, Firefox 121 or later.");
  }
  say("Loading. The first visit downloads up to 15 MB, once.");
  const offline = await keepOffline(() => Object.keys(files).length > 0 || label.value !== "");
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("error", () => failed("The program could not start. Reload the page."));
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    if (data.kind === "ready") started(data.model, offline);
    else if (data.kind === "failed") failed(data.message);
    else if (data.kind === "heat") void explain(data.id, data.heat);
    else {
      asked.get(data.id)?.(data.seen);
      asked.delete(data.id);
    }
  });
}

void start();
