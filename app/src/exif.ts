/** The orientation of a photograph: read it from EXIF, and turn pixels by it. */

import { text } from "./files";
import type { Picture } from "./resample";

const ORIENTATION = 0x0112; // EXIF tag
const SHORT = 3; // EXIF type

/** Read the orientation from an EXIF block (a TIFF file without pixels); 0 if there is none. */
export function readOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (view.byteLength < 8) return 0;
  const order = text(tiff, 0, 4);
  if (order !== "II*\0" && order !== "MM\0*") return 0;
  const little = order[0] === "I";
  const first = view.getUint32(4, little);
  if (first + 2 > view.byteLength) return 0;
  const end = Math.min(first + 2 + 12 * view.getUint16(first, little), view.byteLength - 11);
  for (let at = first + 2; at < end; at += 12) {
    if (view.getUint16(at, little) !== ORIENTATION || view.getUint16(at + 2, little) !== SHORT) continue;
    const orientation = view.getUint16(at + 8, little);
    return orientation <= 8 ? orientation : 0;
  }
  return 0;
}

/** Where the file's pixels lie in the bytes of the upright picture. */
interface Layout {
  wide: number; // of the file
  high: number;
  first: number;
  across: number; // between neighbours in a row of the file
  down: number; // and in a column
}

/** Lay out an upright picture of this width and height. */
export function layout(width: number, height: number, orientation: number): Layout {
  const turned = orientation > 4;
  const [wide, high] = turned ? [height, width] : [width, height];
  const [right, below] = turned ? [3 * high, 3] : [3, 3 * wide];
  const across = [2, 3, 7, 8].includes(orientation) ? -right : right;
  const down = [3, 4, 6, 7].includes(orientation) ? -below : below;
  const first = (across < 0 ? right * (wide - 1) : 0) + (down < 0 ? below * (high - 1) : 0);
  return { wide, high, first, across, down };
}

/** Turn the pixels of a file upright. */
export function upright(picture: Picture, orientation: number): Picture {
  if (orientation < 2) return picture;
  const [width, height] = orientation > 4 ? [picture.height, picture.width] : [picture.width, picture.height];
  const { wide, high, first, across, down } = layout(width, height, orientation);
  const data = new Uint8ClampedArray(picture.data.length);
  for (let y = 0, from = 0; y < high; y++) {
    for (let x = 0, to = first + down * y; x < wide; x++, from += 3, to += across) {
      data[to] = picture.data[from];
      data[to + 1] = picture.data[from + 1];
      data[to + 2] = picture.data[from + 2];
    }
  }
  return { width, height, data };
}
