/** Numbers and dates for the user. */

import type { Text } from "./text";
import { verbatim } from "./text";
import { words } from "./words";

const { details: said } = words;

function percent(probability: number): Text {
  if (probability > 0 && probability < 0.01) return said.under;
  if (probability < 1 && probability > 0.99) return said.over;
  return said.percent(probability, 0);
}

/** Format a probability and its threshold, with decimals where whole numbers would be equal. */
export function percents(probability: number, threshold: number): [Text, Text] {
  const whole: [Text, Text] = [percent(probability), percent(threshold)];
  if (whole[0] !== whole[1] || probability === threshold) return whole;
  const decimals = [1, 2].find((count) => said.percent(probability, count) !== said.percent(threshold, count)) ?? 3;
  return [said.percent(probability, decimals), said.percent(threshold, decimals)];
}

const COUNT = new Intl.NumberFormat(words.locale);

export const sayCount = (count: number): Text => verbatim(COUNT.format(count));

const WHEN = new Intl.DateTimeFormat(words.locale, { dateStyle: "medium", timeStyle: "short" });

const DAY = new Intl.DateTimeFormat(words.locale, { dateStyle: "long", timeZone: "UTC" });

/** Format a day, such as 1957-03-04. */
export const sayDay = (day: string): Text => verbatim(DAY.format(Date.parse(day)));

export const sayWhen = (when: number): Text => verbatim(WHEN.format(when));

const DATE = new Intl.DateTimeFormat(words.locale, { dateStyle: "medium" });

/** Format the day of a time on this device. */
export const sayDate = (when: number): Text => verbatim(DATE.format(when));
