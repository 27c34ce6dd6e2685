/**
 * Pillow's `Image.resize` with a box: two passes of a filter scaled to the output pixel, rounded to 8 bits after each.
 *
 * The network must get the pixels that it was trained on, and each browser scales differently.
 */

/** Pixels as Pillow holds them: rows of red, green, blue. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

interface Box {
  left: number;
  upper: number;
  right: number;
  lower: number;
}

interface Filter {
  support: number;
  weight(x: number): number;
}

export const HAMMING: Filter = {
  support: 1,
  weight(x) {
    x = Math.abs(x);
    if (x === 0) return 1;
    if (x >= 1) return 0;
    x *= Math.PI;
    return (Math.sin(x) / x) * (0.54 + 0.46 * Math.cos(x));
  },
};

export const BICUBIC: Filter = {
  support: 2,
  weight(x) {
    const a = -0.5;
    x = Math.abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  },
};

export const BOX: Filter = { support: 0.5, weight: (x) => Number(x > -0.5 && x <= 0.5) };

interface Window {
  first: number;
  weights: Float64Array;
}

/** Compute, for each output pixel, the first input pixel and the weights. */
function windows(length: number, start: number, end: number, size: number, filter: Filter): Window[] {
  const scale = (end - start) / size;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  return Array.from({ length: size }, (_, i) => {
    const center = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const last = Math.min(length, Math.trunc(center + support + 0.5));
    const weights = new Float64Array(last - first).map((_, k) => filter.weight((k + first - center + 0.5) / wide));
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: total ? weights.map((weight) => weight / total) : weights };
  });
}

/** Average the part of a picture in a box to `size` x `size` pixels. */
export function resize(picture: Picture, size: number, filter: Filter, box: Box): Picture {
  const across = windows(picture.width, box.left, box.right, size, filter);
  const down = windows(picture.height, box.upper, box.lower, size, filter);
  const begin = down[0].first;
  const end = down[size - 1].first + down[size - 1].weights.length;
  // A view of one type: the loop below is compiled for one type only.
  const data = new Uint8Array(picture.data.buffer, picture.data.byteOffset, picture.data.length);
  const narrow = narrowed(data, picture.width, begin, end, across);
  const small = new Uint8ClampedArray(size * size * 3);
  const row = new Float64Array(size * 3);
  for (let y = 0; y < size; y++) {
    row.fill(0);
    addRows(narrow, (down[y].first - begin) * row.length, down[y].weights, row);
    small.set(row, y * row.length); // rounds to the nearest, and clips
  }
  return { width: size, height: size, data: small };
}

/** Average the rows from `begin` to `end`. */
function narrowed(data: Uint8Array, width: number, begin: number, end: number, across: Window[]): Uint8ClampedArray {
  const narrow = new Uint8ClampedArray((end - begin) * across.length * 3); // rounds to the nearest, and clips
  for (let y = begin, to = 0; y < end; y++) {
    for (let x = 0; x < across.length; x++, to += 3) {
      const { first, weights } = across[x];
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let k = 0, at = 3 * (y * width + first); k < weights.length; k++, at += 3) {
        const weight = weights[k];
        red += weight * data[at];
        green += weight * data[at + 1];
        blue += weight * data[at + 2];
      }
      narrow[to] = red;
      narrow[to + 1] = green;
      narrow[to + 2] = blue;
    }
  }
  return narrow;
}

/** Add up rows of a picture, from the value `from`, each with its weight. */
function addRows(narrow: Uint8ClampedArray, from: number, weights: Float64Array, row: Float64Array): void {
  for (const weight of weights) {
    for (let i = 0; i < row.length; i++) row[i] += weight * narrow[from + i];
    from += row.length;
  }
}
