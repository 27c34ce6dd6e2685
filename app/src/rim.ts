/** Refine the circle of the retina at the steepest fall of light along rays through it: a port of eyenet/photo/rim.py. */

import type { Picture } from "./resample";
import { clip, median } from "./stats";

const SECTORS = 15; // in which the rays are read
const SAMPLES = 48; // along each ray

/** One search along the rays; lengths are shares of the radius. */
interface Search {
  rays: number; // per sector
  band: number; // searched on both sides of the circle
  scales: number[]; // shares of the band: in each round of the fit, points farther away hardly count
  least: number; // rays that must show a rim
}

const WIDE: Search = { rays: 6, band: 0.12, scales: [0.5, 0.25, 0.12, 0.07], least: 9 };
const NARROW: Search = { rays: 12, band: 0.03, scales: [0.4, 0.2, 0.1, 0.07, 0.07], least: 18 };
const LEAST_BAND = 6; // px, of the narrow pass
const [EACH_SIDE, SHARPEST] = [3, 1.5]; // samples that are compared on each side of a place; px that they span at least
const DARK = 1000; // added to the sum of the samples, so that the noise of the dark does not count
const [NEAR, NEAR_PX] = [0.005, 1]; // share of the radius, and px, within which the rim on a ray agrees with the circle
const SHADE = 0.25; // of the median light inside the rim, below which a ray without a rim is not judged: a black bar
const [SHARE, MORE] = [0.5, 5]; // of the judged rays that must agree, and so many rays more
const CLEAR = 0.95; // of the judged rays: if so many agree after a narrow pass alone, the first circle was right
const MOST_ERROR = 0.005; // standard error of centre and radius together, as a share of the radius

type Vector = [number, number, number];

/** The rim on a ray. */
interface Point {
  direction: Vector; // how far the rim moves outwards on the ray when the circle's x, y and radius grow by 1
  place: number; // beyond the circle, as a share of the radius
  light: number; // inside the circle
}

interface Rays {
  edges: [number, number][]; // of the sectors
  unit: [number, number][];
  length: number[]; // how far the samples of a ray are, relative to what was asked for
}

interface Rim {
  x: number;
  y: number;
  radius: number;
  certain: boolean; // whether the circle lies on a rim that is seen
  clear: boolean; // whether nearly all rays agree with it
}

/** Fit a circle to the rim near a first circle; null if too few rays show a rim inside the frame. */
export function refine(picture: Picture, x: number, y: number, radius: number): Rim | null {
  const narrow = { ...NARROW, band: Math.max(NARROW.band, LEAST_BAND / radius) };
  const rim = follow(picture, x, y, radius, [narrow]);
  return rim?.certain && rim.clear ? rim : follow(picture, x, y, radius, [WIDE, narrow]);
}

/** Refine a circle in one or two passes. */
function follow(picture: Picture, x: number, y: number, radius: number, searches: Search[]): Rim | null {
  let points: Point[] = [];
  let shift: Vector = [0, 0, 0];
  for (const search of searches) {
    points = steepest(picture, x, y, radius, search);
    if (points.length < search.least) return null;
    shift = fit(points, search);
    [x, y, radius] = [x + shift[0] * radius, y + shift[1] * radius, (1 + shift[2]) * radius];
  }
  const off = points.map(({ direction, place }) => Math.abs(place - dot(direction, shift)));
  const isNear = (i: number) => off[i] < Math.max(NEAR, NEAR_PX / radius);
  const dark = SHADE * median(points.map(({ light }) => light));
  const near = points.filter((_, i) => isNear(i));
  const judged = points.filter(({ light }, i) => isNear(i) || light >= dark).length;
  if (near.length < Math.max(NARROW.least, SHARE * judged + MORE)) return { x, y, radius, certain: false, clear: false };
  const squares = off.reduce((total, distance, i) => total + (isNear(i) ? distance ** 2 : 0), 0) / near.length;
  const normal = outer(near, () => 1);
  const spread = [0, 1, 2].reduce((total, k) => total + solve(normal, [+(k === 0), +(k === 1), +(k === 2)])[k], 0);
  const certain = Math.sqrt(squares * spread) <= MOST_ERROR;
  return { x, y, radius, certain, clear: near.length >= CLEAR * judged };
}

const known = new Map<number, Rays>();

/** Compute the directions of the rays, which are nearer to the centre in the middle of a sector. */
function raysOf(perSector: number): Rays {
  let rays = known.get(perSector);
  if (!rays) {
    const edges = Array.from({ length: SECTORS + 1 }, (_, k): [number, number] => {
      const angle = (k * 2 * Math.PI) / SECTORS;
      return [Math.cos(angle), Math.sin(angle)];
    });
    const chord = Array.from({ length: SECTORS * perSector }, (_, i): [number, number] => {
      const [k, share] = [Math.floor(i / perSector), ((i % perSector) + 0.5) / perSector];
      return [0, 1].map((axis) => (1 - share) * edges[k][axis] + share * edges[k + 1][axis]) as [number, number];
    });
    const length = chord.map(([u, v]) => Math.hypot(u, v));
    const middle = (Math.min(...length) + Math.max(...length)) / 2;
    rays = {
      edges: edges.map(([u, v]) => [u / middle, v / middle]),
      unit: chord.map(([u, v], i) => [u / length[i], v / length[i]]),
      length: length.map((value) => value / middle),
    };
    known.set(perSector, rays);
  }
  return rays;
}

/** Find the steepest fall of light on each ray, as far as the ray is inside the frame. */
function steepest(picture: Picture, x: number, y: number, radius: number, search: Search): Point[] {
  const { edges, unit, length } = raysOf(search.rays);
  const step = (2 * search.band) / SAMPLES;
  const side = search === WIDE ? EACH_SIDE : Math.max(EACH_SIDE, Math.ceil(SHARPEST / (step * radius)));
  const places = SAMPLES + 1 - 2 * side;
  const points: Point[] = [];
  const total = new Float64Array(SAMPLES + 1);
  const fall = new Float64Array(places);
  unit.forEach(([u, v], ray) => {
    readRay(picture, x, y, radius, search, edges, ray, total);
    const last = inside(u, v, x, y, picture) / (radius * length[ray]);
    const isWhole = (i: number) => 1 - search.band + step * (i + 2 * side - 0.5) < last;
    for (let i = 0; i < places; i++) {
      fall[i] = 2 * total[i + side] - total[i] - total[i + 2 * side];
      if (search === WIDE) fall[i] /= Math.sqrt(total[i + 2 * side] - total[i] + DARK);
      if (!isWhole(i)) fall[i] = -Infinity;
    }
    let at = 1;
    for (let i = 2; i < places - 1; i++) if (fall[i] > fall[at]) at = i;
    const [before, here, after] = [fall[at - 1], fall[at], fall[at + 1]];
    if (!(here > 0) || !Number.isFinite(after) || !isWhole(SAMPLES / 2)) return;
    const bend = 2 * here - before - after;
    const peak = bend > 0 ? clip((after - before) / 2 / bend, -1, 1) : 0; // of a parabola
    const place = length[ray] * (1 - search.band + step * (at + side + peak)) - 1;
    const inner = SAMPLES / 2 - EACH_SIDE;
    points.push({ direction: [u, v, 1], place, light: (total[inner] - total[inner - 3 * EACH_SIDE]) / (3 * EACH_SIDE) });
  });
  return points;
}

/** Measure how far a ray is inside the frame, without the two outermost pixels. */
function inside(u: number, v: number, x: number, y: number, { width, height }: Picture): number {
  const end = (slope: number, at: number, side: number) => (slope > 0 ? side - 2 - at : 2 - at) / slope;
  const ends = [end(u, x, width), end(v, y, height)].filter((value) => !Number.isNaN(value));
  return Math.max(0, Math.min(...ends));
}

/** Add up the largest channel along a ray, read as Pillow reads a quadrangle: `total[i]` of the first i samples. */
function readRay(
  picture: Picture,
  x: number,
  y: number,
  radius: number,
  search: Search,
  edges: [number, number][],
  ray: number,
  total: Float64Array,
): void {
  const [k, share] = [Math.floor(ray / search.rays), ((ray % search.rays) + 0.5) / search.rays];
  const place = (from: number, edge: [number, number], axis: number) => (axis ? y : x) + from * radius * edge[axis];
  const [near, far] = [1 - search.band, 1 + search.band].map((from) =>
    [0, 1].map((axis) => (1 - share) * place(from, edges[k], axis) + share * place(from, edges[k + 1], axis)),
  );
  for (let i = 0; i < SAMPLES; i++) {
    const along = (i + 0.5) / SAMPLES;
    const level = largestAt(picture, near[0] + along * (far[0] - near[0]), near[1] + along * (far[1] - near[1]));
    total[i + 1] = total[i] + level;
  }
}

/** Interpolate the pixels linearly, rounding down as Pillow does; 0 outside the frame. */
function largestAt({ width, height, data }: Picture, x: number, y: number): number {
  if (x < 0 || y < 0 || x >= width || y >= height) return 0;
  const [left, upper] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
  const [dx, dy] = [x - 0.5 - left, y - 0.5 - upper];
  const [x0, x1] = [Math.max(0, left), Math.min(width - 1, left + 1)];
  const [y0, y1] = [Math.max(0, upper), Math.min(height - 1, upper + 1)];
  let most = 0;
  for (let k = 0; k < 3; k++) {
    const value = (column: number, row: number) => data[3 * (row * width + column) + k];
    const top = value(x0, y0) + (value(x1, y0) - value(x0, y0)) * dx;
    const bottom = value(x0, y1) + (value(x1, y1) - value(x0, y1)) * dx;
    most = Math.max(most, Math.floor(top + (bottom - top) * dy));
  }
  return most;
}

/** Fit the shift of the circle's x, y and radius, as shares of the radius. */
function fit(points: Point[], search: Search): Vector {
  let shift: Vector = [0, 0, 0];
  for (const scale of search.scales) {
    const weight = ({ direction, place }: Point) =>
      (1 + ((place - dot(direction, shift)) / (scale * search.band)) ** 2) ** -2;
    const right: Vector = [0, 0, 0];
    for (const point of points) point.direction.forEach((value, k) => (right[k] += weight(point) * value * point.place));
    const normal = outer(points, weight);
    normal.forEach((row, k) => (row[k] += 1e-9));
    shift = solve(normal, right);
  }
  return shift;
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Add up the weighted outer products of the directions. */
function outer(points: Point[], weight: (point: Point) => number): Vector[] {
  const sums: Vector[] = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  for (const point of points) {
    const w = weight(point);
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) sums[i][j] += w * point.direction[i] * point.direction[j];
  }
  return sums;
}

/** Solve three linear equations by Cramer's rule. */
function solve(matrix: Vector[], right: Vector): Vector {
  const determinant = ([a, b, c]: Vector[]) =>
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
  const whole = determinant(matrix);
  return [0, 1, 2].map((k) => {
    const replaced = matrix.map((row, i) => row.map((value, j) => (j === k ? right[i] : value)) as Vector);
    return determinant(replaced) / whole;
  }) as Vector;
}
