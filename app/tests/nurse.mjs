// What a nurse does on the page, and what the page shows and keeps: for the scenarios of visits and of records.

import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { goTo, options, ready } from "./driver.mjs";

export const DAY = 86_400_000; // milliseconds
const PATIENCE = 600_000; // likewise
export const VISITS = ["eyenet", "visits"]; // database and store
export const PROGRESS = ["eyenet-progress", "patients"];
export const say = (page) => page.locator("#status").textContent();
export const button = (page, name) => page.getByRole("button", { name });
export const next = (page) => button(page, "Next patient").click();

/** Say what the page shows and says, and what of it is on the screen. */
export async function note(page) {
  return page.evaluate(() => {
    const now = document.querySelector("#now");
    const covered = document.querySelector("nav").getBoundingClientRect().top;
    const isPrimary = (one) => one.checkVisibility() && getComputedStyle(one).color === "rgb(255, 255, 255)"; // as it looks
    const shown = (one) => one && one.getBoundingClientRect().top >= 0 && one.getBoundingClientRect().bottom <= covered;
    const text = (selector, within = now) => [...within.querySelectorAll(selector)].map((one) => one.innerText.replace(/\s+/g, " ").trim());
    return {
      result: now.dataset.result ?? null,
      over: text(".over"), // where the nurse is
      guide: [...now.querySelectorAll(".guide img")].length,
      unfolded: [...document.querySelectorAll("#patient details[open]")].length,
      title: [...now.querySelectorAll("h2")].map((one) => one.lastChild.textContent)[0], // without its symbol
      lines: text(".lines li"),
      checks: text(".checklist li"),
      todo: text("ol li"),
      text: now.innerText,
      said: document.querySelector("#status").textContent,
      live: document.querySelector("#status").getAttribute("role"),
      primary: text(".button.primary").filter((_, i) => isPrimary(now.querySelectorAll(".button.primary")[i])),
      shown: shown(now.querySelector("h2")),
      photographs: document.querySelectorAll("#patient .shot").length,
    };
  });
}

/** Note also whose patient it is. */
export const see = async (page) => ({
  ...(await note(page)),
  label: await page.locator("#label").inputValue(),
  born: await page.locator("#born").inputValue(),
  resumed: await page.locator(".resumed").allInnerTexts(),
});

/** Give files to an input, and wait until they are graded. */
export async function give(page, input, files) {
  const before = await page.evaluate(() => window.said.length);
  await input.setInputFiles(files);
  await settled(page, before + [files].flat().length);
}

export async function settled(page, count) {
  await page.waitForFunction((n) => window.said.length >= n, count);
  await page.waitForFunction(() => !document.querySelector("#patient [aria-busy=true]"));
  return note(page);
}

/** Take photographs with the button of the card at the top, as with the camera. */
export const take = async (page, file) => {
  await give(page, page.locator("#now input[capture]"), file);
  return note(page);
};

/** Choose files for both eyes at once. */
export async function chooseSeveral(page, files) {
  await page.setInputFiles("#new .actions.wide input[multiple]", files);
}

export async function reload(page) {
  await page.reload();
  await resumed(page);
  return see(page);
}

/** Wait until the page is ready and has read the patient in progress, if there is one, from the database. */
export async function resumed(page) {
  await ready(page);
  await page.waitForSelector("#new:not([aria-busy])", { state: "attached" });
}

/** Store what `change` makes of all objects of a store of the page. */
export const rewrite = (page, [database, store], change, value) =>
  page.evaluate(`(${renew})(${JSON.stringify([database, store, value])}, ${change})`); // as a script of the tests: the page's policy forbids eval

async function renew([name, store, value], change) {
  const opened = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
  const transaction = opened.transaction(store, "readwrite");
  const objects = transaction.objectStore(store);
  objects.getAll().onsuccess = ({ target }) => change(target.result, value).forEach((one) => objects.put(one));
  await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: reject }));
  opened.close();
}

/** Wait until an async function is true in the page: `waitForFunction` takes the promise itself for true. */
export const until = (page, isTrue, value) => poll(page, () => page.evaluate(isTrue, value), `in the page: ${isTrue}`);

async function poll(page, isTrue, what) {
  const start = Date.now();
  while (!(await isTrue())) {
    if (Date.now() - start > PATIENCE) throw new Error(`after ten minutes, this is not true ${what}`);
    await page.waitForTimeout(20);
  }
}

/** Wait until the page has stored the patient in progress, also with the evidence, which it draws after the answer: it would undo `rewrite`. */
export async function stored(page) {
  await page.waitForFunction(() => {
    const last = window.said.findLast(({ kind }) => kind === "seen");
    return !last?.seen.contoursOf || window.explained.has(last.id);
  });
  await untilStored(page, PROGRESS, (all) => {
    const shots = all.flatMap(({ visit: { eyes } }) => [...eyes.right, ...eyes.left]);
    return shots.length > 0 && shots.every(({ contours, contoursOf }) => !contoursOf || contours);
  });
}

/** List all objects of a store of the page. */
export const allOf = (page, place) =>
  page.evaluate(async ([name, store]) => {
    const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const opened = await result(indexedDB.open(name));
    const all = await result(opened.transaction(store).objectStore(store).getAll());
    opened.close();
    return all;
  }, place);

export const idsOf = async (page, place) => (await allOf(page, place)).map(({ id }) => id);

/** Wait until the objects of a store of the page fulfil a condition. */
export const untilStored = (page, place, isTrue) => poll(page, async () => isTrue(await allOf(page, place)), `of ${place}: ${isTrue}`);

export async function openHistory(page) {
  await goTo(page, "settings"); // the link of the view that is shown does nothing
  await goTo(page, "history");
}

export async function entries(page) {
  await openHistory(page);
  return page.locator("#history .entry").allInnerTexts();
}

export async function shoot(page, name) {
  if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name}.png`, fullPage: true });
}

/** Open the exchange of the history, and save what a button gives. */
export async function save(page, name) {
  const exchange = page.locator(".exchange");
  if ((await exchange.getAttribute("open")) === null) await exchange.locator("summary").click();
  const act = () => button(page, name).click();
  return page.context().browser().browserType().name() === "firefox" ? saveUnheard(act) : saveHeard(page, act);
}

async function saveHeard(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
}

/** Wait for the file itself: Playwright does not hear of Firefox's downloads. */
async function saveUnheard(act) {
  const before = readdirSync(options.downloads);
  await act();
  for (;;) {
    const files = readdirSync(options.downloads).filter((one) => !before.includes(one));
    const name = files.find((one) => /^eyenet-[^.]+\.\w+$/.test(one)); // until it is whole, beside it a .part and other names
    const path = name && files.length === 1 && join(options.downloads, name);
    if (path && statSync(path, { throwIfNoEntry: false })?.size) return { name, text: readFileSync(path, "utf8") };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function importFile(page, text) {
  const path = `${options.folder}/import.json`;
  writeFileSync(path, text);
  await page.evaluate(() => (document.querySelector("#status").textContent = ""));
  await page.locator(".exchange input[type=file]").setInputFiles(path);
  await page.waitForFunction(() => !["", "Working…"].includes(document.querySelector("#status").textContent));
  return { said: await say(page), entries: (await entries(page)).length };
}
