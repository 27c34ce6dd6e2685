/** The page: its views, and how it starts. */

import { drawAbout } from "./about";
import { keepClean } from "./cleaning";
import { byId, el, say } from "./dom";
import { startWorker } from "./grader";
import { drawHistory, isHistory } from "./history";
import type { Model } from "./network";
import { keepOffline } from "./offline";
import { drawPatient, makePatient, next, takeDropped } from "./patient";
import { giveUp, inUse, session, useNetwork } from "./session";
import { resumeProgress } from "./resuming";
import { drawSettings } from "./settings";
import type { Text } from "./text";
import { language, words } from "./words";

const VIEWS = ["new", "history", "settings", "about"] as const;
type View = (typeof VIEWS)[number];

/** Fill the words into the frame of index.html. */
function drawFrame(): void {
  document.documentElement.lang = language;
  if (language !== "en") document.querySelector("link[rel=manifest]")?.setAttribute("href", `./manifest.${language}.webmanifest`);
  const { header } = words;
  byId("skip").append(header.skip);
  byId("notice").append(header.notice);
  const links = VIEWS.map((view) => el("a", { href: `#${view}` }, header.views[view]));
  byId("views").append(el("nav", { "aria-label": header.pages }, ...links));
}

/** Show the view that the address names; without one, the patient. */
function show(): void {
  const address = location.hash.slice(1) || "new";
  const view = isHistory(address) ? "history" : address;
  if (!VIEWS.includes(view as View)) return;
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
  if (id === session.visit.id || (id === null && session.kept)) next();
  if (location.hash === "#history") show();
  else location.hash = "history";
  byId("content").focus({ preventScroll: true });
}

let lost: Text | null = null; // what a reload lost of the patient in progress

function started(model: Model, offline: boolean): void {
  const isSame = useNetwork(model);
  drawAbout();
  drawSettings();
  drawPatient(false);
  if (!isSame) lost = words.resumed.lostNetwork;
  if (lost) say(lost, "wrong");
  else say(offline ? words.status.ready : words.status.online, "ready");
}

function failed(message: Text): void {
  giveUp(message);
  drawSettings();
  say(message, "wrong");
}

function listen(): void {
  addEventListener("hashchange", () => {
    if (byId("status").dataset.kind === "done") say(null); // it was about the view that is left
    show();
    byId("content").focus({ preventScroll: true });
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    takeDropped(event);
  });
}

async function start(): Promise<void> {
  drawFrame();
  makePatient();
  drawAbout();
  drawSettings();
  session.changed = drawPatient;
  listen();
  drawPatient(false);
  show();
  if (typeof OffscreenCanvas === "undefined" || typeof DecompressionStream === "undefined") return failed(words.status.tooOld);
  say(words.status.loading);
  byId("new").setAttribute("aria-busy", "true");
  const found = (what: Text | null) => {
    lost ??= what;
    if (lost) say(lost, "wrong");
  };
  void resumeProgress().then(found).finally(() => {
    byId("new").removeAttribute("aria-busy");
    keepClean(() => location.hash === "#history" && show());
  });
  const offline = await keepOffline(inUse);
  startWorker({ ready: (model) => started(model, offline), failed });
}

void start();
