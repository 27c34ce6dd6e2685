/** The words of the page, of which words/ has one file for each language: the chosen one, or that of the browser, or English. */

import { readProblem } from "./problems";
import { recall } from "./store";
import { type Text, type Texts, verbatim } from "./text";
import type { Words } from "./words/en";

const files = import.meta.glob<{ default: Words }>("./words/*.ts", { eager: true });
/** By language, such as "en": its words. */
export const known = new Map(Object.entries(files).map(([path, { default: words }]) => [path.slice("./words/".length, -".ts".length), words as Texts<Words>]));

/** Choose the first known language: the user's choice in the settings, then what the browser asks for. */
export function chooseLanguage(chosen: string | null, asked: readonly string[]): string {
  return [chosen ?? "", ...asked].map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => known.has(tag)) ?? "en";
}

const asked = typeof navigator === "undefined" ? [] : navigator.languages; // Node.js before 21 has none
/** The language of the page. */
export const language = chooseLanguage(recall("language"), asked);
export const words = known.get(language) as Texts<Words>;

/** Say why a file or the program cannot be used. */
export function sayProblem(told: string): Text {
  const [key, ...values] = readProblem(told) ?? [told];
  const said = (words.problems as Record<string, Text | ((...given: (string | number)[]) => Text)>)[key];
  if (said === undefined) return verbatim(told); // a sentence of an earlier version, or of the browser
  return typeof said === "function" ? said(...values) : said;
}
