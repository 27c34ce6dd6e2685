/** Measures of a photograph's quality: a port of eyenet/photo/measures.py, which gives the reasons. */

import { equalize, findVisible, histograms } from "./colours";
import { blackOutside, insideCircle } from "./photo";
import { type Picture, BICUBIC, HAMMING, resize } from "./resample";
import { clip, median, quantile, round, sum } from "./stats";

export const SIDE = 256;
const CELL = 16;
const CELLS = SIDE / CELL;
const RIM = 8;
const NONE = Math.log(1e-3);
const FLAT = 0.12;
const GLARE = 250;
const LAG = 2; // distance in pixels of the compared pixels
const COARSE = 6;
const ALONG = [[0, 6], [6, 0], [4, 4], [4, -4], [6, 2], [2, 6], [6, -2], [2, -6]]; // half of a line: down, right
const REACH = 10;
const SEEN = 0.1;

export type Measures = Record<string, number>;

/** Measure the quality of a crop in natural colours; a black frame has only three measures. */
export function measure(crop: Picture, visible: number, field = "circle"): Measures {
  crop = atSide(crop);
  const inside = insideCircle(SIDE);
  const seen = findVisible(crop, inside);
  const pixels = sum(seen);
  const found: Measures = { equalized: 0, visible: Math.min(visible, pixels / sum(inside)), light: 0 };
  if (field === "frame") found.visible = 1; // the retina fills the picture: nothing of a circle is missing
  if (pixels) {
    const even = equalize(crop, inside);
    found.equalized = Number(flatness(crop, seen, pixels) <= FLAT);
    Object.assign(found, lightOf(crop, seen, pixels), structureOf(crop, even, seen, pixels, Boolean(found.equalized)));
    found.colour = colourOf(even, seen);
  }
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, round(value, 4)]));
}

function atSide(crop: Picture): Picture {
  const size = crop.width;
  if (size === SIDE) return crop;
  const box = { left: 0, upper: 0, right: size, lower: size };
  return blackOutside(resize(crop, SIDE, size > SIDE ? HAMMING : BICUBIC, box));
}

/** Return the largest distance of the distribution of levels from a uniform one, the median of three channels. */
function flatness(crop: Picture, seen: Uint8Array, pixels: number): number {
  const distances = histograms(crop, seen).map((counts) => {
    let below = 0;
    const share = counts.map((count) => (below += count) / pixels);
    const lowest = share.filter((value) => value < 0.02).length;
    const far = share.map((value, level) =>
      Math.abs(value - clip((level - lowest) / Math.max(256 - lowest, 1), 0, 1)),
    );
    return Math.max(...far);
  });
  return median(distances);
}

/** Average a square of values to 16 x 16 cells. */
function averages(value: (i: number) => number): Float64Array {
  const cells = new Float64Array(CELLS * CELLS);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const row = Math.floor(i / SIDE / CELL);
    cells[row * CELLS + Math.floor((i % SIDE) / CELL)] += value(i) / (CELL * CELL);
  }
  return cells;
}

/** Average each channel over the visible pixels of the cells that show enough. */
function cellMeans(picture: Picture, seen: Uint8Array): Float64Array[] {
  const share = averages((i) => seen[i]);
  const least = 0.5 * Math.min(1, Math.max(...share));
  return [0, 1, 2].map((channel) => {
    const means = averages((i) => picture.data[3 * i + channel] * seen[i]);
    return means.map((mean, i) => mean / share[i]).filter((_, i) => share[i] > least);
  });
}

/** Measure how much the equalised channels differ, on the means of the cells; 0 for a grey photograph, at most 1. */
function colourOf(even: Picture, seen: Uint8Array): number {
  const means = cellMeans(even, seen);
  const apart = [[0, 1], [1, 2], [0, 2]].map(([a, b]) => sum(means[a].map((mean, i) => Math.abs(mean - means[b][i]))) / means[a].length);
  return Math.max(...apart) / 255;
}

/** Measure brightness, glare and colour from the means of the cells. */
function lightOf(crop: Picture, seen: Uint8Array, pixels: number): Measures {
  const [red, green, blue] = cellMeans(crop, seen).map((means) => means.map((mean) => Math.log(mean + 4)));
  const [dark, middle] = [quantile(red, 0.1), quantile(red, 0.5)];
  let glare = 0;
  seen.forEach((shown, i) => (glare += Number(shown && crop.data[3 * i + 1] >= GLARE)));
  return {
    light: middle,
    shade: dark - middle,
    glare: glare / pixels,
    red_green: median(red.map((value, i) => value - green[i])),
    green_blue: median(green.map((value, i) => value - blue[i])),
  };
}

/** Measure structures of one hundredth of the diameter in the green channel, natural and equalised. */
function structureOf(crop: Picture, even: Picture, seen: Uint8Array, pixels: number, equalized: boolean): Measures {
  const clipped = mostAtSixLevels(even, seen, pixels);
  const inner = innerPart(seen);
  const share = averages((i) => inner[i]);
  if (!share.some((value) => value > 0.5)) {
    return { clipped, contrast: NONE, vessels: NONE, coarse: NONE, lines: 0, dark_lines: 0 };
  }
  const natural = bend(inner, LAG, (i) => Math.log(crop.data[3 * i + 1] + 16));
  const coarse = equalized && bend(inner, COARSE, (i) => even.data[3 * i + 1] / 255);
  const bent = bend(inner, LAG, (i) => even.data[3 * i + 1] / 255);
  const every = bent.filter((_, i) => inner[i] && i % 2 === 0 && Math.floor(i / SIDE) % 2 === 0);
  const [light, middle, dark] = [0.05, 0.5, 0.95].map((q) => quantile(every, q));
  return {
    clipped,
    contrast: clearest(natural, share),
    vessels: clearest(bent, share),
    ...(coarse ? { coarse: clearest(coarse, share), lines: shareWithLines(even, inner, share) } : {}),
    dark_lines: (light + dark - 2 * middle) / (dark - light + 1e-4),
  };
}

/** Return the largest share of pixels within six neighbouring levels of the equalised green channel. */
function mostAtSixLevels(even: Picture, seen: Uint8Array, pixels: number): number {
  const levels = histograms(even, seen)[1];
  let most = 0;
  for (let i = 0; i + 6 <= levels.length; i++) most = Math.max(most, sum(levels.subarray(i, i + 6)) / pixels);
  return most;
}

/** Remove the pixels near the rim: those at which a box blur of the mask, rounded as Pillow rounds, is not 1. */
function innerPart(seen: Uint8Array): Uint8Array {
  const width = 2 * RIM + 1;
  const blur = (values: Uint8Array, step: number) =>
    values.map((_, i) => {
      const place = Math.floor(i / step) % SIDE;
      let total = 0;
      for (let k = -RIM; k <= RIM; k++) total += values[i + (clip(place + k, 0, SIDE - 1) - place) * step];
      return Math.floor(total / width + 0.5);
    });
  const blurred = blur(blur(seen.map((value) => 255 * value), 1), SIDE);
  return blurred.map((value) => Number(value >= 254));
}

/** Laplacian at a distance of `lag` pixels: positive where a pixel is darker than its surroundings; 0 outside `inner`. */
function bend(inner: Uint8Array, lag: number, level: (i: number) => number): Float64Array {
  const levels = Float64Array.from({ length: SIDE * SIDE }, (_, i) => level(i));
  const bent = new Float64Array(SIDE * SIDE);
  for (let row = lag; row < SIDE - lag; row++) {
    for (let column = lag; column < SIDE - lag; column++) {
      const i = row * SIDE + column;
      if (!inner[i]) continue;
      const around = levels[i + lag * SIDE] + levels[i - lag * SIDE] + levels[i + lag] + levels[i - lag];
      bent[i] = around - 4 * levels[i];
    }
  }
  return bent;
}

/** Return the share of the cells that show a vessel: pixels darker than both sides, all along a line of 12 pixels. */
function shareWithLines(even: Picture, inner: Uint8Array, share: Float64Array): number {
  const wide = SIDE + 2 * REACH;
  const place = (i: number) => (Math.floor(i / SIDE) + REACH) * wide + (i % SIDE) + REACH;
  const level = sumsOfNine(even, wide, place);
  const most = new Int32Array(SIDE * SIDE);
  for (const [down, right] of ALONG) {
    const [along, across] = [down * wide + right, (-right / 2) * wide + down / 2];
    const bent = (k: number) => level[k + across] + level[k - across] - 2 * level[k];
    inner.forEach((shown, i) => {
      const k = place(i);
      if (shown) most[i] = Math.max(most[i], Math.min(bent(k), bent(k + along), bent(k - along)));
    });
  }
  const power = averages((i) => most[i] * most[i]);
  const cells = power.map((value, i) => value / share[i]).filter((_, i) => share[i] > 0.5);
  return cells.filter((value) => value > (SEEN * 9 * 255) ** 2).length / cells.length;
}

/** Add the green levels of 3 x 3 pixels, on a picture with a black margin of `REACH`. */
function sumsOfNine(even: Picture, wide: number, place: (i: number) => number): Int32Array {
  const sums = new Int32Array(wide * wide);
  for (let i = 0; i < SIDE * SIDE; i++) {
    for (const row of [-wide, 0, wide]) {
      for (const column of [-1, 0, 1]) sums[place(i) + row + column] += even.data[3 * i + 1];
    }
  }
  return sums;
}

/** Return the log of the root mean square of the structure that a tenth of the cells exceed. */
function clearest(bent: Float64Array, share: Float64Array): number {
  const power = averages((i) => bent[i] * bent[i]);
  const cells = power.map((value, i) => Math.sqrt(value / share[i])).filter((_, i) => share[i] > 0.5);
  return Math.log(quantile(cells, 0.9) + 1e-3);
}
