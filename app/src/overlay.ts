/** From the evidence in a network's cells to the heat map over a photograph: a port of eyenet/model/overlay.py. */

import { findVisible } from "./colours";
import { insideCircle } from "./photo";
import type { Picture } from "./resample";
import { clip, rint } from "./stats";

const OPACITY = 0.75; // of the heat where it is greatest
// Blue-green to yellow-green: unlike anything in an orange retina, where red would pass for blood.
const PLACES = ["2f6c8e", "277e8e", "21908c", "1fa287", "2fb47c", "50c46a", "7ad251", "abdc32", "dfe318"].map((hex) =>
  [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

/** Where a feature map's cells look: cell i at the pixels around `start` + `step` * i. */
export interface Grid {
  start: number;
  step: number;
}

/**
 * Draw the evidence as a heat map, 0 to 1: its shape, with the probability of disease as the greatest value.
 *
 * `threshold` is the probability of the network's own from which a photograph is called diseased; it becomes one half.
 * `crop` is what the network was shown.
 */
export function drawHeat(
  evidence: Float32Array,
  odds: number,
  threshold: number,
  crop: Picture,
  grid: Grid,
): Float32Array {
  const heat = enlarge(evidence, crop.width, grid);
  const retina = retinaOf(crop);
  let greatest = 1e-12;
  for (let i = 0; i < heat.length; i++) {
    heat[i] *= retina[i];
    greatest = Math.max(greatest, heat[i]);
  }
  const strength = 1 / (1 + Math.exp(Math.log(threshold / (1 - threshold)) - odds));
  return heat.map((value) => (value * strength) / greatest);
}

/** Mark the pixels of a crop that show the retina; the whole circle where all is dark. */
function retinaOf(crop: Picture): Uint8Array {
  const circle = insideCircle(crop.width);
  const visible = findVisible(crop, circle);
  return visible.includes(1) ? visible : circle;
}

/** Interpolate a square of cells linearly, each cell at the pixel that it looks at. */
function enlarge(cells: Float32Array, size: number, grid: Grid): Float32Array {
  const side = Math.round(Math.sqrt(cells.length));
  const places = Array.from({ length: size }, (_, i) => clip((i - grid.start) / grid.step, 0, side - 1));
  const large = new Float32Array(size * size);
  places.forEach((row, y) => {
    const [top, below] = [Math.floor(row), Math.min(Math.floor(row) + 1, side - 1)];
    places.forEach((column, x) => {
      const [left, right] = [Math.floor(column), Math.min(Math.floor(column) + 1, side - 1)];
      const at = (line: number) =>
        cells[line * side + left] * (1 - column + left) + cells[line * side + right] * (column - left);
      large[y * size + x] = at(top) * (1 - row + top) + at(below) * (row - top);
    });
  });
  return large;
}

/** Lay a heat map over its photograph, which stays as it is where there is no heat and outside the retina. */
export function overlay(crop: Picture, heat: Float32Array): Picture {
  const inside = insideCircle(crop.width);
  const data = new Uint8ClampedArray(crop.data.length);
  for (let i = 0; i < heat.length; i++) {
    const value = inside[i] ? clip(heat[i], 0, 1) : 0;
    const opacity = OPACITY * value ** 0.6; // the root makes half the heat visible too
    const place = rint(255 * value) / 255 * (PLACES.length - 1);
    const low = Math.min(Math.floor(place), PLACES.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const colour = PLACES[low][channel] * (1 - place + low) + PLACES[low + 1][channel] * (place - low);
      data[3 * i + channel] = crop.data[3 * i + channel] * (1 - opacity) + colour * opacity;
    }
  }
  return { ...crop, data };
}
