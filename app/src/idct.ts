/**
 * Inverse cosine transform of a block to 8, 4, 2 or 1 pixels a side, with libjpeg's integer constants and its rounding
 * after each of the two passes (the accurate "islow" transform, and the reduced transforms derived from it).
 */

/** Transform a block of dequantised coefficients into a plane, starting at `at`. */
export type Transform = (block: Int32Array, plane: Uint8ClampedArray, at: number, stride: number) => void;

/** Transform eight coefficients, `step` apart, into at most eight values, `next` apart. */
type Line = (
  from: Int32Array,
  at: number,
  step: number,
  to: Int32Array,
  out: number,
  next: number,
  bias: number,
  shift: number,
) => void;

const CONST_BITS = 13; // fractional bits of the constants
const PASS1_BITS = 2; // fractional bits kept between the passes
const CENTER = 128; // added to every pixel

const fix = (value: number) => Math.round(value * (1 << CONST_BITS));

// Constants of the 8-point transform by Loeffler, Ligtenberg and Moschytz. Its intermediate sums are multiplied out here,
// from the rounded constants.
const [ROOT, C2, C6] = [fix(0.541196100), fix(0.765366865), fix(1.847759065)];
const [EVEN_2, EVEN_6] = [ROOT + C2, ROOT - C6];
const ALL = fix(1.175875602);
const [PAIR_71, PAIR_53, PAIR_73, PAIR_51] = [fix(0.899976223), fix(2.562915447), fix(1.961570560), fix(0.390180644)];
const OWN_7 = fix(0.298631336) - PAIR_71 - PAIR_73 + ALL;
const OWN_5 = fix(2.053119869) - PAIR_53 - PAIR_51 + ALL;
const OWN_3 = fix(3.072711026) - PAIR_53 - PAIR_73 + ALL;
const OWN_1 = fix(1.501321110) - PAIR_71 - PAIR_51 + ALL;
const [OF_71, OF_53, OF_73, OF_51] = [ALL - PAIR_71, ALL - PAIR_53, ALL - PAIR_73, ALL - PAIR_51];

const eight: Line = (from, at, step, to, out, next, bias, shift) => {
  const [c1, c2, c3] = [from[at + step], from[at + 2 * step], from[at + 3 * step]];
  const [c5, c6, c7] = [from[at + 5 * step], from[at + 6 * step], from[at + 7 * step]];
  const sum = ((from[at] + from[at + 4 * step]) << CONST_BITS) + bias;
  const difference = ((from[at] - from[at + 4 * step]) << CONST_BITS) + bias;
  const outer = Math.imul(c2, EVEN_2) + Math.imul(c6, ROOT);
  const inner = Math.imul(c2, ROOT) + Math.imul(c6, EVEN_6);
  const odd0 = Math.imul(c1, OWN_1) + Math.imul(c3, ALL) + Math.imul(c5, OF_51) + Math.imul(c7, OF_71);
  const odd1 = Math.imul(c1, ALL) + Math.imul(c3, OWN_3) + Math.imul(c5, OF_53) + Math.imul(c7, OF_73);
  const odd2 = Math.imul(c1, OF_51) + Math.imul(c3, OF_53) + Math.imul(c5, OWN_5) + Math.imul(c7, ALL);
  const odd3 = Math.imul(c1, OF_71) + Math.imul(c3, OF_73) + Math.imul(c5, ALL) + Math.imul(c7, OWN_7);
  to[out] = (sum + outer + odd0) >> shift;
  to[out + next] = (difference + inner + odd1) >> shift;
  to[out + 2 * next] = (difference - inner + odd2) >> shift;
  to[out + 3 * next] = (sum - outer + odd3) >> shift;
  to[out + 4 * next] = (sum - outer - odd3) >> shift;
  to[out + 5 * next] = (difference - inner - odd2) >> shift;
  to[out + 6 * next] = (difference + inner - odd1) >> shift;
  to[out + 7 * next] = (sum + outer - odd0) >> shift;
};

// Constants of the reduced transforms, which omit the frequencies that a smaller picture cannot show.
const [F2, F6] = [fix(1.847759065), fix(0.765366865)];
const [F1, F3, F5, F7] = [fix(2.562915447), fix(0.899976223), fix(0.601344887), fix(0.509795579)];
const [G1, G3, G5, G7] = [fix(1.061594337), fix(2.172734803), fix(1.451774981), fix(0.211164243)];
const [H1, H3, H5, H7] = [fix(3.624509785), fix(1.272758580), fix(0.850430095), fix(0.720959822)];

const four: Line = (from, at, step, to, out, next, bias, shift) => {
  const [c1, c3] = [from[at + step], from[at + 3 * step]];
  const [c5, c7] = [from[at + 5 * step], from[at + 7 * step]];
  const mean = (from[at] << (CONST_BITS + 1)) + bias;
  const even = Math.imul(from[at + 2 * step], F2) - Math.imul(from[at + 6 * step], F6);
  const outer = Math.imul(c1, F1) + Math.imul(c3, F3) - Math.imul(c5, F5) - Math.imul(c7, F7);
  const inner = Math.imul(c1, G1) - Math.imul(c3, G3) + Math.imul(c5, G5) - Math.imul(c7, G7);
  to[out] = (mean + even + outer) >> shift;
  to[out + next] = (mean - even + inner) >> shift;
  to[out + 2 * next] = (mean - even - inner) >> shift;
  to[out + 3 * next] = (mean + even - outer) >> shift;
};

const two: Line = (from, at, step, to, out, next, bias, shift) => {
  const mean = (from[at] << (CONST_BITS + 2)) + bias;
  const upper = Math.imul(from[at + step], H1) - Math.imul(from[at + 3 * step], H3);
  const odd = upper + Math.imul(from[at + 5 * step], H5) - Math.imul(from[at + 7 * step], H7);
  to[out] = (mean + odd) >> shift;
  to[out + next] = (mean - odd) >> shift;
};

/** Combine two passes, first over the `columns` that matter. `extra`: additional fractional bits of the line's constants. */
function twice(line: Line, side: number, columns: number[], extra: number): Transform {
  const [between, pixels] = [new Int32Array(8 * side), new Int32Array(side)];
  const first = CONST_BITS - PASS1_BITS + extra;
  const second = CONST_BITS + PASS1_BITS + 3 + extra;
  const half = 1 << (first - 1);
  const bias = (1 << (second - 1)) + (CENTER << second);
  return (block, plane, at, stride) => {
    for (let i = 0; i < columns.length; i++) line(block, columns[i], 8, between, columns[i], 8, half, first);
    for (let y = 0; y < side; y++, at += stride) {
      line(between, 8 * y, 1, pixels, 0, 1, bias, second);
      for (let x = 0; x < side; x++) plane[at + x] = pixels[x]; // clips
    }
  };
}

/** The value of all pixels of a block that has only a mean. */
export const flat = (mean: number) => ((mean + 4) >> 3) + CENTER;

/** By pixels a side: the transform, and the coefficients that it uses in each direction. */
export const TRANSFORMS: Record<number, { invert: Transform; counts: number[] }> = {
  8: { invert: twice(eight, 8, [0, 1, 2, 3, 4, 5, 6, 7], 0), counts: [0, 1, 2, 3, 4, 5, 6, 7] },
  4: { invert: twice(four, 4, [0, 1, 2, 3, 5, 6, 7], 1), counts: [0, 1, 2, 3, 5, 6, 7] },
  2: { invert: twice(two, 2, [0, 1, 3, 5, 7], 2), counts: [0, 1, 3, 5, 7] },
  1: { invert: (block, plane, at) => (plane[at] = flat(block[0])), counts: [0] },
};
