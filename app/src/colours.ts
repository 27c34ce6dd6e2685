/** The colours of a crop, natural or equalised: a port of eyenet/photo/colours.py. */

import type { Picture } from "./resample";
import { quantile, rint, sum } from "./stats";

export type Colours = "natural" | "equalized";

export const BLACK = 24; // a frame whose brightest hundredth is darker is black
const NOISE = 6; // grey levels of noise in the surround
const SHADE = 0.08; // share of the brightest level
const LIT = 0.25; // share of a row inside the circle that must be lit to count as retina

/** Mark the visible part of the retina, without letter-box bars; all 0 for a black frame. */
export function findVisible(crop: Picture, inside: Uint8Array): Uint8Array {
  const size = crop.width;
  const light = inside.map((_, i) => Math.max(crop.data[3 * i], crop.data[3 * i + 1], crop.data[3 * i + 2]));
  const brightest = quantile(light.filter((_, i) => inside[i]), 0.99);
  const none = new Uint8Array(inside.length);
  if (brightest <= BLACK) return none;
  const least = Math.max(NOISE, SHADE * brightest);
  const rows = spanOfLit(size, (line, place) => line * size + place, inside, light, least);
  const columns = spanOfLit(size, (line, place) => place * size + line, inside, light, least);
  if (!rows || !columns) return none;
  return inside.map((value, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return Number(value && row >= rows[0] && row <= rows[1] && column >= columns[0] && column <= columns[1]);
  });
}

/** Find the first and the last line (row or column) of which enough is lit. */
function spanOfLit(
  size: number,
  index: (line: number, place: number) => number,
  inside: Uint8Array,
  light: Uint8Array,
  least: number,
): [number, number] | null {
  const shown: number[] = [];
  for (let line = 0; line < size; line++) {
    let [all, lit] = [0, 0];
    for (let place = 0; place < size; place++) {
      const i = index(line, place);
      all += inside[i];
      lit += Number(inside[i] && light[i] > least);
    }
    if (lit > LIT * all) shown.push(line);
  }
  return shown.length ? [shown[0], shown[shown.length - 1]] : null;
}

/** Count the levels of each channel where the mask is 1: three histograms of 256. */
export function histograms(crop: Picture, mask: Uint8Array): Float64Array[] {
  const counts = [0, 1, 2].map(() => new Float64Array(256));
  mask.forEach((seen, i) => {
    if (seen) counts.forEach((histogram, channel) => histogram[crop.data[3 * i + channel]]++);
  });
  return counts;
}

/** Equalise the histogram of each channel over the visible retina, and blacken the rest. */
export function equalize(crop: Picture, inside: Uint8Array): Picture {
  const visible = findVisible(crop, inside);
  const pixels = sum(visible);
  if (!pixels) return crop;
  const levels = histograms(crop, visible).map((counts) => {
    let below = 0;
    return Uint8Array.from(counts, (count) => {
      below += count;
      return rint(255 * ((below - count / 2) / pixels)); // the mean rank of the level's pixels
    });
  });
  const data = crop.data.map((level, i) => (visible[Math.floor(i / 3)] ? levels[i % 3][level] : 0));
  return { ...crop, data };
}
