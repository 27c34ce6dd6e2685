/** Find the circle of the retina in a photograph: a port of eyenet/photo/circle.py. */

import { BLACK } from "./colours";
import { NoRetina } from "./photo";
import { LARGEST, scalePicture } from "./bitmap";
import type { Picture } from "./resample";
import { refine } from "./rim";
import { median, sum } from "./stats";

const SAMPLES = 128; // short side in pixels of the image in which a first circle is searched
const SHORT = 500; // least short side of the picture in which the rim is refined
const SURROUND = 0.15; // dark share of the frame from which a circle whose rim is not sharp is accepted

/** Circle of the retina; pixel centres are at half-integers. `found` is false for a black frame. */
export interface Circle {
  x: number;
  y: number;
  radius: number;
  found: boolean;
  field: "circle" | "frame"; // frame: the circle through the corners of a frame that the retina fills
}

type Fitted = Pick<Circle, "x" | "y" | "radius">;

interface Points {
  x: Float64Array;
  y: Float64Array;
}

interface Lit {
  width: number;
  height: number;
  pixels: Uint8Array; // 1 where lit
  count: number;
}

export function scaled(circle: Circle, factor: number): Circle {
  return { ...circle, x: circle.x * factor, y: circle.y * factor, radius: circle.radius * factor };
}

/**
 * Find the circle of the retina, even if it is cut off, off-centre, small or dark.
 *
 * Throws NoRetina if there is no round, lit field against a dark surround.
 */
export function findRetina(picture: Picture): Circle {
  const factor = Math.min(LARGEST, Math.floor(Math.min(picture.width, picture.height) / SHORT));
  if (factor > 1) return scaled(findRetina(scalePicture(picture, factor)), factor);
  const step = Math.max(1, Math.floor(Math.min(picture.width, picture.height) / SAMPLES));
  const [width, height] = [Math.floor(picture.width / step), Math.floor(picture.height / step)];
  const light = new Uint8Array(width * height);
  const counts = new Float64Array(256);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 3 * (Math.floor((y + 0.5) * step) * picture.width + Math.floor((x + 0.5) * step));
      const most = Math.max(picture.data[at], picture.data[at + 1], picture.data[at + 2]);
      light[y * width + x] = most;
      counts[most]++;
    }
  }
  const [low, high, top] = [0.01, 0.95, 0.99].map((share) => percentile(counts, share * light.length));
  const span = high - low;
  const thresholds = [
    Math.max(6, 0.12 * span), // robust to glow and noise
    Math.max(4, 0.04 * span), // for a retina half in shade
    Math.max(6, 0.12 * (top - low)), // for a retina that is small in the frame
    0.3 * span, // for a speckled surround
    0.45 * span,
  ];
  let unsure: Circle | null = null;
  for (const threshold of thresholds) {
    const lit = markLit(light, width, height, low + Math.max(4, threshold));
    const points = rimPoints(lit);
    const circle = points.x.length >= 20 ? fitCircle(points) : null;
    if (!circle || !plausible(circle, lit, points)) continue;
    const [x, y, radius] = [(circle.x + 0.5) * step, (circle.y + 0.5) * step, circle.radius * step];
    const rim = refine(picture, x, y, radius);
    if (rim?.certain) return { x: rim.x, y: rim.y, radius: rim.radius, found: true, field: "circle" };
    const dark = 1 - lit.count / light.length;
    if (threshold <= thresholds[0] && dark >= SURROUND) unsure ??= { x, y, radius, found: true, field: "circle" };
  }
  if (unsure) return unsure;
  if (top <= BLACK) {
    const [x, y] = [picture.width / 2, picture.height / 2];
    return { x, y, radius: Math.min(x, y), found: false, field: "circle" };
  }
  throw new NoRetina("no retina found: there is no round, lit field against a dark surround");
}

/** Find the first level up to which there are at least this many pixels. */
function percentile(counts: Float64Array, pixels: number): number {
  let total = 0;
  const level = counts.findIndex((count) => (total += count) >= pixels);
  return level < 0 ? counts.length : level;
}

function markLit(light: Uint8Array, width: number, height: number, above: number): Lit {
  const pixels = light.map((level) => Number(level > above));
  return { width, height, pixels, count: sum(pixels) };
}

/** List the first and last lit pixel of each row and column, except on the border. */
function rimPoints({ width, height, pixels }: Lit): Points {
  const x: number[] = [];
  const y: number[] = [];
  const add = (px: number, py: number) => {
    if (px > 1 && px < width - 2 && py > 1 && py < height - 2) {
      x.push(px);
      y.push(py);
    }
  };
  for (let row = 0; row < height; row++) {
    const line = pixels.subarray(row * width, (row + 1) * width);
    const first = line.indexOf(1);
    if (first < 0) continue;
    add(first - 0.5, row); // the rim is between the last dark and the first lit pixel
    add(line.lastIndexOf(1) + 0.5, row);
  }
  for (let column = 0; column < width; column++) {
    let [first, last] = [-1, -1];
    for (let row = 0; row < height; row++) {
      if (pixels[row * width + column]) {
        if (first < 0) first = row;
        last = row;
      }
    }
    if (first < 0) continue;
    add(column, first - 0.5);
    add(column, last + 0.5);
  }
  return { x: Float64Array.from(x), y: Float64Array.from(y) };
}

/** Fit a circle by linear least squares, up to six times, each time to the points nearest to the previous circle. */
function fitCircle(points: Points): Fitted | null {
  const n = points.x.length;
  let near = new Uint8Array(n).fill(1);
  let circle: Fitted | null = null;
  for (let round = 0; round < 6; round++) {
    circle = fitOnce(points, near);
    if (!circle) return null;
    const { x, y, radius } = circle;
    const distance = points.x.map((px, i) => Math.abs(Math.hypot(px - x, points.y[i] - y) - radius));
    const most = Math.max(median(distance), 0.015 * radius); // keeps the better half
    const nearer = Uint8Array.from(distance, (d) => Number(d <= most));
    if (nearer.every((value, i) => value === near[i])) break;
    near = nearer;
  }
  return circle;
}

function fitOnce(points: Points, near: Uint8Array): Fitted | null {
  const n = sum(near);
  const mean = (values: Float64Array) => values.reduce((total, value, i) => total + value * near[i], 0) / n;
  const [middleX, middleY] = [mean(points.x), mean(points.y)];
  let [uu, uv, vv, us, vs, squares] = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < near.length; i++) {
    if (!near[i]) continue;
    const [u, v] = [points.x[i] - middleX, points.y[i] - middleY];
    const s = u * u + v * v;
    uu += u * u;
    uv += u * v;
    vv += v * v;
    us += u * s;
    vs += v * s;
    squares += s;
  }
  const spread = uu * vv - uv * uv;
  if (spread < 1) return null; // the points lie on a line
  const shiftX = (vv * us - uv * vs) / (2 * spread);
  const shiftY = (uu * vs - uv * us) / (2 * spread);
  const radius = Math.sqrt(squares / n + shiftX ** 2 + shiftY ** 2);
  return { x: middleX + shiftX, y: middleY + shiftY, radius };
}

/** Tell whether most rim points are on the circle, most of its inside is lit, and little of its outside. */
function plausible({ x, y, radius }: Fitted, lit: Lit, points: Points): boolean {
  const { width, height, pixels } = lit;
  if (!(radius > 0.15 * Math.min(width, height) && radius < Math.max(width, height))) return false;
  if (!(x > 0 && x < width && y > 0 && y < height)) return false;
  let onRim = 0;
  points.x.forEach((px, i) => {
    onRim += Number(Math.abs(Math.hypot(px - x, points.y[i] - y) - radius) < 0.03 * radius);
  });
  let [inside, litInside] = [0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if ((column - x) ** 2 + (row - y) ** 2 < radius ** 2) {
        inside++;
        litInside += pixels[row * width + column];
      }
    }
  }
  const outside = (lit.count - litInside) / Math.max(1, lit.count);
  return onRim / points.x.length >= 0.5 && outside < 0.05 && litInside / inside > 0.5;
}
