/** The words of the page in the language of the browser, of which words/ has one file each; otherwise English. */

import type { Texts } from "./text";
import type { Words } from "./words/en";

const files = import.meta.glob<{ default: Words }>("./words/*.ts", { eager: true });
const known = new Map(Object.entries(files).map(([path, { default: words }]) => [path.slice("./words/".length, -".ts".length), words]));

/** The language of the page, such as "en". */
const asked = typeof navigator === "undefined" ? [] : navigator.languages; // Node.js before 21 has none
export const language = asked.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => known.has(tag)) ?? "en";
export const words = known.get(language) as Texts<Words>;
