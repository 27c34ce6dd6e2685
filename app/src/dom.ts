/** Helpers that build the page. */

import type { Text } from "./text";

type Child = Node | Text | null | false | undefined;

/** Attributes and listeners; those that are read to the user must be Text. */
export interface Attributes {
  [name: string]: unknown;
  alt?: Text;
  title?: Text;
  placeholder?: Text;
  "aria-label"?: Text;
}

/** Make an element with attributes, listeners ("onclick") and children; null, false and undefined are left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | Text => Boolean(child)));
  return element;
}

/**
 * Make what can be opened by a click on its title; `changed` notes how the user left it. The page may be drawn again before
 * the event "toggle" comes, so a click counts at once; a search in the page opens it too, without a click.
 */
export function drawFold(isOpen: boolean, title: Text, inside: Child[], changed: (isOpen: boolean) => void): HTMLElement {
  const fold = el("details", { class: "details", open: isOpen }, el("summary", { onclick: () => changed(!fold.open) }, title), ...inside);
  fold.addEventListener("toggle", () => fold.isConnected && changed(fold.open));
  return fold;
}

/** Show a message above the page; screen readers announce it. */
export function say(text: Text | null, kind = ""): void {
  const status = byId("status");
  status.textContent = text;
  status.dataset.kind = kind;
}

/** Show a message above the page, and scroll to it. */
export function tell(text: Text, kind = ""): void {
  say(text, kind);
  byId("status").scrollIntoView({ block: "nearest" });
}

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element as T;
}

/** Make words that only screen readers say. */
export const aside = (text: Text): HTMLElement => el("span", { class: "hidden" }, text);
