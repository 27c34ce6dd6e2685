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

export interface Box {
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

const BILINEAR: Filter = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

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
  const { width, height, data } = picture;
  const across = windows(width, box.left, box.right, size, filter);
  const down = windows(height, box.upper, box.lower, size, filter);
  const begin = down[0].first;
  const end = down[size - 1].first + down[size - 1].weights.length;
  const narrow = new Uint8ClampedArray((end - begin) * size * 3); // rounds to the nearest, and clips
  for (let y = begin; y < end; y++) {
    for (let x = 0; x < size; x++) {
      const { first, weights } = across[x];
      let [red, green, blue] = [0, 0, 0];
      for (let k = 0, at = 3 * (y * width + first); k < weights.length; k++, at += 3) {
        red += weights[k] * data[at];
        green += weights[k] * data[at + 1];
        blue += weights[k] * data[at + 2];
      }
      const to = 3 * ((y - begin) * size + x);
      narrow[to] = red;
      narrow[to + 1] = green;
      narrow[to + 2] = blue;
    }
  }
  const small = new Uint8ClampedArray(size * size * 3);
  const row = new Float64Array(size * 3);
  for (let y = 0; y < size; y++) {
    const { first, weights } = down[y];
    row.fill(0);
    for (let k = 0; k < weights.length; k++) {
      const from = (first - begin + k) * size * 3;
      for (let i = 0; i < row.length; i++) row[i] += weights[k] * narrow[from + i];
    }
    small.set(row, y * size * 3);
  }
  return { width: size, height: size, data: small };
}

/** Enlarge a square of floats, interpolating linearly. */
export function enlargeLinear(values: ArrayLike<number>, side: number, size: number): Float32Array {
  const places = windows(side, 0, side, size, BILINEAR);
  const wide = new Float32Array(side * size);
  for (let y = 0; y < side; y++) {
    places.forEach(({ first, weights }, x) => {
      weights.forEach((weight, k) => (wide[y * size + x] += weight * values[y * side + first + k]));
    });
  }
  const large = new Float32Array(size * size);
  places.forEach(({ first, weights }, y) => {
    weights.forEach((weight, k) => {
      for (let x = 0; x < size; x++) large[y * size + x] += weight * wide[(first + k) * size + x];
    });
  });
  return large;
}
