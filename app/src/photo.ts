/** From pixels to the crop of the retina: a port of eyenet/photo/retina.py. */

import type { Circle } from "./circle";
import type { Problem } from "./problems";
import { type Picture, HAMMING, resize } from "./resample";
import { clip } from "./stats";

export const PREPROCESSING = 2;
export const MIN_DIAMETER = 128; // diameter of the retina in the photograph, in pixels
export const DETAIL = 1.9; // the retina is decoded at least this many times as wide as the crop

/** The file cannot be used; the message is a Problem, which the page says. */
export class PhotoError extends Error {
  constructor(public override readonly message: Problem) {
    super(message);
  }
}

/** The picture shows no retina, or one that is too small. */
export class NoRetina extends PhotoError {
  constructor(reason: string) {
    super(reason as Problem); // as in Python; the page says it in the user's words
  }
}

const masks = new Map<number, Uint8Array>();

/** Mark the pixels of a crop whose centres lie in the retina's circle: 1 inside, 0 outside. */
export function insideCircle(size: number): Uint8Array {
  let mask = masks.get(size);
  if (!mask) {
    const offset = (i: number) => i + 0.5 - size / 2;
    mask = Uint8Array.from({ length: size * size }, (_, i) =>
      Number(offset(Math.floor(i / size)) ** 2 + offset(i % size) ** 2 <= (size / 2) ** 2),
    );
    masks.set(size, mask);
  }
  return mask;
}

/** Crop the square around the circle, average it to `size` x `size`, black outside the circle. */
export function cropRetina(picture: Picture, circle: Circle, size: number): Picture {
  let [left, upper] = [circle.x - circle.radius, circle.y - circle.radius];
  let [right, lower] = [left + 2 * circle.radius, upper + 2 * circle.radius];
  if (left < 0 || upper < 0 || right > picture.width || lower > picture.height) {
    const [x, y] = [Math.floor(left), Math.floor(upper)];
    picture = cut(picture, x, y, Math.ceil(right), Math.ceil(lower));
    [left, upper, right, lower] = [left - x, upper - y, right - x, lower - y];
  }
  return blackOutside(resize(picture, size, HAMMING, { left, upper, right, lower }));
}

/** Cut a rectangle out of a picture; beyond the frame it is black. */
function cut(picture: Picture, left: number, upper: number, right: number, lower: number): Picture {
  const [width, height] = [right - left, lower - upper];
  const data = new Uint8Array(width * height * 3);
  const [first, last] = [Math.max(0, left), Math.min(picture.width, right)];
  for (let y = Math.max(0, upper); y < Math.min(picture.height, lower) && last > first; y++) {
    const row = picture.data.subarray(3 * (y * picture.width + first), 3 * (y * picture.width + last));
    data.set(row, 3 * ((y - upper) * width + first - left));
  }
  return { width, height, data };
}

/** Blacken what is outside the circle of a crop, in place. */
export function blackOutside(crop: Picture): Picture {
  const [inside, { data }] = [insideCircle(crop.width), crop];
  for (let i = 0, at = 0; i < inside.length; i++, at += 3) {
    if (!inside[i]) data[at] = data[at + 1] = data[at + 2] = 0;
  }
  return crop;
}

/** Estimate the share of the circle's area that is inside the frame, on a grid of 200 x 200. */
export function visibleShare({ x, y, radius }: Circle, width: number, height: number): number {
  if (radius <= x && x <= width - radius && radius <= y && y <= height - radius) return 1;
  const grid = Float64Array.from({ length: 200 }, (_, i) => (i + 0.5) / 100 - 1);
  let [disc, shown] = [0, 0];
  for (const v of grid) {
    for (const u of grid) {
      if (v * v + u * u > 1) continue;
      disc++;
      const [column, row] = [x + radius * u, y + radius * v];
      shown += Number(row === clip(row, 0, height) && column === clip(column, 0, width));
    }
  }
  return shown / disc;
}
