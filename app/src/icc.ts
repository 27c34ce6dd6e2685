/**
 * Convert pixels with a colour profile (ICC) to sRGB: a port of eyenet/photo/profiles.py.
 *
 * The page converts by itself because each browser does it differently, and some not at all where pixels are read.
 * Supported are profiles of curves and primaries, those of cameras, screens and phones: the rest gets a sentence.
 */

import { text } from "./files";
import { PhotoError } from "./photo";
import { type Problem, problem } from "./problems";

const SAME = 2; // largest change of a grey level by a profile that counts as sRGB
const STEPS = [0, 16, 32, 64, 96, 128, 160, 192, 224, 255]; // levels of the colours that are tried
const FINE = 16384; // steps of the linear light, as in Little CMS
const D50 = [0.9642, 1, 0.8249]; // white of the profiles' common space
const FROM_XYZ = [ // from that space to linear sRGB
  [3.1341864, -1.617209, -0.4906941],
  [-0.9787485, 1.9161301, 0.0334334],
  [0.0719639, -0.2289939, 1.4057537],
];
const CURVES = [1, 3, 4, 5, 7]; // number of parameters of each kind of parametric curve

const UNKNOWN = new PhotoError(problem("profile"));

export type Space = "RGB" | "GRAY" | "CMYK";

/** What a profile does to the pixels: `convert` changes rows of red, green, blue in place; null if they are sRGB. */
export interface Conversion {
  convert: ((pixels: Uint8Array | Uint8ClampedArray) => void) | null;
  note: Problem | null; // why the profile was left out
}

/** The profile is damaged; as in Python, it is then left out. */
class Damaged extends Error {}

type Curve = (value: number) => number;

/** Prepare the conversion of pixels of a colour space. Throws PhotoError if only Python can convert them. */
export function readProfile(profile: Uint8Array, pixels: Space): Conversion {
  let space: string;
  let linear: Float64Array[];
  let matrix: number[][];
  try {
    const tags = readTags(profile);
    space = text(profile, 16, 4).trim();
    if (!["RGB", "GRAY", "CMYK"].includes(space)) return leftOut(problem("profileFor", space));
    if (space !== pixels && !(space === "RGB" && pixels === "GRAY")) return leftOut(problem("profileOther", space, pixels));
    if (space === "CMYK" || ["A2B0", "A2B1", "D2B1"].some((tag) => tags.has(tag)) || !isDevice(profile)) {
      throw UNKNOWN;
    }
    [linear, matrix] = space === "GRAY" ? readGrey(tags, profile) : readColours(tags);
  } catch (error) {
    if (error instanceof Damaged || error instanceof RangeError) return leftOut(problem("profileDamaged")); // RangeError: it ends too early
    throw error;
  }
  // Little CMS then shifts the darkest colour to black, with a coarse table that differs by up to 15 levels.
  if (linear.some((curve) => curve[0] > 0)) throw UNKNOWN;
  const convert = converter(linear, matrix);
  const tried = space === "GRAY" ? STEPS.map((g) => [g, g, g]) : STEPS.flatMap((r) => STEPS.flatMap((g) => STEPS.map((b) => [r, g, b])));
  const before = Uint8Array.from(tried.flat());
  const after = before.slice();
  convert(after);
  return { convert: before.every((level, i) => Math.abs(level - after[i]) <= SAME) ? null : convert, note: null };
}

function leftOut(note: Problem): Conversion {
  return { convert: null, note };
}

/** Tell whether a profile describes a device or a colour space, and not a link or an effect. */
function isDevice(profile: Uint8Array): boolean {
  return ["scnr", "mntr", "prtr", "spac"].includes(text(profile, 12, 4));
}

/** List the tags of a profile; those that lie beyond its end are missing. */
function readTags(profile: Uint8Array): Map<string, DataView> {
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength);
  if (text(profile, 36, 4) !== "acsp") throw new Damaged();
  const tags = new Map<string, DataView>();
  for (let at = 132; at < 132 + 12 * Math.min(view.getUint32(128), 100); at += 12) {
    const [start, length] = [view.getUint32(at + 4), view.getUint32(at + 8)];
    if (start + length > profile.length) continue;
    tags.set(text(profile, at, 4), new DataView(profile.buffer, profile.byteOffset + start, length));
  }
  return tags;
}

function tagOf(tags: Map<string, DataView>, name: string): DataView {
  const tag = tags.get(name);
  if (!tag) throw new Damaged();
  return tag;
}

/** Read the three curves, as tables of 256 levels, and the matrix from linear light to linear sRGB. */
function readColours(tags: Map<string, DataView>): [Float64Array[], number[][]] {
  const columns = ["rXYZ", "gXYZ", "bXYZ"].map((name) => {
    const tag = tagOf(tags, name);
    return [8, 12, 16].map((at) => tag.getInt32(at) / 65536);
  });
  const linear = ["rTRC", "gTRC", "bTRC"].map((name) => tabulate(readCurve(tagOf(tags, name))));
  return [linear, FROM_XYZ.map((row) => columns.map((column) => row.reduce((sum, value, i) => sum + value * column[i], 0)))];
}

/** The same for a grey profile: all light is white. */
function readGrey(tags: Map<string, DataView>, profile: Uint8Array): [Float64Array[], number[][]] {
  const curve = readCurve(tagOf(tags, "kTRC"));
  const ofLightness = (value: number) => (value > 0.08 ? ((100 * value + 16) / 116) ** 3 : (100 * value) / 903.3);
  const linear = tabulate(text(profile, 20, 4) === "Lab " ? (value) => ofLightness(curve(value)) : curve);
  const white = FROM_XYZ.map((row) => row.reduce((sum, value, i) => sum + value * D50[i], 0));
  return [[linear, linear, linear], white.map((value) => [value, 0, 0])];
}

function tabulate(curve: Curve): Float64Array {
  return Float64Array.from({ length: 256 }, (_, level) => curve(level / 255));
}

/** Read a curve: a gamma, a table, or a formula with parameters (ICC.1:2022, 10.6 and 10.18). */
function readCurve(tag: DataView): Curve {
  const kind = String.fromCharCode(...[0, 1, 2, 3].map((at) => tag.getUint8(at)));
  if (kind === "curv") {
    const count = tag.getUint32(8);
    if (count === 0) return (value) => value;
    if (count === 1) {
      const gamma = tag.getUint16(12) / 256;
      return (value) => value ** gamma;
    }
    const table = Float64Array.from({ length: count }, (_, i) => tag.getUint16(12 + 2 * i) / 65535);
    return (value) => {
      const place = value * (count - 1);
      const low = Math.min(Math.floor(place), count - 2);
      return table[low] + (place - low) * (table[low + 1] - table[low]);
    };
  }
  const form = tag.getUint16(8);
  if (kind !== "para" || form >= CURVES.length) throw new Damaged();
  const given = Array.from({ length: CURVES[form] }, (_, i) => tag.getInt32(12 + 4 * i) / 65536);
  const [gamma, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = given;
  const power = (value: number) => Math.max(0, a * value + b) ** gamma;
  if (form < 2) return power;
  if (form === 2) return (value) => power(value) + c;
  return (value) => (value >= d ? power(value) + e : c * value + f);
}

/** Make the conversion from tables of linear light and a matrix. */
function converter(linear: Float64Array[], matrix: number[][]): (pixels: Uint8Array | Uint8ClampedArray) => void {
  const encoded = Uint8Array.from({ length: FINE + 1 }, (_, i) => {
    const light = i / FINE;
    return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
  });
  const [red, green, blue] = matrix.map((row) => row.map((value) => value * FINE));
  const [reds, greens, blues] = linear;
  const level = (light: number) => encoded[light < 0 ? 0 : light > FINE ? FINE : (light + 0.5) | 0];
  return (pixels) => {
    for (let at = 0; at < pixels.length; at += 3) {
      const r = reds[pixels[at]];
      const g = greens[pixels[at + 1]];
      const b = blues[pixels[at + 2]];
      pixels[at] = level(red[0] * r + red[1] * g + red[2] * b);
      pixels[at + 1] = level(green[0] * r + green[1] * g + green[2] * b);
      pixels[at + 2] = level(blue[0] * r + blue[1] * g + blue[2] * b);
    }
  };
}
