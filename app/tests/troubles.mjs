// Failures: quick users, full or unavailable storage, deletion, a network that does not match, new versions.

import { goTo, look, open, openOffline, options, ready, serve } from "./driver.mjs";
import { VISITS, allOf, untilStored } from "./nurse.mjs";

const chooser = (eye) => `#new [data-eye=${eye}] input[type=file]:not([capture])`;
const done = (eye) => `#new [data-eye=${eye}][aria-busy=false][data-result]`;

export const troubles = {
  /** A browser without storage for settings; photographs chosen before the page is ready and while others are graded; a full history. */
  async hurry(browser, url) {
    const { page, seen } = await open(browser, url, {}, closeStorage, () => true); // not ready yet
    const status = () => page.locator("#status").innerText();
    const names = (eye) => page.locator(`#new [data-eye=${eye}] .file-name`).evaluateAll((all) => all.map((one) => one.firstChild.data));
    const { patient, second, third, other } = options;
    for (const file of [patient.right, second]) await page.setInputFiles(chooser("right"), file);
    await page.waitForSelector(done("right"));
    const early = await names("right");
    await page.evaluate(() => (window.held = []));
    await page.setInputFiles(chooser("left"), patient.left);
    await page.getByRole("button", { name: "Remove" }).first().click(); // the latest one of the right eye
    const removed = await status();
    for (const file of [third, patient.right]) await page.setInputFiles(chooser("right"), file); // each while the previous one is being graded
    await page.getByRole("button", { name: "Next patient" }).click();
    const refused = await status();
    const meanwhile = await page.locator("#new").innerText();
    await page.evaluate(() => {
      const held = window.held;
      window.held = null;
      for (const send of held) send();
    });
    for (const eye of ["left", "right"]) await page.waitForSelector(done(eye));
    const found = { early, removed, refused, meanwhile, right: await names("right"), left: await names("left"), known: await status() };
    const rows = await page.evaluate(() => window.said.filter(({ kind }) => kind === "seen").map(({ seen }) => seen.row));
    await page.evaluate(fillStorage);
    await look(page, "left", other);
    await page.waitForFunction(() => document.querySelector("#status").dataset.kind === "wrong");
    return { ...found, rows, full: await status(), errors: seen.errors };
  },

  /** Removed and deleted results are gone, even those of the patient who is still on the page. */
  async gone(browser, url, server) {
    const { page } = await openOffline(browser, url, server);
    const counts = [];
    const count = async (expected) => {
      await untilStored(page, VISITS, (all) => all.length === expected);
      await page.waitForTimeout(300); // for late writes
      counts.push((await allOf(page, VISITS)).length);
    };
    await look(page, "right", options.patient.right);
    await count(1);
    await page.getByRole("button", { name: "Remove" }).click();
    await count(0);
    await look(page, "right", options.patient.right);
    await count(1);
    await goTo(page, "history");
    await page.getByRole("link", { name: /^Open/ }).click();
    await page.waitForSelector("#history .eye");
    await page.goBack(); // like a phone's back button
    await page.getByRole("button", { name: "Delete all" }).click();
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await page.waitForFunction(() => document.querySelector("#history").innerText.includes("No results yet"));
    await goTo(page, "new");
    await page.locator("#label").fill("Nobody");
    await page.locator("#label").blur();
    await count(0);
    return { counts, left: await page.locator("#patient").innerText() };
  },

  /** A network that does not match: one sentence, also when a photograph is chosen anyway. */
  async unfit(browser, url) {
    const said = () => document.querySelector("#status").dataset.kind === "wrong";
    const { page } = await open(browser, url, {}, undefined, said);
    const status = await page.locator("#status").innerText();
    await page.setInputFiles(chooser("right"), options.patient.right);
    await page.waitForTimeout(300);
    return { status, busy: await page.locator("#new [aria-busy=true]").count() };
  },

  /** A stored page that changes on the server, step by step: some visits later each new version is complete. */
  async renewed(browser, url, server, port) {
    const { page } = await open(browser, url);
    const version = async () => {
      for (;;) {
        await ready(page).catch(() => undefined); // the page may reload by itself
        const found = await page
          .evaluate(() => [document.title, window.said.find(({ kind }) => kind === "ready")?.model.name])
          .catch(() => null);
        if (found?.[1]) return found;
      }
    };
    const steps = [[await version()]];
    for (const { other, expected } of options.steps) {
      server.kill();
      await new Promise((resolve) => server.once("exit", resolve));
      server = await serve(other, port);
      const versions = [];
      // The new version is downloaded in the background, and takes over at one of the next visits.
      for (let i = 0; i < 20 && String(versions.at(-1)) !== String(expected); i++) {
        await page.reload();
        versions.push(await version());
        // Chromium asks for a new service worker a second after the last request: quick visits would delay it forever.
        await page.waitForTimeout(1500);
      }
      steps.push(versions);
    }
    server.kill();
    return { steps };
  },

  /** Press "Next patient" while the evidence arrives, which draws the page again. */
  async pressed(browser, url, server) {
    const { page, seen } = await openOffline(browser, url, server);
    await page.evaluate(() => (window.late = []));
    await look(page, "right", options.file);
    const found = { evidence: await page.evaluate(() => window.late.length) };
    await page.getByRole("button", { name: "Next patient" }).first().hover();
    await page.mouse.down();
    await page.evaluate(() => window.late.forEach((take) => take()));
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve))); // the page has taken it
    await page.mouse.up();
    found.next = await page.evaluate(() => new Promise((resolve) => setTimeout(() => resolve(Boolean(document.querySelector("#now.first"))))));
    await page.evaluate(() => (window.late = null));
    return { ...found, errors: seen.errors };
  },

  /**
   * New versions that take over only when told "now": one while nobody is on the page, and one while a patient is.
   * After the second comes another that is abandoned when told "fail".
   */
  async late(browser, url, server, port) {
    const { page } = await open(browser, url);
    const found = {};
    const version = () => page.evaluate(() => [document.title, window.said.find(({ kind }) => kind === "ready").model.name]);
    const visit = async () => {
      await page.reload();
      await ready(page);
    };
    const publish = async (dist, state) => {
      server.kill();
      await new Promise((resolve) => server.once("exit", resolve));
      server = await serve(dist, port);
      await visit();
      await page.evaluate(workerIn, state);
    };
    const tellAll = async (stays, ...told) => {
      await page.evaluate(() => (window.before = true));
      await page.evaluate(tell, told).catch(() => undefined); // the page may be gone while it waits
      if (stays) await page.waitForTimeout(300); // it must not reload by itself
      else await page.waitForFunction(() => !window.before);
      await ready(page);
      return [...(await version()), await page.evaluate(() => Boolean(window.before))];
    };
    try {
      await publish(options.second, "waiting");
      await visit(); // with a version that waits
      found.alone = await tellAll(false, "waiting", "now", "activated");
      await publish(options.third, "waiting");
      await publish(options.failing, "installing");
      found.given_up = await tellAll(true, "installing", "fail", "redundant");
      await look(page, "right", options.patient.right);
      found.present = await tellAll(true, "waiting", "now", "activated");
      found.card = await page.locator("#new [data-eye=right]").innerText();
      found.then = (await look(page, "left", options.patient.left)).row.result; // still by the earlier version
      await visit();
      return { ...found, next: await version() };
    } finally {
      server.kill();
    }
  },
};

/** Wait until a service worker is in a state. */
async function workerIn(state) {
  const registration = await navigator.serviceWorker.getRegistration();
  while (!registration[state]) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Send a message to a service worker, and wait until it is in another state. */
async function tell([state, message, then]) {
  const worker = (await navigator.serviceWorker.getRegistration())[state];
  worker.postMessage(message);
  while (worker.state !== then) await new Promise((resolve) => setTimeout(resolve, 20));
}

function closeStorage() {
  Object.defineProperty(window, "localStorage", {
    get: () => {
      throw new DOMException("closed", "SecurityError");
    },
  });
}

/** Behave like a full device: accept the change, then abort when it is written. */
function fillStorage() {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (...args) {
    const request = put.apply(this, args);
    this.transaction.commit = () => undefined; // which would end the transaction before it fails
    request.addEventListener("success", () => this.transaction.abort());
    return request;
  };
}
