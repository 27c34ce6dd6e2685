/**
 * What a file is, from its bytes: its kind, its size in pixels and whether its end is there.
 *
 * A browser tells none of this: of half a photograph it shows the upper half and says nothing, and of too large a one
 * it may run out of memory.
 */

import { PhotoError } from "./photo";

const MAX_PIXELS = 100_000_000; // as eyenet/photo/decode.py

const HEIC = new Set(["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"]);
const READABLE = "Choose a JPEG or PNG photograph instead.";

/** Refuse a file that is no photograph, is damaged or is too large; `bytes` is the whole of it. */
export function checkFile(bytes: Uint8Array): void {
  if (!bytes.length) throw new PhotoError("The file is empty. Copy it from the camera again.");
  const size = isJpeg(bytes) ? readJpeg(bytes) : isPng(bytes) ? readPng(bytes) : null;
  if (size) checkSize(size);
}

/** Refuse a photograph of too many pixels. */
export function checkSize({ width, height }: Size): void {
  if (width * height <= MAX_PIXELS) return;
  throw new PhotoError(
    `The photograph has ${width} x ${height} pixels, more than the ${MAX_PIXELS / 1e6} million that are accepted. ` +
      "Save it smaller and choose it again.",
  );
}

/** Say why the browser could not read a file, and what to do. */
export function whyUnreadable(bytes: Uint8Array): string {
  if (HEIC.has(text(bytes, 8, 4)) && text(bytes, 4, 4) === "ftyp") {
    return (
      "This is a HEIC photograph, which this browser cannot read. Save it as JPEG and choose it again " +
      "(on an iPhone: Settings, Camera, Formats, Most Compatible)."
    );
  }
  if (text(bytes, 128, 4) === "DICM") return `This is a DICOM file, which a browser cannot read. ${READABLE}`;
  if (["II*\0", "MM\0*"].includes(text(bytes, 0, 4))) {
    return `This is a TIFF photograph, which this browser cannot read. ${READABLE}`;
  }
  if (isJpeg(bytes) || isPng(bytes)) {
    return "The photograph is damaged, or too large for this device. Copy it from the camera again.";
  }
  return `This file is not a photograph that a browser can read. ${READABLE}`;
}

interface Size {
  width: number;
  height: number;
}

const TRUNCATED = "The photograph is cut off: the end of the file is missing. Copy it from the camera again.";

function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

function isPng(bytes: Uint8Array): boolean {
  return text(bytes, 0, 8) === "\x89PNG\r\n\x1a\n";
}

/** A part of a JPEG that has a length: its marker, and from where to where its contents go. */
interface Segment {
  marker: number;
  start: number;
  end: number;
}

/** Walk a JPEG from marker to marker to its end, as ISO/IEC 10918-1, annex B, has them. */
export function* segmentsOf(bytes: Uint8Array): Generator<Segment> {
  let at = 2;
  while (at + 2 <= bytes.length) {
    if (bytes[at] !== 0xff) {
      at = bytes.indexOf(0xff, at); // the pixels, or stuffing
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
  throw new PhotoError(TRUNCATED);
}

/** Tell whether a marker begins the header of a frame. */
export function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Walk a JPEG to its end; null if it has no frame. */
function readJpeg(bytes: Uint8Array): Size | null {
  let size: Size | null = null;
  for (const { marker, start } of segmentsOf(bytes)) {
    if (!isFrame(marker) || start + 5 > bytes.length) continue;
    size ??= { height: bytes[start + 1] * 256 + bytes[start + 2], width: bytes[start + 3] * 256 + bytes[start + 4] };
  }
  return size;
}

/** Walk a PNG from chunk to chunk to its end. */
function readPng(bytes: Uint8Array): Size | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length >= 24 ? { width: view.getUint32(16), height: view.getUint32(20) } : null;
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (text(bytes, at + 4, 4) === "IEND") return size;
  }
  throw new PhotoError(TRUNCATED);
}
