/** The list of the history: search, filter by answer, and the results. */

import { SIDES } from "./answers";
import { sayDays } from "./days";
import { el } from "./dom";
import { sayWhen } from "./numbers";
import { nameOf } from "./result";
import { type Answered, EVERYTHING, type Listed, type Wanted, isUnfinished, isWanted, listedAs, sayListed } from "./search";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

const { history: said, search } = words;
const PAGE = 100; // entries that are drawn at once
let wanted: Wanted = { ...EVERYTHING }; // stays while the page is open

/** What to draw of an entry besides its words, and below the list. */
interface Parts {
  link(visit: Visit, more: Text): HTMLElement[];
  below(found: Visit[], isAll: boolean): HTMLElement[];
}

/** Draw the search and the list. */
export function drawWorklist(visits: Visit[], parts: Parts): HTMLElement[] {
  const body = el("div", {});
  const count = el("p", { class: "small", role: "status" });
  const redraw = () => {
    const found = visits.filter((visit) => isWanted(visit, wanted));
    count.textContent = search.count(found.length, visits.length);
    body.replaceChildren(drawEntries(found, PAGE, parts), ...parts.below(found, found.length === visits.length));
  };
  redraw();
  return [drawSearch(visits, redraw), count, body];
}

/** Draw the fields of the search. */
function drawSearch(visits: Visit[], redraw: () => void): HTMLElement {
  const name = el("input", { id: "search-name", type: "search", autocomplete: "off", maxlength: 80, value: wanted.text });
  const day = el("input", { id: "search-day", type: "date", value: wanted.day });
  const there = new Set(visits.map(listedAs));
  const answers: [Answered, Text][] = [["", search.all]];
  if (visits.some(isUnfinished)) answers.push(["open", search.open]);
  for (const one of [...Object.keys(words.answers), "doubtful"] as Listed[]) if (there.has(one)) answers.push([one, one === "doubtful" ? words.doubts.history : words.answers[one][0]]);
  if (!answers.some(([value]) => value === wanted.answer)) wanted.answer = "";
  const answer = el("select", { id: "search-answer" }, ...answers.map(([value, text]) => el("option", { value, selected: value === wanted.answer }, text)));
  const change = () => {
    wanted = { text: name.value, day: day.value, answer: answer.value as Answered };
    redraw();
  };
  for (const field of [name, day, answer]) field.addEventListener("input", change);
  const field = (label: Text, input: HTMLElement) => el("div", { class: "field" }, el("label", { for: input.id }, label), input);
  return el("form", { class: "search", role: "search", "aria-label": search.title, onsubmit: (event: Event) => event.preventDefault() }, field(search.name, name), field(search.day, day), field(search.answer, answer));
}

/** Draw the first entries and, where there are more, a button. */
function drawEntries(found: Visit[], most: number, parts: Parts): HTMLElement {
  const list = el("ul", { class: "visits" }, ...found.slice(0, most).map((visit) => drawEntry(visit, parts)));
  if (found.length <= most) return el("div", {}, list);
  const more = el("button", { type: "button", class: "button", onclick: () => whole.replaceWith(drawEntries(found, most + PAGE, parts)) }, search.more);
  const whole = el("div", {}, list, el("div", { class: "actions wide" }, more));
  return whole;
}

function drawEntry(visit: Visit, { link }: Parts): HTMLElement {
  const { tone, title } = sayListed(visit);
  const isOne = SIDES.some((eye) => !visit.eyes[eye].length);
  const days = sayDays(visit);
  return el(
    "li",
    { class: `card entry ${tone}` },
    el(
      "div",
      { class: "about" },
      el("strong", {}, nameOf(visit)),
      el("span", { class: "small" }, sayWhen(visit.when)),
      days && el("span", { class: "small" }, days),
      el("span", {}, isOne && listedAs(visit) !== "doubtful" ? said.oneEye(title) : title),
    ),
    ...link(visit, said.ofVisit(nameOf(visit), sayWhen(visit.when))),
  );
}
