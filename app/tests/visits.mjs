// Ten visits on a phone without internet, one after the other, and what is left of them: tests/test_visits.py says what
// the page must show in each, and what the history must list at the end. In Chromium and in Firefox.

import { once } from "node:events";
import { goTo, inspect, lastSeen, open, options, phone, pickPoint, ready } from "./driver.mjs";
import { DAY, PROGRESS, VISITS, button, chooseSeveral, entries, importFile, next, note, openHistory, reload, rewrite, save, see, settled, shoot, stored, take } from "./nurse.mjs";
import { pagesOf, toPdf } from "./views.mjs";

/** By visit: what the nurse does, and what she sees meanwhile. Before each the page is at the next patient, whose name is that of the visit. */
const TEN = {
  async "both eyes"(page) {
    const found = { first: await note(page), guide: await guideOf(page) };
    await page.fill("#born", "1957-03-04");
    found.one = await take(page, options.good.right);
    // As if the page were drawn again before the event: the click alone counts.
    await page.evaluate(() => document.addEventListener("toggle", (event) => event.stopPropagation(), { capture: true, once: true }));
    await page.locator("#new [data-eye=right] summary").click();
    found.both = await take(page, options.good.left);
    found.letter = await letterOf(page);
    return found;
  },

  async "one eye"(page) {
    return { one: await take(page, options.good.right) };
  },

  async "poor twice"(page) {
    const { poor, alsoPoor, other } = options;
    const found = { poor: await take(page, poor) };
    await page.locator("#now summary").first().click();
    found.same = await take(page, poor); // the same file is no second attempt
    found.again = await take(page, alsoPoor);
    found.violations = await inspect(page);
    return { ...found, spent: await take(page, other) };
  },

  async "wrong eye"(page) {
    const found = { asked: await take(page, options.fellow.left) }; // its name says the left eye
    await button(page, "Remove").click();
    await page.waitForSelector("#now.first");
    await take(page, options.fellow.right);
    return { ...found, both: await take(page, options.fellow.left) };
  },

  async "one file for both eyes"(page) {
    await take(page, options.good.right);
    await page.locator("#new [data-eye=left] input[type=file]:not([capture])").setInputFiles(options.copy);
    await page.waitForSelector("#now[data-result=doubtful]");
    return { asked: await note(page), offered: await button(page, "The files are correct").count() };
  },

  async "two fields"(page) {
    const count = () => page.evaluate(() => window.said.length);
    const [first, ...more] = options.fields; // of both eyes, by their names
    const one = await take(page, first);
    const asked = await count();
    await chooseSeveral(page, more);
    const fields = await settled(page, asked + more.length);
    const found = { one, fields, rules: await page.locator("#new .eye > .small").allInnerTexts(), graded: await lastSeen(page, options.fields.length) };
    const before = await count();
    await pickPoint(page, options.point);
    return { ...found, regraded: await settled(page, before + options.fields.length) };
  },

  async "names without an eye"(page) {
    await pickPoint(page, "balanced");
    await chooseSeveral(page, options.unnamed);
    await page.waitForSelector("dialog fieldset");
    const found = { asked: await page.locator("dialog").innerText() };
    await button(page, "Use these").click(); // not yet: each file needs an answer
    found.open = await page.locator("dialog").count();
    for (const [i, eye] of ["Right eye", "Left eye"].entries()) await page.locator("dialog fieldset").nth(i).getByText(eye).click();
    await button(page, "Use these").click();
    await page.waitForSelector("#now[data-result]");
    return { ...found, both: await note(page), graded: await lastSeen(page, 2) };
  },

  async reload(page) {
    await page.fill("#born", "1950-01-02");
    await take(page, options.good.right);
    const found = { one: await reload(page) };
    return { ...found, both: await take(page, options.good.left) };
  },

  async "the next day"(page) {
    const yesterday = (all, [name, ago]) => {
      const before = (one) => ({ ...one, when: one.when - ago });
      return all.filter(({ label }) => label === name).map((one) => ({ ...before(one), eyes: { ...one.eyes, right: one.eyes.right.map(before) } }));
    };
    await rewrite(page, VISITS, yesterday, ["one eye", DAY]);
    await page.fill("#born", "1957-03-04"); // of a patient who does not stay
    await openHistory(page);
    await page.selectOption("#search-answer", "open");
    await page.fill("#search-name", "EYE one");
    const found = { named: await page.locator("#history .entry").allInnerTexts(), count: await page.locator("#history [role=status]").innerText() };
    found.answers = await page.locator("#search-answer option").allInnerTexts();
    await page.getByRole("link", { name: /^Open/ }).click();
    await button(page, "Continue this patient").click();
    found.question = await page.locator("dialog").innerText();
    await page.locator("dialog").getByRole("button", { name: "Continue this patient" }).click();
    await page.waitForSelector("#new:not([hidden]) .resumed");
    found.continued = await see(page);
    found.both = await take(page, options.good.left);
    found.letter = await page.locator("#new .letter").textContent();
    return found;
  },

  async "after a pause"(page) {
    await page.locator("#label").blur();
    const one = await take(page, options.fellow.right);
    await stored(page);
    await rewrite(page, PROGRESS, (all) => all.map((one) => ({ ...one, changed: one.changed - 3_600_000 })));
    await page.reload();
    await page.waitForSelector("dialog");
    const found = { one, question: await page.locator("dialog").innerText() };
    await button(page, "Another patient").click();
    await ready(page);
    return { ...found, another: await see(page) };
  },
};

const guideOf = (page) => page.locator("#now .guide img").evaluateAll((all) => Promise.all(all.map((one) => one.decode().then(() => [one.alt, one.naturalWidth]))));

/** Ask for the letter: what it says, and on how many pages. */
async function letterOf(page) {
  await page.evaluate(() => (window.print = () => (window.printed = true)));
  await button(page, "Print letter").click();
  const asked = await page.evaluate(() => window.printed === true);
  const pages = {};
  for (const format of ["A4", "Letter"]) pages[format] = pagesOf(await toPdf(page, format, options.screenshots && `${options.screenshots}/letter-${format}.pdf`));
  return { asked, pages, text: await page.locator("#new .letter").textContent() };
}

/** Look at drawn eyes, and then photograph a patient without asking for the next one. */
async function trySample(page) {
  await button(page, "Poor photograph").click();
  await page.waitForSelector("#now[data-result]");
  const found = { ...(await see(page)), banner: await page.locator("#banner").innerText(), ...(await seenBanner(page)), letter: await page.locator("#new .letter").textContent() };
  found.choosers = await page.locator("#new label.button:visible").allInnerTexts(); // of the next patient
  await goTo(page, "about");
  found.everywhere = await page.locator("#banner").isVisible();
  await goTo(page, "new");
  found.own = await take(page, options.good.right); // a patient's photograph never joins a sample
  found.own.banner = await page.locator("#banner").isVisible();
  await button(page, "Remove").click();
  await page.waitForSelector("#now.first");
  return found;
}

/** Save the history, delete it, and import it. */
async function moveHistory(page) {
  const found = { listed: await entries(page) };
  await shoot(page, "worklist");
  found.csv = await save(page, /as a table/);
  found.file = await save(page, /as one file/);
  await button(page, "Delete all").click();
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await page.waitForFunction(() => document.querySelector("#history").innerText.includes("No results yet"));
  found.imported = await importFile(page, found.file.text);
  found.again = await save(page, /as one file/);
  return found;
}

/** Read a visit as an earlier version kept it. */
async function readOld(page) {
  await page.evaluate(addOldVisit);
  const found = { listed: (await entries(page)).at(-1) };
  await page.locator("#history .entry").last().getByRole("link", { name: "Open" }).click();
  await page.waitForSelector("#history .eye");
  return { ...found, text: await page.locator("#history").innerText(), letter: await page.locator("#history .letter").textContent() };
}

export const visits = {
  /** Go through the ten visits, and then through the history. */
  async visits(browser, url, server) {
    const { page, seen } = await open(browser, url, { viewport: phone, hasTouch: true, isMobile: true });
    server.kill();
    await once(server, "exit");
    await page.reload();
    await ready(page);
    const found = { status: await page.locator("#status").innerText(), titles: {} };
    for (const [name, act] of Object.entries(TEN)) {
      await goTo(page, "new");
      if (await button(page, "Next patient").count()) await next(page);
      if (name !== "the next day") await page.fill("#label", name);
      found[name] = await act(page);
      await shoot(page, name.replaceAll(" ", "-"));
      found.titles[name] = (await note(page)).title;
    }
    await page.fill("#label", "");
    found.sample = await trySample(page);
    found.history = await moveHistory(page);
    found.old = await readOld(page);
    const errors = seen.errors.filter((error) => !error.includes("A ServiceWorker intercepted the request")); // Firefox, of a request that a reload ends
    return { ...found, requests: seen.requests, errors };
  },
};

/** Tell whether the banner is on the screen, and above the title of the card. */
const seenBanner = (page) =>
  page.evaluate(() => {
    const { top, bottom } = document.querySelector("#banner").getBoundingClientRect();
    return { warned: top >= 0 && bottom <= document.querySelector("#now h2").getBoundingClientRect().top };
  });

/** Add a visit as an earlier version kept it: one photograph of an eye, and no answer for one eye. */
async function addOldVisit() {
  const answer = { probability: 0.1, threshold: 0.3, disease: false };
  const row = { result: "no DR", gradable: true, reasons: [], questions: { any: answer } };
  const eyes = { right: { name: "old.jpeg", row, picture: null, heat: null, heatOf: null } };
  const visit = { id: "0", when: 0, label: "Old", point: "balanced", model: "a network", synthetic: false, eyes, joined: null };
  const database = await new Promise((resolve) => (indexedDB.open("eyenet").onsuccess = ({ target }) => resolve(target.result)));
  const change = database.transaction("visits", "readwrite");
  change.objectStore("visits").put(visit);
  await new Promise((resolve) => (change.oncomplete = resolve));
  database.close();
}
