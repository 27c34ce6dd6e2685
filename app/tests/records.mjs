// What stays of a patient: reloads, other windows, other networks, files that are damaged, full devices, and the automatic deletion.

import { inspect, open, options, phone, pickPoint, ready } from "./driver.mjs";
import { PROGRESS, VISITS, allOf, button, entries, idsOf, importFile, next, openHistory, reload, resumed, rewrite, save, say, see, shoot, stored, take, until, untilStored } from "./nurse.mjs";

/** Reload with a patient in progress, in every state. */
async function reloads(page, context, url) {
  const { good, poor, alsoPoor } = options;
  const found = {};
  await page.fill("#born", "1950-01-02");
  await page.fill("#label", "Bed 7"); // and nothing after it: the field still has the focus
  found.named = await reload(page);
  await take(page, good.right);
  await take(page, poor);
  await take(page, alsoPoor);
  found.before = await see(page);
  found.spent = await reload(page);
  await shoot(page, "resumed");
  found.violations = await inspect(page);
  await pickPoint(page, options.point);
  found.decided = await see(page);
  await page.evaluate(() => (location.hash = "new"));

  const other = await context.newPage(); // another window has a patient of its own
  await other.goto(url);
  await resumed(other);
  found.other = await see(other);
  found.taken = await disturb(other, page);
  await other.fill("#label", "Bed 8");
  await other.locator("#label").blur();
  await untilStored(other, PROGRESS, (all) => all.some(({ visit }) => visit.label === "Bed 8"));
  await other.close();
  found.late = await startEarly(context, url);
  await stored(page);
  await rewrite(page, PROGRESS, (all) => all.map((one) => (one.visit.label === "Bed 7" ? one : { ...one, changed: 0 }))); // forgotten

  await next(page);
  await button(page, "Poor photograph").click();
  await page.waitForSelector("#now[data-result]");
  found.sample = await reload(page);
  await page.evaluate(() => (window.Worker.prototype.postMessage = () => undefined)); // the page ends before there is an answer
  await page.locator("#now input[capture]").setInputFiles(good.right);
  await untilStored(page, PROGRESS, (all) => all.some(({ busy }) => busy.length));
  await page.reload();
  await resumed(page);
  found.lost = await say(page);
  await page.evaluate(() => (location.hash = "new"));
  await take(page, good.right);
  await stored(page);
  const another = (all, value) => all.map((one) => ({ ...one, changed: one.changed - value, visit: { ...one.visit, network: "another" } }));
  await rewrite(page, PROGRESS, another, 3_600_000);
  await page.reload();
  await page.waitForSelector("dialog");
  await ready(page); // the network is there before the answer
  await button(page, "Continue this patient").click();
  await page.waitForSelector("dialog", { state: "detached" });
  found.paused = { ...(await see(page)), said: await say(page) };
  await openUnnamed(page);
  await button(page, "Continue this patient").click();
  await page.locator("dialog").getByRole("button", { name: "Continue this patient" }).click();
  await page.waitForSelector("#new:not([hidden]) .resumed");
  await stored(page);
  await rewrite(page, PROGRESS, another, 0);
  found.renewed = { ...(await reload(page)), said: await say(page) };
  await openUnnamed(page);
  await rewrite(page, VISITS, (all) => all.map((one) => (one.label ? one : { ...one, network: "another" })));
  await button(page, "Continue this patient").click();
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("cannot be continued") || document.querySelector("dialog"));
  found.changed = await say(page);
  await openUnnamed(page);
  found.apart = await page.locator("#history").innerText();
  found.offered = await button(page, "Continue this patient").count();
  return found;
}

async function openUnnamed(page) {
  await openHistory(page);
  await page.getByRole("link", { name: /^Open No name/ }).click();
  await page.waitForSelector("#history .eye");
}

/** Delete in one window what is in progress in another, and import a file that changes it: what the page says, and what stays. */
async function disturb(page, owner) {
  await openHistory(page);
  const { text } = await save(page, /as one file/);
  const ask = async (name) => {
    await button(page, name).click();
    await page.evaluate(() => (document.querySelector("#status").textContent = ""));
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await page.waitForFunction(() => document.querySelector("#status").textContent || !document.querySelector("#history .entry"));
    return say(page);
  };
  const found = [await ask(/^Delete Bed 7/), await ask("Delete all")];
  await rewrite(page, VISITS, (all) => all.map((one) => ({ ...one, eyes: { ...one.eyes, left: [] } })));
  const { said, entries } = await importFile(page, text);
  await owner.locator("#label").dispatchEvent("change"); // stores the patient again
  await page.evaluate(() => (location.hash = "new"));
  return [...found, said, entries];
}

/** Open a window in which a patient is begun before that of a closed window was read: the locks, and the patients in progress. */
async function startEarly(context, url) {
  const page = await context.newPage();
  await page.addInitScript(() =>
    new MutationObserver((_, observer) => {
      const label = document.querySelector("#label");
      if (!label) return;
      observer.disconnect();
      label.value = "Bed 9";
      for (const event of ["input", "change"]) label.dispatchEvent(new Event(event));
    }).observe(document, { subtree: true, childList: true }),
  );
  await page.goto(url);
  await resumed(page);
  await untilStored(page, PROGRESS, (all) => all.some(({ visit }) => visit.label === "Bed 9"));
  const locks = await page.evaluate(async () => (await navigator.locks.query()).held.filter(({ name }) => name.startsWith("eyenet-patient-")).length);
  const names = (await allOf(page, PROGRESS)).map(({ visit }) => visit.label).sort();
  await page.close();
  return { locks, names };
}

/** Close the connection after the next request, and let the next opening fail. */
function disconnect() {
  const { transaction } = IDBDatabase.prototype;
  const { open } = IDBFactory.prototype;
  IDBDatabase.prototype.transaction = function (...args) {
    IDBDatabase.prototype.transaction = transaction;
    const made = transaction.apply(this, args);
    made.addEventListener("complete", () => {
      this.close();
      this.dispatchEvent(new Event("close"));
      IDBFactory.prototype.open = () => {
        IDBFactory.prototype.open = open;
        throw new DOMException("no storage", "UnknownError");
      };
    });
    return made;
  };
}

/** Let the browser close the database, and refuse to open it once. */
async function closes(page) {
  await openHistory(page);
  await page.evaluate(disconnect);
  await openHistory(page);
  await openHistory(page);
  return { closed: await page.locator("#history").innerText(), kept: (await entries(page)).length };
}

/** Import the history twice, damaged, and onto a full device. */
async function exchanges(page) {
  const found = { file: await save(page, /as one file/) };
  await shoot(page, "exchange");
  found.twice = await importFile(page, found.file.text);
  found.damaged = await importFile(page, found.file.text.replace("Bed 7", "Bed 8"));
  await page.evaluate(() => {
    const { put } = IDBObjectStore.prototype;
    let count = 0;
    IDBObjectStore.prototype.put = function (...args) {
      if (++count === 2) IDBObjectStore.prototype.put = put;
      const request = put.apply(this, args);
      if (count === 2) request.addEventListener("success", () => this.transaction.abort()); // the device is full
      return request;
    };
  });
  await button(page, "Delete all").click();
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await page.waitForFunction(() => document.querySelector("#history").innerText.includes("No results yet"));
  found.full = await importFile(page, found.file.text);
  found.restored = await importFile(page, found.file.text);
  return found;
}

/** Let old results be deleted. */
async function deletions(page) {
  const found = {};
  const old = (all, ages) =>
    ages.map((days, i) => ({ ...all.find(({ label }) => label), id: `old${i}`, imported: undefined, when: Date.now() - days * 86_400_000, eyes: { right: [], left: all.find(({ label }) => label).eyes.left.map((shot) => ({ ...shot, when: undefined })) } }));
  const choose = async (days) => {
    await page.getByRole("link", { name: "Settings" }).click();
    await page.locator(`[name=retention][value="${days}"]`).check({ force: true }).catch(() => undefined); // drawn again
    await page.waitForSelector("dialog");
    return page.locator("dialog").innerText();
  };
  await rewrite(page, VISITS, old, [40, 50]);
  found.first = await choose(30);
  await shoot(page, "retention");
  found.violations = await inspect(page);
  await button(page, "Cancel").click();
  await page.waitForSelector("dialog", { state: "detached" });
  found.cancelled = [await page.locator("[name=retention]:checked").inputValue(), (await entries(page)).length];
  const left = (all, [id, hours]) => [{ id, changed: Date.now() - hours * 3_600_000, latest: null, busy: [], visit: { id, when: Date.now(), label: id, born: "", point: "balanced", model: "", synthetic: false, eyes: { right: [], left: [] }, joined: null } }];
  await rewrite(page, PROGRESS, left, ["old0", 0]); // by a window that was closed
  await choose(30);
  await button(page, "Delete automatically").click();
  await page.waitForFunction(() => document.querySelector("[name=retention][value='30']").checked);
  found.chosen = (await entries(page)).length;
  found.forgotten = await idsOf(page, PROGRESS);
  found.lead = await page.locator("#history .lead").innerText();
  const other = await page.context().newPage(); // a window that has one of them in progress
  await other.goto(new URL("manifest.webmanifest", page.url()).href);
  await other.evaluate(() => void navigator.locks.request("eyenet-patient-old1", () => new Promise(() => undefined)));
  await rewrite(page, VISITS, old, [40, 50]);
  await reload(page);
  await page.waitForFunction(() => document.querySelectorAll("#history .entry").length === 3);
  found.few = await idsOf(page, VISITS);
  await other.close();
  await until(page, async () => !(await navigator.locks.query()).held.some(({ name }) => name.endsWith("old1")));
  await rewrite(page, VISITS, old, [31, 32, 33, 34, 35, 36]);
  await page.reload();
  await page.waitForSelector("dialog");
  found.many = await page.locator("dialog").innerText();
  await button(page, "Keep for now").click();
  found.spared = (await entries(page)).length;
  await page.reload();
  await page.waitForSelector("dialog");
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await untilStored(page, VISITS, (all) => all.length < 8);
  found.gone = (await entries(page)).length;
  await rewrite(page, PROGRESS, left, ["of-the-day-before", 25]);
  await rewrite(page, PROGRESS, left, ["of-now", 0]);
  found.resumed = (await reload(page)).label;
  found.inProgress = await idsOf(page, PROGRESS);
  return found;
}

export const records = {
  async records(browser, url) {
    const { page, context, seen } = await open(browser, url, { viewport: phone, hasTouch: true, isMobile: true });
    const found = { reloads: await reloads(page, context, url) };
    found.closes = await closes(page);
    found.exchanges = await exchanges(page);
    found.deletions = await deletions(page);
    return { ...found, errors: seen.errors };
  },
};
