/** The field of a photograph, the circle of the retina or the whole frame: a port of eyenet/photo/field.py. */

import { type Circle, findRetina } from "./circle";
import { BLACK } from "./colours";
import { NoRetina, insideCircle } from "./photo";
import type { Stamp } from "./png";
import { BOX, type Picture, resize } from "./resample";
import { median, quantile } from "./stats";

export type Field = "auto" | "circle" | "frame";

const CELLS = 32; // per side, of the coarse picture that `fillsPicture` looks at
const LIT = 0.15; // of the bright level, above which a cell is lit
const SHARE = 0.85; // minimum lit share of the picture, and of the middle half of each side
const [REDDER, BLUEST] = [1.1, 1.1]; // least red/green and most blue/green of a retina; medians of the lit cells

/** Find what the crop shows. Throws NoRetina if it is neither a circle nor, for `auto`, a picture full of retina. */
export function findField(picture: Picture, field: Field): Circle {
  if (field === "frame") return wholeFrame(picture);
  try {
    return findRetina(picture);
  } catch (error) {
    if (error instanceof NoRetina && field === "auto" && fillsPicture(picture)) return wholeFrame(picture);
    throw error;
  }
}

/** Circle through the corners of a frame; `found` is false for a black one. */
function wholeFrame({ width, height, data }: Picture): Circle {
  const light = Array.from({ length: CELLS * CELLS }, (_, i) => {
    const x = Math.floor((((i % CELLS) + 0.5) * width) / CELLS);
    const y = Math.floor(((Math.floor(i / CELLS) + 0.5) * height) / CELLS);
    return Math.max(...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3));
  });
  const found = quantile(light, 0.99) > BLACK;
  return { x: width / 2, y: height / 2, radius: Math.hypot(width, height) / 2, found, field: "frame" };
}

/** Tell whether a picture could be a retina that fills it: lit on all four sides, and in the colours of a retina. */
function fillsPicture(picture: Picture): boolean {
  const box = { left: 0, upper: 0, right: picture.width, lower: picture.height };
  const { data } = resize(picture, CELLS, BOX, box);
  const cells = Array.from({ length: CELLS * CELLS }, (_, i) => [...data.subarray(3 * i, 3 * i + 3)]);
  const light = cells.map((cell) => Math.max(...cell));
  const limit = Math.max(BLACK, LIT * quantile(light, 0.95));
  const share = (is: (x: number, y: number) => boolean) => {
    const chosen = light.filter((_, i) => is(i % CELLS, Math.floor(i / CELLS)));
    return chosen.filter((level) => level > limit).length / chosen.length;
  };
  const middle = (at: number) => at >= CELLS / 4 && at < (3 * CELLS) / 4;
  const sides = [
    share((x, y) => y < 2 && middle(x)),
    share((x, y) => y >= CELLS - 2 && middle(x)),
    share((x, y) => x < 2 && middle(y)),
    share((x, y) => x >= CELLS - 2 && middle(y)),
  ];
  if (Math.min(share(() => true), ...sides) < SHARE) return false;
  const lit = cells.filter((_, i) => light[i] > limit);
  const [red, green, blue] = [0, 1, 2].map((k) => median(lit.map((cell) => cell[k])));
  return red >= REDDER * green && blue <= BLUEST * green;
}

/** Tell whether a picture is a crop that EyeNet made by this version, of a field that is wanted: its circle is known. */
export function isCrop(stamp: Stamp | null, preprocessing: number, { width, height, data }: Picture, field: Field): stamp is Stamp {
  if (stamp?.preprocessing !== preprocessing || (field !== "auto" && field !== stamp.field) || width !== height) return false;
  return insideCircle(width).every((inside, i) => inside || !(data[3 * i] || data[3 * i + 1] || data[3 * i + 2]));
}
