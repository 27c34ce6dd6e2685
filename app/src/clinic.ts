/** The clinic that the letter names, with its rule of when to screen again; kept on this device, and nowhere else. */

import { el, say } from "./dom";
import { recall, remember } from "./store";
import type { Text } from "./text";
import { words } from "./words";

/** What the user has entered; an empty string where nothing. */
export interface Clinic {
  name: string;
  address: string;
  phone: string;
  clear: string; // when to screen again after "no referral suggested"
  mild: string; // and after retinopathy that is not referable
}

const { clinic: said } = words.settings;
const LENGTHS: Record<keyof Clinic, number> = { name: 80, address: 120, phone: 40, clear: 100, mild: 100 }; // so that the letter is one page

let clinic: Clinic | null = null; // once it was recalled

/** Recall the clinic; nothing of it where the browser stores nothing, or something else. */
export function recallClinic(): Clinic {
  if (clinic) return clinic;
  let kept: Partial<Record<string, unknown>> = {};
  try {
    kept = Object(JSON.parse(recall("clinic") ?? "{}"));
  } catch {
    // as if nothing was entered
  }
  const entered = (name: keyof Clinic) => (typeof kept[name] === "string" ? kept[name].slice(0, LENGTHS[name]) : "");
  return (clinic = { name: entered("name"), address: entered("address"), phone: entered("phone"), clear: entered("clear"), mild: entered("mild") });
}

function enter(name: keyof Clinic, value: string): void {
  clinic = { ...recallClinic(), [name]: value.trim() };
  if (!remember("clinic", JSON.stringify(clinic))) say(said.notKept, "wrong");
}

/** Draw the fields; `changed` is called after each change. */
export function drawClinic(changed: () => void): HTMLElement {
  const draw = (name: keyof Clinic, label: Text) => {
    const id = `clinic-${name}`;
    const input = el("input", { id, type: "text", autocomplete: "off", maxlength: LENGTHS[name], value: recallClinic()[name] });
    input.addEventListener("input", () => {
      enter(name, input.value);
      changed();
    });
    return el("div", { class: "field" }, el("label", { for: id }, label), input);
  };
  return el(
    "section",
    { class: "card clinic", "aria-labelledby": "clinic" },
    el("h2", { id: "clinic" }, said.title),
    el("p", { class: "small" }, said.kept),
    draw("name", said.name),
    draw("address", said.address),
    draw("phone", said.phone),
    el("h3", {}, said.rule),
    el("p", { class: "small" }, said.meaning),
    draw("clear", said.clear),
    draw("mild", said.mild),
  );
}
