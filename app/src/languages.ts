/** The choice of the language. The page is loaded again, and continues with the patient in progress. */

import { SIDES } from "./answers";
import { el, say } from "./dom";
import { keepInProgress, session } from "./session";
import { recall, remember } from "./store";
import type { Text } from "./text";
import { known, language, words } from "./words";

const { language: said } = words.settings;

/** Change the language. Returns why it cannot be changed, if so. */
async function change(to: string): Promise<Text | null> {
  if (SIDES.some(session.isBusy)) return said.busy; // files that are being looked at are lost when the page is loaded again
  try {
    await keepInProgress();
  } catch {
    return said.notKept;
  }
  remember("language", to);
  if (recall("language") !== to) return said.notKept;
  location.reload();
  return null;
}

/** Draw the choice: each language in its own words. Buttons, because a key that moves among radio buttons would load the page again. */
export function drawLanguages(): HTMLElement {
  const buttons = [...known].map(([tag, { language: name }]) => {
    const onclick = async () => {
      const refused = tag === language ? null : await change(tag);
      if (refused) say(refused, "wrong");
    };
    return el("button", { type: "button", class: "choice", lang: tag, "aria-pressed": String(tag === language), onclick }, name);
  });
  return el(
    "section",
    { class: "card options", id: "languages", "aria-labelledby": "language" },
    el("h2", { id: "language" }, said.title),
    el("p", { class: "small" }, said.meaning),
    el("div", { class: "choices", role: "group", "aria-labelledby": "language" }, ...buttons),
  );
}
