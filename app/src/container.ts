/** What surrounds the pixels of a file that the browser decodes: its colour profile, and its other pictures. */

import { isFrame, isJpeg, readJpeg, segmentsOf, text } from "./files";
import type { Space } from "./icc";
import { PhotoError } from "./photo";
import { problem } from "./problems";

const [APP1, APP2, SOS] = [0xe1, 0xe2, 0xda]; // markers of a JPEG
const [IMAGES, ENTRIES] = [0xb001, 0xb002]; // tags of a multi-picture index (CIPA DC-007)
const PROFILE = 0x20; // flag of a WebP
const AUXILIARY = ["AuxiliaryImageType", "hdrgm:Version", "urn:iso:std:iso:ts:21496:-1"]; // as in eyenet/photo/pages.py
const MOST = 1000; // pictures of a file

export interface Container {
  profile: Uint8Array | null;
  space: Space; // of the pixels
  bare: Uint8Array<ArrayBuffer>; // the file with its profile hidden from the browser, which would convert a second time
  pages: number; // pictures in the file
  others: Uint8Array<ArrayBuffer>[]; // those that may be smaller copies of the first
}

/** Say that a file holds several photographs. */
export function several(count: number): PhotoError {
  return new PhotoError(problem("several", count));
}

/** Read what surrounds the pixels of a file that is not a PNG. */
export function readContainer(bytes: Uint8Array<ArrayBuffer>): Container {
  const found: Container = { profile: null, space: "RGB", bare: bytes, pages: 1, others: [] };
  if (isJpeg(bytes)) ofJpeg(bytes, found);
  else if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") ofWebp(bytes, found);
  else if (text(bytes, 0, 4) === "GIF8") found.pages = framesOfGif(bytes);
  else if (text(bytes, 4, 8) === "ftypavis") found.pages = 2; // at least
  return found;
}

/** Tell whether the browser must convert the colours, because the profile cannot be read here. */
export function isConvertedByBrowser(bytes: Uint8Array): boolean {
  return text(bytes, 4, 4) === "ftyp"; // HEIC and AVIF
}

function ofJpeg(bytes: Uint8Array<ArrayBuffer>, found: Container): void {
  const parts: Uint8Array[] = [];
  const places: number[] = [];
  let [framed, gainMap] = [false, false];
  for (const { marker, start, end } of segmentsOf(bytes)) {
    const content = bytes.subarray(start, end);
    if (marker === SOS) break;
    if (isFrame(marker)) {
      framed = true;
      found.space = ({ 1: "GRAY", 4: "CMYK" } as Record<number, Space>)[content[5]] ?? "RGB";
    } else if (marker === APP2 && text(content, 0, 12) === "ICC_PROFILE\0") {
      places.push(start);
      if (!framed) parts.push(content);
    } else if (marker === APP2 && text(content, 0, 4) === "MPF\0") found.others = picturesOf(bytes, start + 4, end);
    else if (marker === APP1 && namesGainMap(content)) gainMap = true;
  }
  found.bare = hide(bytes, places);
  // The other picture may brighten this one.
  found.others = gainMap ? [] : found.others.filter((picture) => !isAuxiliary(picture));
  found.pages = 1 + found.others.length;
  parts.sort((a, b) => a[12] - b[12]);
  if (parts.length && parts[0][13] === parts.length) found.profile = join(parts.map((part) => part.subarray(14)));
}

/** Tell whether XMP describes a gain map (Ultra HDR). */
function namesGainMap(content: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(content).includes(' hdrgm:Version="');
}

/** Tell whether the metadata of a picture after the first say that it is a gain map or a mask, and no photograph. */
function isAuxiliary(picture: Uint8Array): boolean {
  if (!isJpeg(picture)) return false;
  for (const { marker, start, end } of segmentsOf(picture)) {
    if (marker === SOS) break;
    const content = new TextDecoder("latin1").decode(picture.subarray(start, end));
    if ((marker === APP1 || marker === APP2) && AUXILIARY.some((word) => content.includes(word))) return true;
  }
  return false;
}

/** Copy a file with the first byte of these segments changed, so that nobody knows what they are. */
function hide(bytes: Uint8Array<ArrayBuffer>, places: number[]): Uint8Array<ArrayBuffer> {
  if (!places.length) return bytes;
  const copy = bytes.slice();
  for (const place of places) copy[place] = 0;
  return copy;
}

/** Hide the orientation and the profile of a JPEG. */
export function withoutMetadata(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const places: number[] = [];
  for (const { marker, start } of segmentsOf(bytes)) {
    if (marker === SOS) break;
    if (marker === APP1 || marker === APP2) places.push(start);
  }
  return hide(bytes, places);
}

function join(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** List the pictures after the first of a multi-picture file; none if its index cannot be read, as in Pillow. */
function picturesOf(bytes: Uint8Array<ArrayBuffer>, base: number, end: number): Uint8Array<ArrayBuffer>[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + base, end - base);
  try {
    const little = view.getUint8(0) === 0x49;
    const index = view.getUint32(4, little);
    let [count, entries] = [0, 0];
    for (let at = index + 2; at < index + 2 + 12 * view.getUint16(index, little); at += 12) {
      const tag = view.getUint16(at, little);
      if (tag === IMAGES) count = view.getUint32(at + 8, little);
      if (tag === ENTRIES) entries = view.getUint32(at + 8, little);
    }
    return Array.from({ length: Math.min(Math.max(0, count - 1), MOST) }, (_, i) => {
      const at = entries + 16 * (i + 1);
      const from = base + view.getUint32(at + 8, little);
      return bytes.subarray(from, from + view.getUint32(at + 4, little));
    });
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

/** Read the size of a picture of a multi-picture file. Throws PhotoError if it is missing. */
export function sizeOf(picture: Uint8Array): { width: number; height: number } {
  const size = isJpeg(picture) ? readJpeg(picture) : null;
  if (!size) throw new PhotoError(problem("secondDamaged"));
  return size;
}

function ofWebp(bytes: Uint8Array<ArrayBuffer>, found: Container): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frames = 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [name, length] = [text(bytes, at, 4), view.getUint32(at + 4, true)];
    if (name === "ANMF") frames++;
    if (name === "ICCP") {
      found.profile = bytes.subarray(at + 8, at + 8 + length);
      found.bare = hide(bytes, [at]);
      if (text(bytes, 12, 4) === "VP8X") found.bare[20] &= ~PROFILE;
    }
    at += 8 + length + (length & 1);
  }
  found.pages = Math.max(1, frames);
}

/** Count the pictures of a GIF (GIF89a, appendix B). */
function framesOfGif(bytes: Uint8Array): number {
  const table = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0); // size of a colour table in bytes
  let [frames, at] = [0, 13 + table(bytes[10])];
  while (at < bytes.length && bytes[at] !== 0x3b) {
    if (bytes[at] === 0x2c) {
      frames++;
      at += 11 + table(bytes[at + 9]);
    } else if (bytes[at] === 0x21) at += 2;
    else break;
    while (bytes[at]) at += 1 + bytes[at];
    at++;
  }
  return Math.max(1, frames);
}
