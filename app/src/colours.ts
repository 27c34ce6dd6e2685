/** The colours of a crop, natural or equalised: a port of eyenet/photo/colours.py. */

import type { Picture } from "./resample";
import { countedQuantile, rint, sum } from "./stats";

export type Colours = "natural" | "equalized";

export const BLACK = 24; // a frame whose brightest hundredth is darker is black
const NOISE = 6; // grey levels of noise in the surround
const SHADE = 0.08; // share of the brightest level
const LIT = 0.25; // share of a row inside the circle that must be lit to count as retina

/** Mark the visible part of the retina, without letter-box bars; all 0 for a black frame. */
export function findVisible(crop: Picture, inside: Uint8Array): Uint8Array {
  const size = crop.width;
  const light = lightOf(crop);
  const counts = new Float64Array(256);
  for (let i = 0; i < inside.length; i++) counts[light[i]] += inside[i];
  const brightest = countedQuantile(counts, 0.99);
  const none = new Uint8Array(inside.length);
  if (brightest <= BLACK) return none;
  const least = Math.max(NOISE, SHADE * brightest);
  const rows = spanOfLit(size, size, 1, inside, light, least);
  const columns = spanOfLit(size, 1, size, inside, light, least);
  if (!rows || !columns) return none;
  for (let row = rows[0]; row <= rows[1]; row++) {
    for (let i = row * size + columns[0]; i <= row * size + columns[1]; i++) none[i] = inside[i];
  }
  return none;
}

/** The largest channel of each pixel. */
function lightOf({ width, height, data }: Picture): Uint8Array {
  const light = new Uint8Array(width * height);
  for (let i = 0, at = 0; i < light.length; i++, at += 3) light[i] = Math.max(data[at], data[at + 1], data[at + 2]);
  return light;
}

/** Find the first and the last line (row or column) of which enough is lit; lines are `next`, their pixels `step` apart. */
function spanOfLit(
  size: number,
  next: number,
  step: number,
  inside: Uint8Array,
  light: Uint8Array,
  least: number,
): [number, number] | null {
  const shown: number[] = [];
  for (let line = 0; line < size; line++) {
    let [all, lit] = [0, 0];
    for (let place = 0, i = line * next; place < size; place++, i += step) {
      all += inside[i];
      lit += Number(inside[i] && light[i] > least);
    }
    if (lit > LIT * all) shown.push(line);
  }
  return shown.length ? [shown[0], shown[shown.length - 1]] : null;
}

/** Count the levels of each channel where the mask is 1: three histograms of 256. */
export function histograms(crop: Picture, mask: Uint8Array): Float64Array[] {
  const [red, green, blue] = [0, 1, 2].map(() => new Float64Array(256));
  const { data } = crop;
  for (let i = 0, at = 0; i < mask.length; i++, at += 3) {
    if (!mask[i]) continue;
    red[data[at]]++;
    green[data[at + 1]]++;
    blue[data[at + 2]]++;
  }
  return [red, green, blue];
}

const equalized = new WeakMap<Picture, Picture>(); // the quality gate and the network need the same

/** Equalise the histogram of each channel over the visible retina, and blacken the rest. */
export function equalize(crop: Picture, inside: Uint8Array): Picture {
  let even = equalized.get(crop);
  if (!even) equalized.set(crop, (even = equalizeOnce(crop, inside)));
  return even;
}

function equalizeOnce(crop: Picture, inside: Uint8Array): Picture {
  const visible = findVisible(crop, inside);
  const pixels = sum(visible);
  if (!pixels) return crop;
  const [red, green, blue] = histograms(crop, visible).map((counts) => {
    let below = 0;
    return Uint8Array.from(counts, (count) => {
      below += count;
      return rint(255 * ((below - count / 2) / pixels)); // the mean rank of the level's pixels
    });
  });
  const [natural, data] = [crop.data, new Uint8Array(crop.data.length)];
  for (let i = 0, at = 0; i < visible.length; i++, at += 3) {
    if (!visible[i]) continue;
    data[at] = red[natural[at]];
    data[at + 1] = green[natural[at + 1]];
    data[at + 2] = blue[natural[at + 2]];
  }
  return { ...crop, data };
}
