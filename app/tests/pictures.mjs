// Pictures of the page for the documentation: docs/page_pictures.py.

import { desktop, open, options, phone } from "./driver.mjs";
import { button } from "./nurse.mjs";

export const pictures = {
  /** Photograph the drawn eyes: the right eye on a phone, and the whole page on a laptop. */
  async pictures(browser, url) {
    for (const [name, viewport] of Object.entries({ phone, desktop })) {
      const { context, page } = await open(browser, url, { viewport });
      await button(page, "Referable").click();
      await page.waitForSelector("#now[data-result]");
      await page.waitForFunction(() => document.querySelectorAll("#new .eye .evidence").length === 2); // follows the answer
      if (name === "phone") await page.evaluate(below); // the banner, which stays
      await page.screenshot({ path: `${options.folder}/${name}.png`, fullPage: name === "desktop" });
      await context.close();
    }
    return {};
  },
};

/** Scroll until the right eye is below the banner. */
function below() {
  const [eye, banner] = ["#new [data-eye=right]", "#banner"].map((one) => document.querySelector(one));
  scrollBy(0, eye.getBoundingClientRect().top - banner.offsetHeight - 12); // pixels between them
}
