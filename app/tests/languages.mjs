// The page in other languages: chosen by the browser and by hand, and nothing left in English.

import { inspect, look, open, options, phone, ready } from "./driver.mjs";
import { overflow } from "./sizes.mjs";
import { print } from "./views.mjs";

/** List what is shown or read to the user in English; names of files and of the network are the same in every language. */
function english(names) {
  const plain = new RegExp(`EyeNet|EyePACS|Kaggle|JPEG|PNG|CSV|iPhone|iPad|Android|MB|${names.join("|")}`, "g");
  const foreign = { ko: /[A-Za-z]{2,}/, es: /\b(the|of|is|are|not|and|photograph|eye|right|left|with|this|from|it|to|for)\b/i }[document.documentElement.lang];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (parent.closest("noscript, script, body [lang]")) continue;
    const texts = node.nodeType === Node.TEXT_NODE ? [node.data] : ["alt", "title", "placeholder", "aria-label", "aria-valuetext"].map((name) => node.getAttribute(name) ?? "");
    found.push(...texts.filter((text) => foreign.test(text.replace(plain, ""))));
  }
  return found;
}

/** Enter as much as a field of the clinic takes. */
function enter(field) {
  field.value = "긴 이름 ".repeat(30).slice(0, field.maxLength);
  field.dispatchEvent(new Event("input"));
}

export const languages = {
  /** Grade a patient in Korean, then choose Spanish while the patient is in progress. */
  async languages(browser, url) {
    const { page, seen } = await open(browser, url, { viewport: phone, hasTouch: true, isMobile: true, locale: "ko-KR" });
    const found = { english: {}, violations: {}, wide: {}, marked: {}, print: {} };
    const lang = () => page.evaluate(() => document.documentElement.lang);
    const note = async (view) => {
      const name = `${await lang()} ${view}`;
      found.english[name] = await page.evaluate(english, options.names);
      found.violations[name] = await inspect(page);
      await page.setViewportSize({ width: 320, height: 844 });
      found.wide[name] = await page.evaluate(overflow);
      await page.setViewportSize(phone);
      await page.evaluate(() => (document.documentElement.style.fontSize = "212.5%")); // twice its size
      found.wide[`${name}, large`] = await page.evaluate(overflow);
      await page.evaluate(() => (document.documentElement.style.fontSize = ""));
      if (options.screenshots) await page.screenshot({ path: `${options.screenshots}/${name.replaceAll(" ", "-")}.png`, fullPage: true });
    };
    const marked = async (view) => {
      const shown = await page.locator("p:visible").allInnerTexts();
      found.marked[`${await lang()} ${view}`] = shown.filter((text) => options.marks.includes(text)).length;
    };
    const show = async (view, wait) => {
      await page.evaluate((hash) => (location.hash = hash), view);
      await page.waitForSelector(wait);
    };
    const around = async () => {
      await show("settings", "#settings [name=point]");
      await note("settings");
      await show("about", "#about dl");
      await note("about");
      await show("history", "#history .entry");
      await note("history");
      await marked("history");
      await show(await page.locator("#history .entry a").getAttribute("href"), "#history .eye");
      await page.locator("#history details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
      await note("visit");
      await marked("visit");
      found.print[await lang()] = await print(page);
    };

    await note("start");
    await look(page, "right", options.unread);
    found.unread = { ko: await page.locator("#new .reasons").first().innerText() };
    await look(page, "right", options.poor);
    await note("poor");
    await look(page, "right", options.patient.right);
    await look(page, "left", options.patient.left);
    await note("doubts"); // the names are of two patients
    await marked("doubts");
    await page.locator("#now .actions button").click();
    await page.waitForSelector("#now:not([data-result=doubtful])");
    await page.locator("#label").fill("12");
    for (const field of await page.locator(".clinic input").all()) await field.evaluate(enter);
    await page.locator("#new details").evaluateAll((all) => all.forEach((one) => (one.open = true)));
    await note("result");
    await marked("result");
    found.title = { ko: await page.locator("#now h2").innerText() };
    await around();

    found.names = (await page.evaluate(english, ["12"])).length; // of files and of the network, when they are not expected
    await show("settings", "#languages");
    await page.locator("#languages [lang=es]").press("Enter");
    await page.waitForFunction(() => document.documentElement.lang === "es");
    await ready(page);
    found.chosen = await page.locator("#languages [aria-pressed=true]").getAttribute("lang");
    found.manifest = await page.locator("link[rel=manifest]").evaluate(async (link) => (await (await fetch(link.href)).json()).lang);
    await show("new", "#now[data-result]:not([data-result=doubtful])"); // the answer is kept in no language
    found.patient = [await page.locator("#label").inputValue(), await page.locator("#patient .shot").count()];
    found.unread.es = await page.locator("#new .reasons").last().innerText();
    found.title.es = await page.locator("#now h2").innerText();
    await note("result");
    await marked("result");
    await around();
    return { ...found, errors: seen.errors };
  },
};
