/** Pixels that the browser decodes, and pictures at other scales. */

import type { Picture } from "./resample";
import { PhotoError } from "./photo";
import { problem } from "./problems";

const TILE = 1024; // side of a canvas in pixels: every browser allows it, and it takes 4 MB
export const LARGEST = 16; // factor of `scalePicture`: its sums have 16 bits

function contextOf(canvas: OffscreenCanvas): OffscreenCanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new PhotoError(problem("memory"));
  context.imageSmoothingEnabled = false;
  return context;
}

/** Scale to 1/factor, reading in tiles: phones do not allow a canvas of 16 megapixels. */
export function scaleBitmap(bitmap: ImageBitmap, factor: number): Picture {
  const picture = blank(bitmap, factor);
  const context = contextOf(new OffscreenCanvas(Math.min(TILE, bitmap.width), Math.min(TILE, bitmap.height)));
  let visible = false;
  for (let top = 0; top < bitmap.height; top += TILE) {
    for (let left = 0; left < bitmap.width; left += TILE) {
      const [wide, high] = [Math.min(TILE, bitmap.width - left), Math.min(TILE, bitmap.height - top)];
      context.clearRect(0, 0, wide, high);
      context.drawImage(bitmap, left, top, wide, high, 0, 0, wide, high);
      const tile = context.getImageData(0, 0, wide, high);
      visible = layOverBlack(tile.data) || visible;
      averageBlocks(tile, 4, factor, picture, left / factor, top / factor);
    }
  }
  if (!visible) throw new PhotoError(problem("transparent"));
  return picture;
}

/** Lay pixels over black; returns whether any pixel is visible. */
function layOverBlack(data: Uint8ClampedArray): boolean {
  let visible = false;
  for (let i = 3; i < data.length; i += 4) {
    const alpha = data[i];
    if (alpha > 0) visible = true;
    if (alpha < 255) for (let k = i - 3; k < i; k++) data[k] = (data[k] * alpha) / 255;
  }
  return visible;
}

/** Scale a picture to 1/factor. */
export function scalePicture(picture: Picture, factor: number): Picture {
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
  const sums = new Uint16Array(wide * 3); // at most LARGEST ** 2 pixels of 255
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

/** Compress a picture to JPEG for the page and the history, with sides of at most `side` pixels. */
export async function encode(picture: Picture, side: number, quality: number): Promise<Blob> {
  const fit = Math.floor(Math.max(picture.width, picture.height) / side);
  const { width, height, data } = scalePicture(picture, Math.max(1, Math.min(fit, LARGEST)));
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < width * height; i++) pixels.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
  const canvas = new OffscreenCanvas(width, height);
  contextOf(canvas).putImageData(new ImageData(pixels, width, height), 0, 0);
  const scale = Math.min(1, side / Math.max(width, height));
  if (scale === 1) return canvas.convertToBlob({ type: "image/jpeg", quality });
  const small = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
  small.getContext("2d")?.drawImage(canvas, 0, 0, small.width, small.height);
  return small.convertToBlob({ type: "image/jpeg", quality });
}
