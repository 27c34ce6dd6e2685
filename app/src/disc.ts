/** The side of the optic disc: the detector that benchmarks/disc_side.py fits and measures, and its limit. */

import { grid, limit, weights } from "./disc.json";
import type { Picture } from "./resample";

export type Side = "right" | "left"; // of the picture

/** Score a crop in equalised colours: above 0 the disc is in the right half, below in the left one. */
export function discScore({ width, data }: Picture): number {
  const cell = width / grid;
  let score = 0;
  for (let y = 0; y < width; y++) {
    for (let x = 0; x < width / 2; x++) {
      const at = 3 * (Math.floor(y / cell) * (grid / 2) + Math.floor(x / cell));
      const [here, mirrored] = [3 * (y * width + x), 3 * (y * width + width - 1 - x)];
      for (let channel = 0; channel < 3; channel++) score += weights[at + channel] * (data[here + channel] - data[mirrored + channel]);
    }
  }
  return score / (255 * cell * cell);
}

/** Find the half of a crop, in equalised colours, in which the optic disc is; null if that is not certain. */
export function discOf(crop: Picture): Side | null {
  const score = discScore(crop);
  return Math.abs(score) < limit ? null : score > 0 ? "right" : "left";
}
