/**
 * Check a file from its bytes: its format, its size in pixels, and whether it is complete.
 *
 * Browsers do not report this: they show the upper half of a truncated photograph without an error, and may run out of
 * memory on one that is too large.
 */

import { PhotoError } from "./photo";
import { type Problem, problem } from "./problems";

const MAX_PIXELS = 100_000_000; // as in eyenet/photo/decode.py

const HEIC = new Set(["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"]);

/** Throw PhotoError if a file is empty, truncated or too large; `bytes` is the whole file. */
export function checkFile(bytes: Uint8Array): void {
  if (!bytes.length) throw new PhotoError(problem("empty"));
  const size = isJpeg(bytes) ? readJpeg(bytes) : isPng(bytes) ? readPng(bytes) : null;
  if (size) checkSize(size);
}

/** Throw PhotoError if a photograph has too many pixels. */
export function checkSize({ width, height }: Size): void {
  if (width * height <= MAX_PIXELS) return;
  throw new PhotoError(problem("large", width, height, MAX_PIXELS));
}

/** Explain why the browser could not read a file, and what to do. */
export function whyUnreadable(bytes: Uint8Array): Problem {
  if (HEIC.has(text(bytes, 8, 4)) && text(bytes, 4, 4) === "ftyp") return problem("heic");
  if (text(bytes, 128, 4) === "DICM") return problem("dicom");
  if (["II*\0", "MM\0*"].includes(text(bytes, 0, 4))) return problem("tiff");
  return isJpeg(bytes) || isPng(bytes) ? problem("damagedOrLarge") : problem("unreadable");
}

interface Size {
  width: number;
  height: number;
}

export function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

export function isPng(bytes: Uint8Array): boolean {
  return text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n";
}

/** A segment of a JPEG: its marker, and the start and end of its contents. */
interface Segment {
  marker: number;
  start: number;
  end: number;
}

/** Iterate over the segments of a JPEG (ISO/IEC 10918-1, annex B). Throws PhotoError if the end is missing. */
export function* segmentsOf(bytes: Uint8Array): Generator<Segment> {
  let at = 2;
  while (at + 2 <= bytes.length) {
    if (bytes[at] !== 0xff) {
      at = bytes.indexOf(0xff, at); // compressed data, or stuffing
      if (at < 0) break;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xd9) return;
    if (marker === 0xff) at += 1;
    else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2; // without a length
    else {
      const start = at + 4;
      if (start > bytes.length) break;
      at += 2 + bytes[at + 2] * 256 + bytes[at + 3];
      yield { marker, start, end: at };
    }
  }
  throw new PhotoError(problem("truncated"));
}

/** Tell whether a marker starts a frame header. */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Read the size of a JPEG, and check that its end is there; null if it has no frame. */
export function readJpeg(bytes: Uint8Array): Size | null {
  let size: Size | null = null;
  for (const { marker, start } of segmentsOf(bytes)) {
    if (!isFrame(marker) || start + 5 > bytes.length) continue;
    size ??= { height: bytes[start + 1] * 256 + bytes[start + 2], width: bytes[start + 3] * 256 + bytes[start + 4] };
  }
  return size;
}

/** Read the size of a PNG, and check that its end is there. */
function readPng(bytes: Uint8Array): Size | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length >= 24 ? { width: view.getUint32(16), height: view.getUint32(20) } : null;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (text(bytes, at + 4, 4) === "IEND") return size;
  }
  throw new PhotoError(problem("truncated"));
}
