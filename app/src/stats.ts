/** The NumPy functions that the ports need, with NumPy's rounding of ties and interpolation. */

/** Return a quantile (0-1), interpolated linearly between the two nearest values. */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low);
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
