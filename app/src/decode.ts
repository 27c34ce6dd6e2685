/**
 * From a file to pixels: upright (browsers apply the EXIF orientation by default), without colour conversion, at 1/1,
 * 1/2, 1/4 or 1/8 of its size.
 */

import { checkFile, checkSize, isJpeg, whyUnreadable } from "./files";
import { type Jpeg, decodeJpeg, openJpeg } from "./jpeg";
import { type Circle, DETAIL, MIN_DIAMETER, NoRetina, PhotoError, findRetina, scaled, visibleShare } from "./photo";
import type { Picture } from "./resample";
import { round } from "./stats";

const TILE = 1024; // side of a canvas in pixels: every browser allows it, and it takes 4 MB

/** An open photograph; `close` releases its memory. */
export interface Photograph {
  width: number;
  height: number;
  bytes: number;
  /** Decode it at 1/factor of its size (factor 1, 2, 4 or 8). Throws PhotoError. */
  read(factor: number): Promise<Picture>;
  /** Make a small JPEG of the whole photograph. */
  thumbnail(side: number): Promise<Blob>;
  close(): void;
}

/** A photograph at some scale, and the circle of the retina in its pixels. */
export interface Located {
  picture: Picture;
  circle: Circle;
  factor: number;
}

export interface Geometry {
  bytes: number;
  width: number;
  height: number;
  center_x: number;
  center_y: number;
  radius: number;
  visible: number;
  found: boolean;
}

/** Open a file. Throws PhotoError, with a sentence for the user, if it is not a photograph. */
export async function openPhotograph(file: Blob): Promise<Photograph> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new PhotoError("The file cannot be read. Choose it again.");
  }
  checkFile(bytes);
  let jpeg = isJpeg(bytes) ? openJpeg(bytes) : null;
  const header = jpeg;
  let decoded: Promise<ImageBitmap> | null = null;
  const bitmapOf = () => (decoded ??= decode(file, bytes, header)); // decodes the whole file, so only when needed
  const { width, height } = jpeg ?? (await bitmapOf());
  const read = new Map<number, Picture>();
  return {
    width,
    height,
    bytes: bytes.length,
    async read(factor) {
      let own: Picture | null = null;
      if (jpeg && factor > 1 && !read.has(factor)) {
        own = decodeJpeg(bytes, jpeg, factor);
        if (!own) jpeg = null; // it would fail again
      }
      const finer = Math.max(...[...read.keys()].filter((other) => factor % other === 0));
      const from = read.get(finer); // scaling this is faster than reading the bitmap
      const picture = own ?? (from ? scalePicture(from, factor / finer) : scaleBitmap(await bitmapOf(), factor));
      read.set(factor, picture);
      return picture;
    },
    async thumbnail(side) {
      const scale = Math.min(1, side / Math.max(width, height));
      const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
      canvas.getContext("2d")?.drawImage(await bitmapOf(), 0, 0, canvas.width, canvas.height);
      return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    },
    close: () => void decoded?.then((bitmap) => bitmap.close()).catch(() => undefined),
  };
}

/** Let the browser decode a file; for a JPEG whose header was read, the size must equal that of the header. */
async function decode(file: Blob, bytes: Uint8Array, header: Jpeg | null): Promise<ImageBitmap> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      colorSpaceConversion: "none", // the network was trained on unconverted pixels
      premultiplyAlpha: "none",
    });
  } catch {
    throw new PhotoError(whyUnreadable(bytes));
  }
  try {
    checkSize(bitmap); // for formats whose header files.ts does not read
    if (header && (bitmap.width !== header.width || bitmap.height !== header.height)) {
      throw new PhotoError("The orientation of the photograph is ambiguous. Save it again and choose the new file.");
    }
  } catch (error) {
    bitmap.close();
    throw error;
  }
  return bitmap;
}

/** Scale to 1/factor, reading in tiles: phones do not allow a canvas of 16 megapixels. */
function scaleBitmap(bitmap: ImageBitmap, factor: number): Picture {
  const picture = blank(bitmap, factor);
  const canvas = new OffscreenCanvas(Math.min(TILE, bitmap.width), Math.min(TILE, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
  if (!context) throw new PhotoError("This device does not have enough memory for the photograph. Close other pages.");
  context.imageSmoothingEnabled = false;
  for (let top = 0; top < bitmap.height; top += TILE) {
    for (let left = 0; left < bitmap.width; left += TILE) {
      const [wide, high] = [Math.min(TILE, bitmap.width - left), Math.min(TILE, bitmap.height - top)];
      context.fillRect(0, 0, wide, high); // transparent pixels become black
      context.drawImage(bitmap, left, top, wide, high, 0, 0, wide, high);
      const tile = context.getImageData(0, 0, wide, high);
      averageBlocks(tile, 4, factor, picture, left / factor, top / factor);
    }
  }
  return picture;
}

/** Scale a picture that was read at a larger size. */
function scalePicture(picture: Picture, factor: number): Picture {
  if (factor === 1) return picture;
  const small = blank(picture, factor);
  averageBlocks(picture, 3, factor, small, 0, 0);
  return small;
}

function blank({ width, height }: { width: number; height: number }, factor: number): Picture {
  const [wide, high] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  return { width: wide, height: high, data: new Uint8ClampedArray(wide * high * 3) };
}

interface Source {
  width: number;
  height: number;
  data: Uint8Array | Uint8ClampedArray;
}

/** Average blocks of a tile into the picture at (left, top): close to what libjpeg computes at a reduced scale. */
function averageBlocks(source: Source, channels: number, factor: number, picture: Picture, left: number, top: number): void {
  const wide = Math.ceil(source.width / factor);
  const sums = new Uint16Array(wide * 3); // at most 64 pixels of 255
  for (let y = 0; y * factor < source.height; y++) {
    sums.fill(0);
    const rows = Math.min(factor, source.height - y * factor);
    for (let row = y * factor; row < y * factor + rows; row++) {
      let at = channels * row * source.width;
      for (let x = 0, column = 0; x < 3 * wide; x += 3) {
        for (const end = Math.min(source.width, column + factor); column < end; column++, at += channels) {
          sums[x] += source.data[at];
          sums[x + 1] += source.data[at + 1];
          sums[x + 2] += source.data[at + 2];
        }
      }
    }
    const to = 3 * ((top + y) * picture.width + left);
    for (let x = 0; x < wide; x++) {
      const pixels = rows * Math.min(factor, source.width - x * factor);
      for (let k = 3 * x; k < 3 * x + 3; k++) picture.data[to + k] = sums[k] / pixels; // rounded to the nearest
    }
  }
}

/** Choose the scale at which the short side keeps at least `least` pixels. */
function factorFor(photograph: Photograph, least: number): number {
  const side = Math.min(photograph.width, photograph.height);
  return [8, 4, 2].find((factor) => Math.floor(side / factor) >= least) ?? 1;
}

/** Find the retina of a photograph, at a scale sufficient for a crop of `size` pixels. */
export async function locate(photograph: Photograph, size: number): Promise<Located> {
  const least = Math.floor(DETAIL * size);
  let factor = factorFor(photograph, least);
  let picture = await photograph.read(factor);
  let circle = findRetina(picture);
  while (factor > 1 && 2 * circle.radius < least) {
    const smaller = factorFor(photograph, Math.min(picture.width, picture.height) + 1); // a small disc: read at a larger scale
    picture = await photograph.read(smaller);
    circle = scaled(circle, factor / smaller);
    factor = smaller;
  }
  const across = 2 * circle.radius * factor;
  if (across < MIN_DIAMETER) {
    throw new NoRetina(`the retina is ${across.toFixed(0)} pixels across; at least ${MIN_DIAMETER} are needed`);
  }
  return { picture, circle, factor };
}

/** Return the circle of the retina in pixels of the photograph. */
export function geometryOf(photograph: Photograph, { picture, circle, factor }: Located): Geometry {
  return {
    bytes: photograph.bytes,
    width: photograph.width,
    height: photograph.height,
    center_x: round(circle.x * factor, 1),
    center_y: round(circle.y * factor, 1),
    radius: round(circle.radius * factor, 1),
    visible: round(visibleShare(circle, picture.width, picture.height), 3),
    found: circle.found,
  };
}
