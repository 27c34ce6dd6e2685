// Visits of patients, as a nurse would go through them on a phone.

import { inspect, open, options, phone, pickPoint } from "./driver.mjs";

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

/** Give files to an input, and wait until they are graded. */
async function give(page, input, files) {
  const before = await page.evaluate(() => window.said.length);
  await input.setInputFiles(files);
  await settled(page, before + [files].flat().length);
}

async function settled(page, count) {
  await page.waitForFunction((n) => window.said.length >= n, count, { timeout: 60_000 });
  await page.waitForFunction(() => !document.querySelector("#patient [aria-busy=true]"));
  return note(page);
}

/** Take photographs with the button of the card at the top, as with the camera. */
export const take = async (page, file) => {
  await give(page, page.locator("#now input[capture]"), file);
  return note(page);
};
export const next = (page) => page.getByRole("button", { name: "Next patient" }).click();

export const visits = {
  /** Go through visits on a phone, one after the other. */
  async visits(browser, url) {
    const { page, seen } = await open(browser, url, { viewport: phone, hasTouch: true, isMobile: true });
    const { good, poor, alsoPoor, other, fields, unnamed } = options;
    const found = { first: await note(page) };
    found.guide = await page.locator("#now .guide img").evaluateAll((all) => Promise.all(all.map((one) => one.decode().then(() => [one.alt, one.naturalWidth]))));

    found.one = await take(page, good.right);
    found.both = await take(page, good.left);
    await next(page);

    found.poor = await take(page, poor);
    found.same = await take(page, poor); // the same file is no second attempt
    found.again = await take(page, alsoPoor);
    found.spent = await take(page, other);
    found.violations = await inspect(page);
    await next(page);

    await page.setInputFiles("#new .actions.wide input[multiple]", fields); // of both eyes, by their names
    await page.waitForSelector("#now[data-result]");
    found.fields = await note(page);
    const before = await page.evaluate(() => window.said.length);
    await pickPoint(page, options.point);
    found.regraded = await settled(page, before + fields.length);
    await next(page);

    await page.setInputFiles("#new .actions.wide input[multiple]", unnamed);
    await page.waitForSelector("dialog fieldset");
    found.asked = { violations: await inspect(page), text: await page.locator("dialog").innerText() };
    await page.getByRole("button", { name: "Use these" }).click(); // not yet: each file needs an answer
    found.asked.open = await page.locator("dialog").count();
    for (const [i, eye] of ["Right eye", "Left eye"].entries()) await page.locator("dialog fieldset").nth(i).getByText(eye).click();
    await page.getByRole("button", { name: "Use these" }).click();
    await page.waitForSelector("#now[data-result]");
    found.unnamed = await note(page);

    await next(page);

    await page.getByRole("button", { name: "Poor photograph" }).click();
    await page.waitForSelector("#now[data-result]");
    found.sample = { ...(await note(page)), banner: await page.locator("#banner").innerText(), ...(await seenBanner(page)), label: await page.locator("#label").inputValue(), letter: await page.locator("#new .letter").textContent() };
    await page.getByRole("link", { name: "About" }).click();
    found.sample.everywhere = await page.locator("#banner").isVisible();
    await page.getByRole("link", { name: "Patient" }).click();
    found.own = await take(page, good.right); // a patient's photograph never joins a sample
    found.own.banner = await page.locator("#banner").isVisible();
    await next(page);

    await page.evaluate(addOldVisit);
    await page.getByRole("link", { name: "History" }).click();
    await page.waitForSelector("#history .entry");
    found.kept = await page.locator("#history .entry").allInnerTexts();
    await page.locator("#history .entry").last().getByRole("link", { name: "Open" }).click();
    await page.waitForSelector("#history .eye");
    found.old = await page.locator("#history").innerText();
    found.oldLetter = await page.locator("#history .letter").textContent();
    return { ...found, errors: seen.errors };
  },

  /** Enlarge the text to twice its size, and look at a narrow screen: what does not fit. */
  async sizes(browser, url) {
    const { page } = await open(browser, url, { viewport: phone, hasTouch: true }); // a mobile page would widen its window
    const wide = {};
    for (const [name, width, size] of [["narrow", 320, "106.25%"], ["large", 390, "212.5%"]]) {
      await page.setViewportSize({ width, height: 844 });
      await page.evaluate((share) => (document.documentElement.style.fontSize = share), size);
      const measure = async (view) => (wide[`${name} ${view}`] = await page.evaluate(overflow));
      for (const view of ["settings", "about", "new"]) {
        await page.evaluate((hash) => (location.hash = hash), view);
        await page.waitForSelector(`#${view}:not([hidden]) > *`);
        await measure(view);
      }
      for (const [eye, file] of Object.entries(options.patient)) await give(page, page.locator(`#new [data-eye=${eye}] input[capture]`), file);
      await page.waitForSelector("#new figcaption:not(.print-only)"); // the evidence follows the answer
      await measure("result");
      if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name}.png`, fullPage: true });
      await page.getByRole("link", { name: "History" }).click();
      await page.locator(".exchange summary").click();
      await measure("history");
      if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name}-history.png`, fullPage: true });
      await page.getByRole("link", { name: "Patient" }).click();
      await next(page);
    }
    return { wide };
  },
};

/** List what is wider than the screen, or than its own place. */
export function overflow() {
  const all = [...document.querySelectorAll("main *, nav a")].filter((one) => one.checkVisibility() && !one.closest(".hidden, .status, .file"));
  const wide = all.filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > one.clientWidth + 1 && one.matches("nav a, button, .button, .field"));
  return wide.map((one) => `${one.tagName}.${one.className}`).concat(document.documentElement.scrollWidth > innerWidth ? ["page"] : []);
}

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
