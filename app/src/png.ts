/**
 * Decode a PNG as eyenet/photo/depth.py does: levels of 16 bits are scaled by what the file declares or holds, transparent
 * pixels are laid over black, and an alpha channel of zeros is none. Browsers drop the low bits, and the colours of
 * transparent pixels.
 */

import type { Colours } from "./colours";
import { readOrientation } from "./exif";
import { text } from "./files";
import type { Space } from "./icc";
import { PhotoError } from "./photo";
import { problem } from "./problems";
import type { Picture } from "./resample";

const [GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA] = [0, 2, 3, 4, 6]; // colour types
const CHANNELS: Record<number, number> = { [GREY]: 1, [RGB]: 3, [PALETTE]: 1, [GREY_ALPHA]: 2, [RGB_ALPHA]: 4 };
const DEPTHS: Record<number, number[]> = { [GREY]: [1, 2, 4, 8, 16], [PALETTE]: [1, 2, 4, 8] };
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]]; // of Adam7

/** What resize_images.py stores in a crop. */
export interface Stamp {
  preprocessing: number;
  colours: Colours;
  field: "circle" | "frame";
  found: boolean;
  visible: number;
}

/** The chunks of a PNG that matter for its pixels. */
interface Png {
  width: number; // as stored, not upright
  height: number;
  depth: number;
  colour: number;
  interlaced: boolean;
  orientation: number; // from EXIF, 1 to 8
  space: Space; // in which a colour profile would be
  significant: number; // bits that the file declares; 0 if it declares none
  palette: Uint8Array;
  transparency: Uint8Array | null;
  profile: Uint8Array<ArrayBuffer> | null; // compressed
  pages: number;
  stamp: Stamp | null;
  data: Uint8Array<ArrayBuffer>[]; // compressed pixels
}

/** Read the chunks of a PNG that passed `checkFile`. Throws PhotoError if they contradict each other. */
export function openPng(bytes: Uint8Array<ArrayBuffer>): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [depth, colour] = [bytes[24], bytes[25]];
  const png: Png = {
    ...{ width: view.getUint32(16), height: view.getUint32(20), depth, colour, interlaced: bytes[28] === 1, orientation: 1 },
    ...{ space: "RGB", significant: 0, palette: new Uint8Array(), transparency: null, profile: null, pages: 1, stamp: null, data: [] },
  };
  let [animated, controlled] = [false, false]; // whether frames, and the first of them, were announced
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const name = text(bytes, at + 4, 4);
    const content = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    if (name === "IEND") break;
    if (name === "PLTE") png.palette = content;
    else if (name === "tRNS") png.transparency = content;
    else if (name === "sBIT") png.significant = Math.max(...content.subarray(0, 3));
    else if (name === "eXIf") png.orientation = readOrientation(content) || 1;
    else if (name === "iCCP") png.profile = content.subarray(content.indexOf(0) + 2);
    else if (name === "acTL" && content.length >= 8 && view.getUint32(at + 8)) [animated, png.pages] = [true, view.getUint32(at + 8)];
    else if (name === "tEXt" && text(content, 0, 7) === "eyenet\0") png.stamp = readStamp(content.subarray(7));
    else if (name === "fcTL") controlled = true;
    else if (name === "IDAT") {
      if (!png.data.length && animated && !controlled) png.pages++; // the still picture is none of the frames
      png.data.push(content);
    }
  }
  if (!(DEPTHS[colour] ?? (CHANNELS[colour] ? [8, 16] : [])).includes(depth) || !png.data.length) throw new Broken();
  if (colour === GREY && depth > 1 && !(png.transparency && depth < 16)) png.space = "GRAY"; // as Pillow names it
  return png;
}

/** Read the stamp of a crop; null if it is not one of this kind. */
function readStamp(content: Uint8Array): Stamp | null {
  try {
    const { preprocessing, colours, field, found, visible } = JSON.parse(new TextDecoder().decode(content)) as Stamp;
    const whole = ["circle", "frame"].includes(field) && typeof found === "boolean" && typeof visible === "number" && colours;
    return whole ? { preprocessing, colours, field, found, visible } : null;
  } catch {
    return null;
  }
}

class Broken extends PhotoError {
  constructor() {
    super(problem("damaged"));
  }
}

/** Unpack zlib data, up to `most` bytes. Throws Broken. */
export async function unpack(parts: Uint8Array<ArrayBuffer>[], most: number): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const whole = new Uint8Array(most);
  let at = 0;
  try {
    while (at < most) {
      const { done, value } = await reader.read();
      if (done) break;
      whole.set(value.subarray(0, most - at), at);
      at += value.length;
    }
  } catch {
    throw new Broken();
  } finally {
    void reader.cancel().catch(() => undefined);
  }
  return whole.subarray(0, at);
}

/** Decode the pixels at full size, as stored. Throws PhotoError. */
export async function decodePng(png: Png): Promise<Picture> {
  const { width, height, depth, colour } = png;
  const channels = CHANNELS[colour];
  const passes = (png.interlaced ? PASSES : [[0, 0, 1, 1]])
    .map(([x, y, right, down]) => ({ x, y, right, down, wide: Math.ceil((width - x) / right), high: Math.ceil((height - y) / down) }))
    .filter(({ wide, high }) => wide > 0 && high > 0);
  const stride = (wide: number) => Math.ceil((wide * channels * depth) / 8);
  const length = passes.reduce((total, { wide, high }) => total + high * (1 + stride(wide)), 0);
  const raw = await unpack(png.data, length);
  if (raw.length < length) throw new Broken();
  const levels = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  const step = Math.max(1, (channels * depth) >> 3); // bytes between neighbours
  let from = 0;
  for (const { x, y, right, down, wide, high } of passes) {
    const bytes = stride(wide);
    let above = new Uint8Array(bytes);
    for (let row = 0; row < high; row++, from += 1 + bytes) {
      const line = raw.subarray(from + 1, from + 1 + bytes);
      unfilter(raw[from], line, above, step);
      spread(line, depth, levels, channels * ((y + row * down) * width + x), channels, right * channels, wide * channels);
      above = line;
    }
  }
  return draw(png, levels, channels);
}

/** Undo the filter of a row in place (ISO/IEC 15948, 9.2). */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, step: number): void {
  if (filter > 4) throw new Broken();
  if (filter === 0) return;
  if (filter === 2) {
    for (let i = 0; i < line.length; i++) line[i] += above[i];
    return;
  }
  for (let i = 0; i < line.length; i++) {
    const left = i < step ? 0 : line[i - step];
    if (filter === 1) line[i] += left;
    else if (filter === 3) line[i] += (left + above[i]) >> 1;
    else {
      const corner = i < step ? 0 : above[i - step];
      const [a, b, c] = [Math.abs(above[i] - corner), Math.abs(left - corner), Math.abs(left + above[i] - 2 * corner)];
      line[i] += a <= b && a <= c ? left : b <= c ? above[i] : corner;
    }
  }
}

/** Unpack the levels of a row, `count` of them, into pixels that are `stride` apart. */
function spread(line: Uint8Array, depth: number, levels: Uint8Array | Uint16Array, to: number, channels: number, stride: number, count: number): void {
  if (depth === 8 && stride === channels) return levels.set(line, to);
  for (let i = 0, pixel = to; i < count; pixel += stride) {
    for (let k = 0; k < channels; k++, i++) {
      if (depth === 16) levels[pixel + k] = (line[2 * i] << 8) | line[2 * i + 1];
      else if (depth === 8) levels[pixel + k] = line[i];
      else levels[pixel + k] = (line[(i * depth) >> 3] >> (8 - depth - ((i * depth) & 7))) & ((1 << depth) - 1);
    }
  }
}

/** Number of bits by which levels are shifted to become 8: as declared, unless the largest needs more. */
function shiftOf(largest: number, declared: number): number {
  const held = Math.max(8, 32 - Math.clz32(largest));
  return Math.max(held, Math.min(declared, 16)) - 8;
}

/** Convert levels to red, green and blue of 8 bits, over black. */
function draw(png: Png, levels: Uint8Array | Uint16Array, channels: number): Picture {
  const { width, height, depth, colour, palette, transparency } = png;
  const pixels = width * height;
  const data = new Uint8ClampedArray(3 * pixels);
  const hasAlpha = colour === GREY_ALPHA || colour === RGB_ALPHA;
  const colours = hasAlpha ? channels - 1 : channels;
  let alpha: Uint8Array | null = hasAlpha || (transparency && depth < 16) ? new Uint8Array(pixels) : null;
  let [shift, alphaShift] = [0, 0];
  if (depth === 16) {
    let [most, mostAlpha] = [0, 0];
    for (let i = 0; i < levels.length; i += channels) {
      for (let k = 0; k < colours; k++) if (levels[i + k] > most) most = levels[i + k];
      if (hasAlpha && levels[i + colours] > mostAlpha) mostAlpha = levels[i + colours];
    }
    shift = shiftOf(most, png.significant);
    alphaShift = most >> 15 ? 8 : shiftOf(mostAlpha, 0); // as Python: only where the colours are shallow
  }
  const scale = colour === GREY && depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  const keys = transparency && colour !== PALETTE ? [0, 1, 2].map((k) => transparency[2 * k] * 256 + transparency[2 * k + 1]) : [];
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += channels, to += 3) {
    if (colour === PALETTE) {
      const entry = levels[from];
      for (let k = 0; k < 3; k++) data[to + k] = palette[3 * entry + k]; // missing ones are black
      if (alpha) alpha[i] = transparency?.[entry] ?? 255;
      continue;
    }
    for (let k = 0; k < 3; k++) data[to + k] = (levels[from + (colours === 1 ? 0 : k)] >> shift) * scale;
    if (!alpha) continue;
    if (hasAlpha) alpha[i] = levels[from + colours] >> alphaShift;
    else alpha[i] = keys.slice(0, colours).every((key, k) => levels[from + k] === key) ? 0 : 255;
  }
  if (alpha && !alpha.some((value) => value > 0)) alpha = null;
  if (alpha) layOverBlack(data, alpha);
  return { width, height, data };
}

/** Lay pixels over black, rounded as in Pillow. */
function layOverBlack(data: Uint8ClampedArray, alpha: Uint8Array): void {
  for (let i = 0; i < alpha.length; i++) {
    if (alpha[i] === 255) continue;
    for (let k = 3 * i; k < 3 * i + 3; k++) {
      const product = 128 * (data[k] * alpha[i] + 128);
      data[k] = ((product >> 8) + product) >> 15;
    }
  }
}
