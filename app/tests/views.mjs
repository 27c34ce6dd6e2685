// What a user does: grade photographs, open every view, use the keyboard, choose an operating point.

import { constants, inflateSync } from "node:zlib";
import { desktop, goTo, inspect, look, open, openOffline, options, phone, pickPoint, ready, tablet } from "./driver.mjs";

/** Read the letter, which is on paper only. */
const letterOf = (page, view) => page.locator(`${view} .letter`).textContent();

/** Count the pages of a PDF, whose objects Firefox compresses. */
export function pagesOf(pdf) {
  const text = pdf.toString("latin1");
  const streams = [...text.matchAll(/stream\r?\n/g)].map(({ index, 0: { length } }) => {
    try {
      return inflateSync(pdf.subarray(index + length), { finishFlush: constants.Z_SYNC_FLUSH }).toString("latin1");
    } catch {
      return ""; // not compressed, or the end of a stream
    }
  });
  return [text, ...streams].join("\n").match(/\/Type\s*\/Page\b/g).length;
}

const PAPER = { A4: [21, 29.7], Letter: [21.59, 27.94] }; // cm

/** Print the page as a PDF. */
export function toPdf(page, format, path) {
  if (page.context().browser().browserType().name() !== "firefox") return page.pdf({ format, path });
  const [width, height] = PAPER[format].map((side) => `${side}in`); // Playwright gives Firefox inches, which takes them for cm
  return page.pdf({ width, height, path });
}

/**
 * Print the opened visit: the number of pages by format, what is on them, and what does not fit into its place.
 * This takes a window of its own, since one that was printed may draw no more frames in Chromium.
 */
export async function print(opened) {
  const page = await opened.context().newPage();
  await page.goto(opened.url());
  await page.waitForSelector("#history .letter", { state: "attached" });
  await page.waitForFunction(() => [...document.querySelectorAll("#history img")].every(({ complete }) => complete));
  const pages = {};
  for (const format of ["A4", "Letter"]) {
    const pdf = await toPdf(page, format, options.screenshots && `${options.screenshots}/${format}.pdf`);
    pages[format] = pagesOf(pdf);
  }
  await page.emulateMedia({ media: "print" });
  await page.setViewportSize({ width: 703, height: 1000 }); // 186 mm, as on A4
  const text = await page.locator("body").innerText();
  const spilt = await page.$$eval("#history .letter *", (all) =>
    all.filter((one) => one.getBoundingClientRect().bottom > one.parentElement.getBoundingClientRect().bottom + 1).map((one) => one.outerHTML.slice(0, 160)),
  );
  const pictures = await page.$$eval("#history img", (all) => all.filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().height));
  await page.close();
  return { pages, text, spilt, pictures };
}

export const views = {
  /** Load, go offline, reload, and grade photographs, both eyes of each patient. */
  async grade(browser, url, server) {
    const { page, seen, origin, status } = await openOffline(browser, url, server);
    const photographs = {};
    const patients = {};
    for (const [patient, eyes] of Object.entries(options.patients)) {
      for (const [eye, file] of Object.entries(eyes)) photographs[file] = await look(page, eye, file);
      if (Object.keys(eyes).length === 2) patients[patient] = await page.locator("#new .result").getAttribute("data-result");
      await page.getByRole("button", { name: "Next patient" }).click();
    }
    const refused = await page.evaluate(() => window.refused.splice(0));
    const outside = await page.evaluate(async () => {
      const answer = await fetch("https://example.org/").then(() => "went out", () => "refused");
      while (!window.refused.length) await new Promise((resolve) => setTimeout(resolve, 20)); // the report arrives later
      return `${answer} ${window.refused.splice(0).at(-1)}`;
    });
    const workerPolicy = await page.evaluate(async () => {
      const worker = performance.getEntriesByType("resource").find(({ name }) => name.includes("worker"));
      return (await fetch(worker.name)).headers.get("Content-Security-Policy");
    });
    const errors = seen.errors.filter((error) => !error.includes("example.org"));
    return { origin, status, photographs, patients, refused, outside, worker_policy: workerPolicy, ...seen, errors };
  },

  /** Choose files that are not photographs of a retina. */
  async broken(browser, url, server) {
    const { page, seen } = await openOffline(browser, url, server);
    const texts = {};
    for (const file of options.files) {
      texts[file] = (await look(page, "right", file)).text;
      await page.getByRole("button", { name: "Next patient" }).click();
    }
    return { texts, errors: [...seen.errors] };
  },

  /** Open every view on a phone, on a tablet and as wide as a laptop, by day and in the dark; screenshots on request. */
  async views(browser, url) {
    const found = {};
    const { page } = await open(browser, url, { viewport: phone, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    const shoot = async (name) => {
      // A screen as high as the page: with `fullPage` the bottom bar would be in the middle.
      const size = page.viewportSize();
      const height = await page.evaluate(() => document.querySelector("main").getBoundingClientRect().bottom + scrollY);
      await page.setViewportSize({ ...size, height: Math.max(size.height, Math.ceil(height)) });
      await page.screenshot({ path: `${options.screenshots}/${name}.png` });
      await page.setViewportSize(size);
    };
    const note = async (name, rules) => {
      if (options.screenshots) await shoot(name.replace(" ", "-"));
      const { width } = page.viewportSize();
      await page.waitForFunction((width) => document.documentElement.clientWidth === width, width);
      const wide = (await page.evaluate(() => document.documentElement.scrollWidth)) - width;
      const small = await page.$$eval("a, button, label.button, select, input[type=text], input[type=date], input[type=range]", (all) =>
        all
          .filter((one) => one.checkVisibility() && !one.classList.contains("skip"))
          .map((one) => [one.innerText || one.id, one.getBoundingClientRect()])
          .filter(([, box]) => box.height < 44 || box.width < 44)
          .map(([text]) => text),
      );
      found[name] = { violations: await inspect(page, rules), wide, small };
    };
    const noteAll = async (view) => {
      await note(`phone ${view}`);
      for (const [device, size] of Object.entries({ phone, tablet, desktop })) {
        await page.setViewportSize(size); // moves what the page contains
        if (size !== phone) await note(`${device} ${view}`, ["color-contrast"]);
        await page.emulateMedia({ colorScheme: "dark" }); // changes colours only
        await note(`${device}-dark ${view}`, ["color-contrast"]);
        await page.emulateMedia({ colorScheme: "light" });
      }
      await page.setViewportSize(phone);
    };
    await noteAll("start");
    await look(page, "right", options.poor);
    await noteAll("poor");
    await page.fill("#label", "Bed 4");
    await look(page, "left", options.patient.right);
    await noteAll("doubts");
    for (const eye of ["left", "right"]) await page.locator(`#new [data-eye=${eye}]`).getByRole("button", { name: "Remove" }).click();
    for (const eye of ["right", "left"]) await look(page, eye, options.patient[eye]);
    await noteAll("result");
    found.marked = await mark(page);
    await noteAll("evidence");
    await look(page, "right", options.second); // a second photograph of the eye
    await page.fill("#born", "2999-01-01");
    const refused = await letterOf(page, "#new");
    await page.fill("#born", "1957-03-04");
    await goTo(page, "settings");
    for (const field of await page.locator(".clinic input").all()) await field.fill("Long words ".repeat(20).slice(0, await field.getAttribute("maxlength")));
    const letter = await letterOf(page, "#new");
    await goTo(page, "history");
    await page.locator("#history .exchange summary").click();
    await noteAll("history");
    await page.getByRole("button", { name: "Delete all" }).click();
    await noteAll("question");
    await page.getByRole("button", { name: "Keep" }).click();
    await page.getByRole("link", { name: /^Open/ }).click();
    await page.waitForSelector("#history .eye");
    await noteAll("visit");
    found.print = { ...(await print(page)), refused, letter, again: await letterOf(page, "#history") };
    await goTo(page, "settings");
    await noteAll("settings");
    await goTo(page, "about");
    await noteAll("about");
    return found;
  },

  /**
   * Do everything with the keyboard, and find the history after a restart of the page, but not after its deletion.
   * The operating point that the page remembers is one that the network lacks.
   */
  async keyboard(browser, url, server) {
    const { page } = await openOffline(browser, url, server);
    await page.evaluate(() => localStorage.setItem("point", "sensitivity_0.123"));
    await page.reload(); // nothing has the focus
    await ready(page);
    const point = await page.locator("[name=point]:checked").inputValue();
    const reached = [];
    const focus = () =>
      page.evaluate(() => {
        const at = document.activeElement;
        if (at === document.body) return { name: "" };
        const style = getComputedStyle(at.classList.contains("file") ? at.parentElement : at);
        const again = at === window.reached?.[0]; // all elements visited
        window.reached = [...(window.reached ?? []), at];
        return { name: again ? "" : at.id || at.closest("label")?.innerText || at.innerText, outline: style.outlineStyle !== "none" };
      });
    await page.locator("body").press("Tab");
    for (let i = 0; i < 12; i++) {
      const at = await focus();
      if (!at.name) break;
      reached.push(at);
      await page.keyboard.press("Tab");
    }
    await page.locator("#label").fill("Keyboard");
    const chooser = page.waitForEvent("filechooser");
    await page.locator("#new [data-eye=right] input[type=file]:not([capture])").focus();
    await page.keyboard.press("Space");
    await (await chooser).setFiles(options.patient.right);
    await page.waitForSelector("#new [data-eye=right][aria-busy=false][data-result]");
    const focused = await page.evaluate(() => document.activeElement.closest("[data-eye]")?.dataset.eye ?? "lost");
    const { row } = await look(page, "left", options.patient.left);
    // A click right after typing: the page must not be redrawn under it.
    await page.locator("#label").fill("Keyboard 2");
    await page.locator("#clinic-name").evaluate((field) => {
      field.value = "Eye Clinic"; // the settings are not shown
      field.dispatchEvent(new Event("input"));
    });
    await page.evaluate(() => (window.print = () => (window.printed = true)));
    await page.getByRole("button", { name: "Print" }).click();
    const printed = await page.evaluate(() => Boolean(window.printed) && document.querySelector("#new .letter").textContent);
    const announced = await page.locator("#status").textContent();
    await page.reload();
    await ready(page);
    const clinic = await page.locator("#clinic-name").inputValue();
    await page.getByRole("link", { name: "History" }).press("Enter");
    await page.waitForSelector("#history .entry");
    const kept = await page.locator("#history .entry").allInnerTexts();
    await page.getByRole("button", { name: /^Delete(?! all)/ }).press("Enter");
    await page.getByRole("button", { name: "Keep" }).press("Enter");
    const spared = await page.locator("#history .entry").count();
    await page.getByRole("button", { name: /^Delete(?! all)/ }).press("Enter");
    await page.locator("dialog").getByRole("button", { name: "Delete" }).press("Enter");
    await page.waitForSelector("#history .entry", { state: "detached" });
    await page.reload();
    await page.waitForFunction(() => document.querySelector("#history .lead"));
    const left = await page.locator("#history").innerText();
    return { point, row, reached, focused, printed, clinic, announced, kept, spared, left };
  },

  /** Grade a patient with a network trained on synthetic photographs: what every view, the history and the print say. */
  async drawn(browser, url) {
    const { page } = await open(browser, url);
    for (const [eye, file] of Object.entries(options.patient)) await look(page, eye, file);
    const titles = await page.locator("#new .title:visible").allInnerTexts();
    const banners = {};
    for (const view of ["new", "about", "settings", "history"]) {
      await page.evaluate((name) => (location.hash = name), view);
      await page.waitForSelector(`#${view}:not([hidden]) > *`);
      banners[view] = await page.locator("#banner").isVisible();
    }
    const entry = await page.locator("#history .entry").innerText();
    const clear = await page.locator(".clear").count();
    await page.emulateMedia({ media: "print" });
    banners.print = await page.locator("#banner").isVisible();
    await page.evaluate(() => (location.hash = "new"));
    banners.letter = await page.locator("#new .warning").isVisible();
    return { titles, banners, entry, clear };
  },

  /** Choose another operating point: the decision changes, the probability does not. */
  async point(browser, url, server) {
    const { page } = await openOffline(browser, url, server);
    const [answers, measured] = [{}, {}];
    await look(page, "right", options.patient.right);
    for (const point of options.points) {
      const before = await page.evaluate(() => window.said.length);
      const isNew = (await page.locator("[name=point]:checked").inputValue()) !== point;
      await pickPoint(page, point);
      if (isNew) await page.waitForFunction((n) => window.said.length > n, before);
      answers[point] = await page.evaluate(() => window.said.at(-1).seen.row);
      measured[point] = await page.locator(".option:has([name=point]:checked)").textContent();
    }
    return { answers, measured };
  },

  /** Choose files that may not be one patient's two eyes: what the page says before and after the answer. */
  async doubts(browser, url, server) {
    const { page } = await openOffline(browser, url, server);
    const found = {};
    const results = () => page.locator("#new .result").allInnerTexts();
    for (const [name, { right, left }] of Object.entries(options.patients)) {
      await look(page, "right", right);
      await look(page, "left", left);
      const asked = await results();
      const status = await page.locator("#status").innerText();
      await goTo(page, "history");
      const kept = await page.locator("#history .entry").first().innerText();
      await goTo(page, "new");
      const confirm = page.getByRole("button", { name: "The files are correct" });
      const offered = await confirm.count();
      if (offered) await confirm.click();
      found[name] = { asked, status, kept, offered, then: await results() };
      await page.getByRole("button", { name: "Next patient" }).click();
    }
    return { found };
  },
};

/** Move the slider of the evidence with the keyboard, look at the bare photograph, and go back: what is drawn and said. */
async function mark(page) {
  const eye = page.locator("#new .eye:has(.level)").first();
  const [slider, picture] = [eye.getByRole("slider"), eye.locator(".pictures")];
  const note = () =>
    picture.evaluate((pictures) => ({
      path: pictures.querySelector("path").getAttribute("d"),
      shown: [...pictures.querySelectorAll("img")].filter((one) => one.checkVisibility({ visibilityProperty: true })).map(({ alt }) => alt),
      level: pictures.parentElement.querySelector("input").getAttribute("aria-valuetext"),
    }));
  const seen = [await note()];
  await slider.press("End");
  seen.push(await note());
  await eye.getByRole("button", { name: "Photograph", exact: true }).click();
  seen.push(await note());
  await eye.getByRole("button", { name: "Evidence" }).click();
  seen.push(await note());
  return seen;
}
