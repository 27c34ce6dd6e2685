/** The evidence in a network's cells, as contours on the photograph; the cells are those of eyenet/model/evidence.py. */

import { findVisible } from "./colours";
import { contourOf } from "./contours";
import { insideCircle } from "./photo";
import type { Picture } from "./resample";
import { clip } from "./stats";

const MAP_SIDE = 128; // of the map whose contours are drawn
export const WHOLE = 1024; // width of the contours' coordinates
/** Shares of the greatest evidence that contours enclose, from the strongest to the weakest. */
export const LEVELS = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];

/** Receptive fields of a feature map: cell i is centred at pixel `start` + `step` * i. */
export interface Grid {
  start: number;
  step: number;
}

/** Draw the contours of the evidence, a path for each of `LEVELS`; none without evidence. `crop` is the network's input. */
export function drawContours(cells: Float32Array, crop: Picture, grid: Grid): string[] {
  const map = mapOf(cells, crop, grid);
  const greatest = map.reduce((most, value) => Math.max(most, value));
  return greatest > 0 ? LEVELS.map((level) => contourOf(map, MAP_SIDE, level * greatest, WHOLE)) : [];
}

/** Interpolate a square of cells linearly, each at the centre of its receptive field; 0 outside the retina. */
export function mapOf(cells: Float32Array, crop: Picture, { start, step }: Grid): Float32Array {
  const side = Math.round(Math.sqrt(cells.length));
  const pixel = crop.width / MAP_SIDE;
  const places = Array.from({ length: MAP_SIDE }, (_, i) => clip(((i + 0.5) * pixel - 0.5 - start) / step, 0, side - 1));
  const retina = retinaOf(crop);
  const map = new Float32Array(MAP_SIDE * MAP_SIDE);
  places.forEach((row, y) => {
    const [top, below] = [Math.floor(row), Math.min(Math.floor(row) + 1, side - 1)];
    places.forEach((column, x) => {
      const [left, right] = [Math.floor(column), Math.min(Math.floor(column) + 1, side - 1)];
      const at = (line: number) => cells[line * side + left] * (1 - column + left) + cells[line * side + right] * (column - left);
      const shown = retina[Math.floor((y + 0.5) * pixel) * crop.width + Math.floor((x + 0.5) * pixel)];
      map[y * MAP_SIDE + x] = shown * (at(top) * (1 - row + top) + at(below) * (row - top));
    });
  });
  return map;
}

/** Mark the pixels of a crop that show the retina; the whole circle if the crop is dark. */
function retinaOf(crop: Picture): Uint8Array {
  const circle = insideCircle(crop.width);
  const visible = findVisible(crop, circle);
  return visible.includes(1) ? visible : circle;
}
