/** The NumPy functions that the ports need, with NumPy's rounding of ties and interpolation. */

/** Return a quantile (0-1), interpolated linearly between the two nearest values. */
export function quantile(values: ArrayLike<number>, q: number): number {
  return quantiles(values, [q])[0];
}

export function quantiles(values: ArrayLike<number>, shares: number[]): number[] {
  const sorted = Float64Array.from(values).sort();
  return shares.map((q) => quantileOf(sorted, q));
}

function quantileOf(sorted: Float64Array, q: number): number {
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
}

/** Return a quantile of whole numbers from 0, of which `counts` tells how often each occurs; as `quantile`. */
export function countedQuantile(counts: Float64Array, q: number): number {
  const total = sum(counts);
  const place = q * (total - 1);
  const at = (rank: number) => {
    let [level, seen] = [0, counts[0]];
    while (seen <= rank) seen += counts[++level];
    return level;
  };
  const low = at(Math.floor(place));
  const high = at(Math.min(Math.floor(place) + 1, total - 1));
  return low + (high - low) * (place - Math.floor(place));
}

export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5);
}

/** Round to the nearest whole number, halves to even. */
export function rint(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Round to a number of decimals. */
export function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

export function clip(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}
