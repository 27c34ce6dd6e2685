/** Measures of a photograph's quality: a port of eyenet/photo/measures.py, which gives the reasons. */

import { equalize, findVisible, histograms } from "./colours";
import { blackOutside, insideCircle } from "./photo";
import { type Picture, BICUBIC, HAMMING, resize } from "./resample";
import { clip, median, quantile, quantiles, round, sum } from "./stats";

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
function averages(values: Float64Array | Uint8Array): Float64Array {
  const cells = new Float64Array(CELLS * CELLS);
  for (let row = 0, i = 0; row < SIDE; row++) {
    const first = Math.floor(row / CELL) * CELLS;
    for (let column = 0; column < SIDE; column++, i++) cells[first + Math.floor(column / CELL)] += values[i] / (CELL * CELL);
  }
  return cells;
}

/** One channel of a picture. */
function channelOf({ data }: Picture, channel: number): Float64Array {
  const values = new Float64Array(SIDE * SIDE);
  for (let i = 0, at = channel; i < values.length; i++, at += 3) values[i] = data[at];
  return values;
}

function squares(values: Float64Array | Int32Array): Float64Array {
  const squared = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) squared[i] = values[i] * values[i];
  return squared;
}

/** Average each channel over the visible pixels of the cells that show enough. */
function cellMeans(picture: Picture, seen: Uint8Array): Float64Array[] {
  const share = averages(seen);
  const least = 0.5 * Math.min(1, Math.max(...share));
  return [0, 1, 2].map((channel) => {
    const values = channelOf(picture, channel);
    for (let i = 0; i < values.length; i++) values[i] *= seen[i];
    const means = averages(values);
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
  const [dark, middle] = quantiles(red, [0.1, 0.5]);
  let glare = 0;
  for (let i = 0; i < seen.length; i++) glare += Number(seen[i] && crop.data[3 * i + 1] >= GLARE);
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
  const share = averages(inner);
  if (!share.some((value) => value > 0.5)) {
    return { clipped, contrast: NONE, vessels: NONE, coarse: NONE, lines: 0, dark_lines: 0 };
  }
  const natural = bend(inner, LAG, channelOf(crop, 1).map((level) => Math.log(level + 16)));
  const levels = channelOf(even, 1).map((level) => level / 255);
  const coarse = equalized && bend(inner, COARSE, levels);
  const bent = bend(inner, LAG, levels);
  const every = bent.filter((_, i) => inner[i] && i % 2 === 0 && Math.floor(i / SIDE) % 2 === 0);
  const [light, middle, dark] = quantiles(every, [0.05, 0.5, 0.95]);
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
  const blur = (values: Uint8Array, next: number, step: number) => {
    const blurred = new Uint8Array(values.length);
    for (let line = 0; line < SIDE; line++) {
      const at = (place: number) => line * next + clip(place, 0, SIDE - 1) * step;
      let total = 0;
      for (let k = -RIM; k <= RIM; k++) total += values[at(k)];
      for (let place = 0; place < SIDE; place++) {
        blurred[at(place)] = Math.floor(total / width + 0.5);
        total += values[at(place + RIM + 1)] - values[at(place - RIM)];
      }
    }
    return blurred;
  };
  const blurred = blur(blur(seen.map((value) => 255 * value), SIDE, 1), 1, SIDE);
  return blurred.map((value) => Number(value >= 254));
}

/** Laplacian at a distance of `lag` pixels: positive where a pixel is darker than its surroundings; 0 outside `inner`. */
function bend(inner: Uint8Array, lag: number, levels: Float64Array): Float64Array {
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
  const level = sumsOfNine(channelOf(even, 1), wide);
  const most = new Int32Array(SIDE * SIDE);
  for (const [down, right] of ALONG) {
    const [along, across] = [down * wide + right, (-right / 2) * wide + down / 2];
    const bent = (k: number) => level[k + across] + level[k - across] - 2 * level[k];
    for (let row = 0, i = 0; row < SIDE; row++) {
      for (let column = 0, k = (row + REACH) * wide + REACH; column < SIDE; column++, k++, i++) {
        if (inner[i]) most[i] = Math.max(most[i], Math.min(bent(k), bent(k + along), bent(k - along)));
      }
    }
  }
  const power = averages(squares(most));
  const cells = power.map((value, i) => value / share[i]).filter((_, i) => share[i] > 0.5);
  return cells.filter((value) => value > (SEEN * 9 * 255) ** 2).length / cells.length;
}

/** Add the levels of 3 x 3 pixels, on a picture with a black margin of `REACH`. */
function sumsOfNine(levels: Float64Array, wide: number): Int32Array {
  const sums = new Int32Array(wide * wide);
  for (let row = 0, i = 0; row < SIDE; row++) {
    for (let column = 0, k = (row + REACH) * wide + REACH; column < SIDE; column++, k++, i++) {
      for (let line = k - wide; line <= k + wide; line += wide) {
        for (let at = line - 1; at <= line + 1; at++) sums[at] += levels[i];
      }
    }
  }
  return sums;
}

/** Return the log of the root mean square of the structure that a tenth of the cells exceed. */
function clearest(bent: Float64Array, share: Float64Array): number {
  const power = averages(squares(bent));
  const cells = power.map((value, i) => Math.sqrt(value / share[i])).filter((_, i) => share[i] > 0.5);
  return Math.log(quantile(cells, 0.9) + 1e-3);
}
