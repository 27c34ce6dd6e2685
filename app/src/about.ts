/** What EyeNet is and is not, and which network answers. */

import { byId, el } from "./dom";
import type { Question } from "./probabilities";
import { saySeen, seenBy } from "./seen";
import { session } from "./session";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const { about: said } = words;

/** Draw the view; call it again when the network is loaded. */
export function drawAbout(): void {
  const sections = said.sections.flatMap(([title, content]) => [
    el("h2", {}, title),
    typeof content === "string" ? el("p", {}, content) : el("ul", {}, ...content.map((line) => el("li", {}, line))),
  ]);
  const facts = drawFacts();
  byId("about").replaceChildren(
    el("h1", { id: "about-title" }, said.title),
    el("div", { class: "card prose" }, ...sections, facts && el("h2", {}, said.which), facts),
  );
}

function drawFacts(): HTMLElement | null {
  const { model } = session;
  if (!model) return null;
  const asked = Object.keys(model.decision).filter((name): name is Question => name in words.questions);
  const seen = saySeen(seenBy(model));
  const facts: [Text, Text][] = [
    [said.facts.name, verbatim(model.name)],
    [said.facts.trainedOn, model.synthetic ? said.trainedOnDrawings(seen) : seen],
    [said.facts.detects, said.list(asked.map((name) => words.questions[name]))],
    [said.facts.classes, said.list(said.classes[model.task])],
  ];
  return el("dl", {}, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}
