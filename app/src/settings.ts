/** The settings: the language, how cautious the page is, the clinic for the letter, and when results are deleted. */

import { drawRetention } from "./cleaning";
import { drawClinic } from "./clinic";
import { byId, el } from "./dom";
import { drawLanguages } from "./languages";
import { redrawLetter } from "./patient";
import { byCaution, sayMeasured, sayPoint, sayUnsure } from "./points";
import { TASKS } from "./probabilities";
import { ownPoint, pointsOf, ratesOf } from "./screener";
import { saySet } from "./seen";
import { choosePoint, chooseUnsure, session } from "./session";
import { words } from "./words";

const { settings: said } = words;
const RATES = ["0.02", "0.05", "0.1", "0.2"]; // that are offered, of those that the network has
const clinic = drawClinic(redrawLetter); // once, so that it keeps what is being typed

/** Draw the settings; call it again when the network is loaded. */
export function drawSettings(): void {
  const focused = document.activeElement;
  byId("settings").replaceChildren(el("h1", { id: "settings-title" }, said.title), drawLanguages(), drawCaution(), ...drawUnsure(), clinic, drawRetention());
  if (focused instanceof HTMLElement && clinic.contains(focused)) focused.focus({ preventScroll: true });
}

function drawCaution(): HTMLElement {
  const { model } = session;
  if (!model) return el("p", { class: "lead" }, session.failure ?? said.loading);
  const { set } = model.measured ?? {};
  const options = byCaution(pointsOf(model)).map((point) => {
    const checked = point === session.point;
    const name = point === ownPoint(model) ? said.own(sayPoint(point)) : sayPoint(point);
    const measured = sayMeasured(point, TASKS[model.task].questions, model.measured);
    return el(
      "label",
      { class: "option" },
      el("input", { type: "radio", name: "point", value: point, checked, onchange: () => choosePoint(point) }),
      el("span", {}, el("strong", {}, name), ...measured.map((line) => el("span", { class: "small" }, line))),
    );
  });
  return el(
    "fieldset",
    { class: "card options" },
    el("legend", {}, said.cautious),
    el("p", {}, said.meaning),
    el("p", { class: "small" }, set ? said.measuredOn(saySet(set)) : said.measuredNowhere),
    ...options,
  );
}

/** Draw whether the answer may be unsure; nothing while there is no network. */
function drawUnsure(): HTMLElement[] {
  const { model } = session;
  if (!model) return [];
  const rates = RATES.filter((rate) => ratesOf(model).includes(rate));
  const options = ["", ...rates].map((rate) =>
    el(
      "label",
      { class: "option" },
      el("input", { type: "radio", name: "unsure", value: rate, checked: rate === session.unsure, onchange: () => chooseUnsure(rate) }),
      el("span", {}, el("strong", {}, sayUnsure(rate) ?? said.unsure.never)),
    ),
  );
  return [el("fieldset", { class: "card options" }, el("legend", {}, said.unsure.title), ...(rates.length ? [el("p", {}, said.unsure.meaning), el("p", { class: "small" }, said.unsure.holds), ...options] : [el("p", {}, said.unsure.none)]))];
}
