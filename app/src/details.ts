/** The numbers behind an answer: probability, threshold and grade, behind "Details" on the screen and open on paper. */

import { type Tone } from "./answers";
import { drawFold, el } from "./dom";
import { percents } from "./numbers";
import type { Question } from "./probabilities";
import type { Row } from "./screener";
import { type Text, verbatim } from "./text";
import { words } from "./words";

const SYMBOLS: Record<Tone, string> = { refer: "!", mild: "!", clear: "✓", again: "↻", none: "–", unsure: "?" };
const { details: said } = words;

/** Draw a title with the symbol of its tone. */
export function drawTitle(tag: "h2" | "h3" | "p", tone: Tone, title: Text, id?: string): HTMLElement {
  return el(tag, { class: `title ${tone}`, id }, el("span", { class: "symbol", "aria-hidden": "true" }, verbatim(SYMBOLS[tone])), title);
}

const unfolded = new WeakSet<Row>(); // as the user left them; the page is drawn again when the evidence arrives

/** Draw what can be opened; `more` follows the answers of the row. Null if there is nothing. */
export function drawDetails(row: Row | null, more: (HTMLElement | null)[] = []): HTMLElement | null {
  const answers = row && drawAnswers(row);
  const inside = [answers, ...more].filter(Boolean);
  if (!inside.length) return null;
  return drawFold(row !== null && unfolded.has(row), said.title, inside, (isOpen) => row && unfolded[isOpen ? "add" : "delete"](row));
}

/** Draw the answers of a row: for each question the probability, as a number and a bar, and the threshold. */
function drawAnswers(row: Row): HTMLElement | null {
  const answers = Object.entries(row.questions ?? {}).filter(([, answer]) => answer.probability !== null);
  if (!answers.length) return null;
  const lines = answers.map(([question, { probability, threshold, disease, unsure, low, high }]) => {
    const [value, least] = [probability ?? 0, threshold ?? 0];
    const bar = el("span", { class: `meter ${disease || unsure ? "called" : ""}`, "aria-hidden": "true" }, el("i"), el("b"));
    bar.style.setProperty("--value", String(value));
    bar.style.setProperty("--least", String(least));
    const [probable, shown] = percents(value, least);
    const compared = unsure ? said.between(said.percent(low ?? 0, 1), said.percent(high ?? 1, 1), shown) : disease ? said.reaches(shown, question as Question) : said.below(shown);
    return el("div", {}, el("dt", {}, words.questions[question as Question]), el("dd", {}, el("strong", {}, probable), compared, bar));
  });
  const grade = row.grade !== undefined && el("div", {}, el("dt", {}, said.grade), el("dd", {}, said.gradeIs(row.grade, words.letter.grades[row.grade])));
  return el("dl", { class: "answers" }, ...lines, grade);
}
