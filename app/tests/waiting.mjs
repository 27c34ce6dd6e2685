// How long a photograph takes from its choice to its result, in pages of any version since the first.

import { kept, open, options, watch } from "./driver.mjs";

const pages = new Map(); // by folder

export const waiting = {
  /** Choose a photograph for the right eye; the page stays open for the next one. */
  async waiting(browser, url) {
    if (!pages.has(options.dist)) {
      const { page, context } = await open(browser, url);
      kept.add(context);
      pages.set(options.dist, page);
    }
    const page = pages.get(options.dist);
    const next = page.getByRole("button", { name: "Next patient" });
    if (await next.count()) await next.first().click();
    await page.evaluate(watch, ["right", await page.evaluate(() => window.said.length)]);
    await page.locator("#new [data-eye=right] input[type=file]:not([capture])").first().setInputFiles(options.file);
    const milliseconds = await page.evaluate(() => window.waited);
    await page.waitForFunction(isExplained);
    await page.waitForTimeout(500); // the evidence is drawn and stored
    return { milliseconds };
  },
};

/** Tell whether the worker has computed the evidence, which follows the answer; earlier versions called it `heat`. */
function isExplained() {
  const { id, seen } = window.said.findLast(({ kind }) => kind === "seen");
  return !(seen.contoursOf ?? seen.heatOf) || window.explained.has(id) || window.said.some((one) => one.kind === "heat" && one.id === id);
}
