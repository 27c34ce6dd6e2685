// Drives the page for the tests: a static server, a page whose worker is recorded, choosing a photograph.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";

export let options = {}; // of the scenario that runs
export const kept = new Set(); // contexts that stay open for the next scenarios
export const phone = { width: 390, height: 844 };
export const tablet = { width: 820, height: 1180 };
export const desktop = { width: 1280, height: 800 };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export function use(next) {
  options = next;
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function serve(folder, port) {
  const command = ["-m", "http.server", String(port), "--bind", "127.0.0.1", "--directory", folder];
  const server = spawn(options.python, command, { stdio: "ignore" });
  while (server.exitCode === null) {
    const there = await fetch(`http://127.0.0.1:${port}/`).then((r) => r.ok, () => false);
    if (there) return server;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("python -m http.server did not start");
}

// Records the worker's messages, so that circle and crop can be compared.
function listen() {
  const Plain = window.Worker;
  window.said = [];
  window.explained = new Map(); // contours, by the number of the request
  window.refused = [];
  addEventListener("securitypolicyviolation", (event) => window.refused.push(`${event.violatedDirective} ${event.blockedURI}`));
  window.Worker = class extends Plain {
    constructor(...args) {
      super(...args);
      super.addEventListener("message", ({ data }) => {
        if (data.kind === "contours") window.explained.set(data.id, data.contours);
        else window.said.push(data);
      });
    }

    /** Keep evidence from the page while `window.late` is a list of what would take it. */
    addEventListener(type, act, ...more) {
      const later = (event) => (window.late && event.data?.kind === "contours" ? window.late.push(() => act(event)) : act(event));
      super.addEventListener(type, later, ...more);
    }

    /** Keep what is asked while `window.held` is a list; `release` sends it. */
    postMessage(...message) {
      if (window.held) window.held.push(() => super.postMessage(...message));
      else super.postMessage(...message);
    }
  };
}

/** Open the page, run `prepare` in it, and wait until it is ready. */
export async function open(browser, url, more = {}, prepare = () => undefined, until = isReady) {
  const context = await browser.newContext({ viewport: desktop, ...more });
  await context.addInitScript(listen);
  await context.addInitScript(prepare);
  const seen = { requests: [], errors: [] };
  context.on("request", (request) => seen.requests.push(request.url()));
  context.setDefaultTimeout(600_000); // for a machine that does other work; no test waits for less
  const page = await context.newPage();
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  await page.goto(url);
  await page.waitForFunction(until);
  return { context, page, seen };
}

const isReady = () => window.said.some(({ kind }) => kind === "ready");
export const ready = (page) => page.waitForFunction(isReady);

/** Follow a link of the navigation (new, history, settings or about), and wait until its view is shown. */
export async function goTo(page, view) {
  await page.locator(`nav a[href="#${view}"]`).click();
  await page.waitForSelector(`#${view}:not([hidden]) > *`); // the address changes first, and the history is read from the database
}

/** Choose a file for an eye and wait for its result; returns what the page shows and the worker's message. */
export async function look(page, eye, file) {
  const card = page.locator(`#new [data-eye=${eye}]`);
  const before = await page.evaluate(() => window.said.length);
  await page.evaluate(watch, [eye, before]);
  await card.locator("input[type=file]:not([capture])").setInputFiles(file);
  await page.waitForFunction((n) => window.said.length > n, before);
  await page.waitForSelector(`#new [data-eye=${eye}][aria-busy=false][data-result]`);
  const seconds = (await page.evaluate(() => window.waited)) / 1000;
  const text = await card.innerText();
  const checks = (await page.locator("#now .checklist li").allInnerTexts()).map((check) => check.replace(/\s+/g, " ").trim());
  const [said] = await lastSeen(page, 1);
  return { ...said, text, checks, seconds };
}

/**
 * In the page, so that the tool that drives it does not count: measure the milliseconds from the choice of a file until the
 * frame that shows its result. `before` is the number of messages from the worker so far.
 */
export function watch([eye, before]) {
  const chosen = new Promise((resolve) => addEventListener("change", () => resolve(performance.now()), { capture: true, once: true }));
  const shown = new Promise((resolve) => {
    const isDone = () => window.said.length > before && document.querySelector(`#new [data-eye=${eye}][aria-busy=false][data-result]`);
    const observer = new MutationObserver(() => {
      if (!isDone()) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now()))); // after the layout, whenever a version asks for it
    });
    observer.observe(document.querySelector("#new"), { subtree: true, childList: true, attributes: true });
  });
  window.waited = Promise.all([chosen, shown]).then(([start, end]) => end - start);
}

/** Return the worker's last messages about photographs, with the pixels of their crops if `crops` is asked for. */
export async function lastSeen(page, count) {
  const explained = (n) => window.said.slice(-n).every(({ id, seen }) => !seen.contoursOf || window.explained.has(id));
  await page.waitForFunction(explained, count);
  return page.evaluate(([n, detail]) => {
    const encode = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    const pixels = (image) => (detail && image ? encode(image.data) : null);
    return window.said.slice(-n).map(({ id, seen }) => {
      const { row, geometry, crop, input, contoursOf, picture } = seen;
      const contours = contoursOf ? window.explained.get(id) : seen.contours;
      return { row, geometry, contoursOf, contours, crop: pixels(crop), input: pixels(input), picture: picture?.size ?? 0 };
    });
  }, [count, Boolean(options.crops)]);
}

const offline = new Map(); // pages by folder

/** Find the page that was loaded, lost its server and was loaded again, at the next patient and without a history. */
export async function openOffline(browser, url, server) {
  const { dist } = options;
  if (!offline.has(dist)) {
    const opened = await open(browser, url);
    server.kill();
    await new Promise((resolve) => server.once("exit", resolve));
    await opened.page.reload();
    await ready(opened.page);
    kept.add(opened.context);
    offline.set(dist, { ...opened, origin: url.slice(0, -1), status: await opened.page.locator("#status").innerText() });
  }
  const found = offline.get(dist);
  const { page, seen } = found;
  seen.errors.length = 0;
  await page.evaluate(forgetAll);
  const next = page.getByRole("button", { name: "Next patient" });
  if (await next.count()) await next.click();
  await pickPoint(page, await page.evaluate(ownPoint));
  return found;
}

/** The point of a network that nobody has chosen another for, as a scenario before may have done. */
const ownPoint = async () => (await (await fetch("model.json")).json()).operating_point ?? "balanced";

/** Choose an operating point in the settings, which need not be shown. */
export async function pickPoint(page, point) {
  const choice = page.locator(`[name=point][value="${point}"]`);
  await choice.waitFor({ state: "attached" });
  await choice.evaluate((one) => one.click());
}

/** Go to the start, and delete what is stored. */
async function forgetAll() {
  location.hash = "new";
  localStorage.clear();
  for (const { name } of await indexedDB.databases()) { // opening one that does not exist would make it, without its stores
    const database = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
    const change = database.transaction(database.objectStoreNames, "readwrite");
    for (const store of database.objectStoreNames) change.objectStore(store).clear();
    await new Promise((resolve) => (change.oncomplete = resolve));
    database.close();
  }
}

/** List what violates the rules of accessibility, by default all of them. */
export async function inspect(page, only) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const { violations } = await page.evaluate(
    (runOnly) => window.axe.run(document, { resultTypes: ["violations"], ...(runOnly && { runOnly }) }),
    only,
  );
  return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html.slice(0, 160)) }));
}
