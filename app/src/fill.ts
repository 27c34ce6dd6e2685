/** Fill values into a text of eyenet/letter/: `{name}` stands for a value, as for `str.format` in Python. */

import type { Text } from "./text";

export function fill(text: Text, values: Record<string, Text>): Text;
export function fill(text: string, values: Record<string, string>): string;
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
