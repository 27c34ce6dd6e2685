/** The checklist of a photograph: retina found, whole, sharp, light; and what to do about each reason against it. */

import { el } from "./dom";
import { type Row, UNREAD, isGradable } from "./screener";
import { type Text, verbatim } from "./text";
import { sayProblem, words } from "./words";

type Item = "retina" | "whole" | "sharp" | "light";
type State = "yes" | "no" | "unknown";

const ITEMS: Item[] = ["retina", "whole", "sharp", "light"];
const SYMBOLS: Record<State, string> = { yes: "✓", no: "✕", unknown: "–" };
const GREY = "not a colour photograph"; // whatever it shows

/** Which item a reason of the quality gate is about. */
const ABOUT: Record<string, Item> = {
  "not a fundus photograph": "retina",
  [GREY]: "light",
  "retina cut off": "whole",
  "out of focus": "sharp",
  "detail lost": "sharp",
  "too dark": "light",
  overexposed: "light",
  "under- or overexposed": "light",
  "low contrast": "light",
};

/** Find the state of each item; without a retina, or in a grey photograph, only the reasons are known. A whole frame shows no rim, and older versions did not say what was taken. */
export function stateOf(row: Row): Record<Item, State> {
  const against = new Set(row.reasons.map((reason) => ABOUT[reason]));
  const state = (item: Item): State => {
    if (against.has(item) || (item === "retina" && row.retina === false && !row.reasons.includes(GREY))) return "no";
    return row.retina === false || (item === "whole" && row.field !== "circle") ? "unknown" : "yes";
  };
  return Object.fromEntries(ITEMS.map((item) => [item, state(item)])) as Record<Item, State>;
}

/** Tell whether a photograph is poor, or could not even be read. */
export const isPoor = (row: Row): boolean => row.result === UNREAD || !isGradable(row);

/** Draw the checklist; null for a file that could not be read. */
export function drawChecklist(row: Row): HTMLElement | null {
  if (row.result === UNREAD) return null;
  const state = stateOf(row);
  const items = ITEMS.map((item) => {
    const found = state[item];
    const said = item === "whole" && row.field === "frame" ? words.checklist.frame : words.checklist[item][found];
    return el("li", { class: found }, el("span", { "aria-hidden": "true" }, verbatim(SYMBOLS[found])), said);
  });
  return el("ul", { class: "checklist" }, ...items);
}

/** Name the reasons against a photograph, and say what to do, the strongest reason first. */
export function reasonsOf({ reasons, result }: Row): [Text, Text | null][] {
  if (result === UNREAD) return reasons.map((reason) => [sayProblem(reason), null]);
  const told = reasons.filter((reason) => !/^(no retina found|the retina is )/.test(reason)); // the reason before it says so
  return told.map((reason) => words.reasons[reason] ?? words.otherReason(reason));
}

/** Draw what to do about each reason. */
export function drawTodo(row: Row): HTMLElement | null {
  const reasons = reasonsOf(row);
  if (!isPoor(row) || !reasons.length) return null;
  const items = reasons.map(([reason, todo]) => el("li", {}, el("strong", {}, todo ? words.reason(reason) : reason), todo));
  return el("ol", { class: "reasons" }, ...items);
}
