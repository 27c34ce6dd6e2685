/**
 * From a file to pixels: upright, in the colours of sRGB, a JPEG at 1/1, 1/2, 1/4 or 1/8 of its size. A port of
 * eyenet/photo/decode.py, which decodes other formats at full size, too.
 */

import { encode, scaleBitmap, scalePicture } from "./bitmap";
import { type Circle, scaled } from "./circle";
import { isConvertedByBrowser, readContainer, several } from "./container";
import { fingerprintOf } from "./fingerprint";
import { upright } from "./exif";
import { type Field, findField, isCrop } from "./field";
import { checkFile, checkSize, isJpeg, isPng, whyUnreadable } from "./files";
import { type Conversion, type Space, readProfile } from "./icc";
import { type Jpeg, decodeJpeg, openJpeg } from "./jpeg";
import { requireOnePhotograph } from "./pages";
import { DETAIL, MIN_DIAMETER, NoRetina, PREPROCESSING, PhotoError, cropRetina, visibleShare } from "./photo";
import { type Problem, problem } from "./problems";
import { type Stamp, decodePng, openPng, unpack } from "./png";
import type { Picture } from "./resample";
import { round } from "./stats";

const LARGEST_PROFILE = 1 << 24; // bytes, as in Python

/** An open photograph; `close` releases its memory. */
export interface Photograph {
  width: number;
  height: number;
  bytes: number;
  fingerprint: string; // of its bytes
  factors: number[]; // beside 1, the largest first
  note: Problem | null; // what was left out of the file; null if nothing was
  stamp: Stamp | null; // of a crop that EyeNet made
  /** Decode it at 1/factor of its size. Throws PhotoError. */
  read(factor: number): Promise<Picture>;
  /** Make a small JPEG of the whole photograph. */
  thumbnail(side: number): Promise<Blob>;
  close(): void;
}

/** The pixels of a file, upright, in their own colours. */
type Source = Pick<Photograph, "width" | "height" | "factors" | "read" | "stamp" | "close"> & { profile: Uint8Array | null; space: Space };

/** A photograph at some scale, and the circle of the retina in its pixels. */
interface Located {
  picture: Picture;
  circle: Circle;
  factor: number;
  crop: Stamp | null; // of a crop that EyeNet made
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
  field: "circle" | "frame";
}

/** Open a file. Throws PhotoError, with its problem, if it is not a photograph. */
export async function openPhotograph(file: Blob): Promise<Photograph> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new PhotoError(problem("cannotRead"));
  }
  checkFile(bytes);
  const source = await (isPng(bytes) ? sourceOfPng(bytes) : sourceOf(bytes));
  const { width, height, factors, stamp, profile, space, close } = source;
  const { convert, note }: Conversion = profile ? readProfile(profile, space) : { convert: null, note: null };
  const pictures = new Map<number, Picture>();
  const read = async (factor: number) => {
    let picture = pictures.get(factor);
    if (!picture) {
      picture = await source.read(factor);
      if (convert) {
        picture = { ...picture, data: picture.data.slice() }; // the source scales the unconverted one
        convert(picture.data);
      }
      pictures.set(factor, picture);
    }
    return picture;
  };
  const thumbnail = async (side: number) => encode([...pictures.values()].at(-1) ?? (await read(factors[0] ?? 1)), side, 0.9);
  const fingerprint = fingerprintOf(bytes);
  return { width, height, bytes: bytes.length, fingerprint, factors, note, stamp, read, thumbnail, close };
}

async function sourceOfPng(bytes: Uint8Array<ArrayBuffer>): Promise<Source> {
  const png = openPng(bytes);
  if (png.pages > 1) throw several(png.pages);
  // Damaged ones are left out, as in Python.
  const profile = png.profile && (await unpack([png.profile], LARGEST_PROFILE).catch(() => null));
  let picture: Picture | null = upright(await decodePng(png), png.orientation);
  const { width, height } = picture;
  const read = async () => picture as Picture;
  return { width, height, factors: [], stamp: png.stamp, space: png.space, profile, read, close: () => (picture = null) };
}

/** Open a file that the browser decodes, if it is no JPEG that is decoded here at a reduced scale. */
async function sourceOf(bytes: Uint8Array<ArrayBuffer>): Promise<Source> {
  const container = readContainer(bytes);
  await requireOnePhotograph(bytes, container);
  let jpeg = isJpeg(bytes) ? openJpeg(bytes) : null;
  const header = jpeg;
  let decoded: Promise<ImageBitmap> | null = null;
  // Decodes the whole file, so only when needed.
  const bitmapOf = () => (decoded ??= decode(container.bare, header, isConvertedByBrowser(bytes)));
  const { width, height } = jpeg ?? (await bitmapOf());
  const pictures = new Map<number, Picture>();
  return {
    width,
    height,
    factors: isJpeg(bytes) && container.pages === 1 ? [8, 4, 2] : [],
    stamp: null,
    profile: container.profile,
    space: container.space,
    async read(factor) {
      let own: Picture | null = null;
      if (jpeg && factor > 1) {
        own = decodeJpeg(bytes, jpeg, factor);
        if (!own) jpeg = null; // it would fail again
      }
      const finer = Math.max(...[...pictures.keys()].filter((other) => factor % other === 0));
      const from = pictures.get(finer); // scaling this is faster than reading the bitmap
      const picture = own ?? (from ? scalePicture(from, factor / finer) : scaleBitmap(await bitmapOf(), factor));
      pictures.set(factor, picture);
      return picture;
    },
    close: () => void decoded?.then((bitmap) => bitmap.close()).catch(() => undefined),
  };
}

/** Let the browser decode a file; for a JPEG whose header was read, the size must equal that of the header. */
async function decode(bytes: Uint8Array<ArrayBuffer>, header: Jpeg | null, convert: boolean): Promise<ImageBitmap> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes]), {
      colorSpaceConversion: convert ? "default" : "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new PhotoError(whyUnreadable(bytes));
  }
  try {
    checkSize(bitmap); // for formats whose header files.ts does not read
    if (header && (bitmap.width !== header.width || bitmap.height !== header.height)) {
      throw new PhotoError(problem("orientation"));
    }
  } catch (error) {
    bitmap.close();
    throw error;
  }
  return bitmap;
}

/** Choose the scale at which the short side keeps at least `least` pixels. */
export function factorFor(photograph: Photograph, least: number): number {
  const side = Math.min(photograph.width, photograph.height);
  return photograph.factors.find((factor) => Math.floor(side / factor) >= least) ?? 1;
}

/** Find the retina of a photograph, at a scale sufficient for a crop of `size` pixels. */
export async function locate(photograph: Photograph, size: number, field: Field): Promise<Located> {
  const least = Math.floor(DETAIL * size);
  let factor = factorFor(photograph, least);
  let picture = await photograph.read(factor);
  const { stamp } = photograph;
  const crop = isCrop(stamp, PREPROCESSING, picture, field) ? stamp : null;
  const half = picture.width / 2;
  let circle = crop ? { x: half, y: half, radius: half, found: crop.found, field: crop.field } : findField(picture, field);
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
  return { picture, circle, factor, crop };
}

/** Make the crop of `size` pixels; one that EyeNet made of this size is returned as it is. */
export function cropped({ picture, circle, crop }: Located, size: number): Picture {
  return crop && picture.width === size ? picture : cropRetina(picture, circle, size);
}

/** Return the circle of the retina in pixels of the photograph. */
export function geometryOf(photograph: Photograph, { picture, circle, factor, crop }: Located): Geometry {
  return {
    bytes: photograph.bytes,
    width: photograph.width,
    height: photograph.height,
    center_x: round(circle.x * factor, 1),
    center_y: round(circle.y * factor, 1),
    radius: round(circle.radius * factor, 1),
    visible: crop?.visible ?? (circle.field === "frame" ? 1 : round(visibleShare(circle, picture.width, picture.height), 3)),
    found: circle.found,
    field: circle.field,
  };
}
