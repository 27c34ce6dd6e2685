/** The settings: how cautious the page is. */

import { byId, el } from "./dom";
import { byCaution, sayMeasured, sayPoint } from "./points";
import { TASKS } from "./probabilities";
import { ownPoint, pointsOf } from "./screener";
import { choosePoint, session } from "./session";
import { words } from "./words";

const { settings: said } = words;

/** Draw the settings; call it again when the network is loaded. */
export function drawSettings(): void {
  const { model } = session;
  const title = el("h1", { id: "settings-title" }, said.title);
  if (!model) return byId("settings").replaceChildren(title, el("p", { class: "lead" }, session.failure ?? said.loading));
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
  byId("settings").replaceChildren(
    title,
    el(
      "fieldset",
      { class: "card options" },
      el("legend", {}, said.cautious),
      el("p", {}, said.meaning),
      el("p", { class: "small" }, set ? said.measuredOn(set) : said.measuredNowhere),
      ...options,
    ),
  );
}
