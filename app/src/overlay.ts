/** Draw the evidence of a network's cells as a heat map over a photograph: a port of eyenet/model/overlay.py. */

import { findVisible } from "./colours";
import { insideCircle } from "./photo";
import type { Picture } from "./resample";
import { clip, rint } from "./stats";

const OPACITY = 0.75; // of the hottest pixel
// Blue-green to yellow-green: unlike anything in an orange retina, where red could be mistaken for blood.
const PLACES = ["2f6c8e", "277e8e", "21908c", "1fa287", "2fb47c", "50c46a", "7ad251", "abdc32", "dfe318"].map((hex) =>
  [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

/** Receptive fields of a feature map: cell i is centred at pixel `start` + `step` * i. */
export interface Grid {
  start: number;
  step: number;
}

/**
 * Scale the evidence to a heat map from 0 to 1, whose maximum follows the probability of disease.
 *
 * `threshold` is the uncalibrated probability from which a photograph is called diseased; it is mapped to one half.
 * `crop` is the network's input.
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

/** Mark the pixels of a crop that show the retina; the whole circle if the crop is dark. */
function retinaOf(crop: Picture): Uint8Array {
  const circle = insideCircle(crop.width);
  const visible = findVisible(crop, circle);
  return visible.includes(1) ? visible : circle;
}

/** Interpolate a square of cells linearly, each cell at the centre of its receptive field. */
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

/** Overlay a heat map on its photograph, which stays unchanged without heat and outside the retina. */
export function overlay(crop: Picture, heat: Float32Array): Picture {
  const inside = insideCircle(crop.width);
  const data = new Uint8ClampedArray(crop.data.length);
  for (let i = 0; i < heat.length; i++) {
    const value = inside[i] ? clip(heat[i], 0, 1) : 0;
    const opacity = OPACITY * value ** 0.6; // the exponent keeps medium heat visible
    const place = rint(255 * value) / 255 * (PLACES.length - 1);
    const low = Math.min(Math.floor(place), PLACES.length - 2);
    for (let channel = 0; channel < 3; channel++) {
      const colour = PLACES[low][channel] * (1 - place + low) + PLACES[low + 1][channel] * (place - low);
      data[3 * i + channel] = crop.data[3 * i + channel] * (1 - opacity) + colour * opacity;
    }
  }
  return { ...crop, data };
}
