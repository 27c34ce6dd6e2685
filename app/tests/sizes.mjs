// What does not fit on a narrow screen, or with large text.

import { goTo, open, options, phone } from "./driver.mjs";
import { give, next } from "./nurse.mjs";

export const sizes = {
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
      await page.waitForSelector("#new .eye figcaption:not(.print-only)"); // the evidence follows the answer
      await measure("result");
      if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name}.png`, fullPage: true });
      await goTo(page, "history");
      await page.locator(".exchange summary").click();
      await measure("history");
      if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name}-history.png`, fullPage: true });
      await goTo(page, "new");
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
