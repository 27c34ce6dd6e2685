/** Which pictures of a file are photographs: a port of `photograph_pages` in eyenet/photo/pages.py. */

import { scaleBitmap } from "./bitmap";
import { type Container, several, sizeOf, withoutMetadata } from "./container";
import { PhotoError } from "./photo";
import { problem } from "./problems";
import { BOX, resize } from "./resample";
import { quantile, sum } from "./stats";

const THUMBNAIL = 2; // a smaller copy has at most 1 / THUMBNAIL of the width
const TINY = 128; // pixels, short side; a retina on such a picture would be refused as too small
const PREVIEW = 64; // pixels, side at which pictures are compared
const [SAME, QUANTILE] = [0.5, 0.998]; // as in Python

/** Throw PhotoError if a file holds another photograph than its first picture. */
export async function requireOnePhotograph(bytes: Uint8Array<ArrayBuffer>, { pages, others }: Container): Promise<void> {
  if (pages > 1 && !others.length) throw several(pages);
  if (!others.length) return;
  const width = sizeOf(bytes).width;
  const large = others.filter((picture) => THUMBNAIL * sizeOf(picture).width > width);
  if (large.length) throw several(1 + large.length);
  const doubtful = others.filter((picture) => Math.min(...Object.values(sizeOf(picture))) >= TINY);
  if (!doubtful.length) return;
  const whole = await preview(bytes);
  for (const picture of doubtful) if (!isCopy(await preview(picture), whole)) throw several(1 + doubtful.length);
}

/** Shrink a picture to a grey square of PREVIEW pixels. */
async function preview(bytes: Uint8Array<ArrayBuffer>): Promise<Float64Array> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([withoutMetadata(bytes)]), { colorSpaceConversion: "none" });
  } catch {
    throw new PhotoError(problem("damagedOrLarge"));
  }
  const picture = scaleBitmap(bitmap, 1);
  bitmap.close();
  const { data } = resize(picture, PREVIEW, BOX, { left: 0, upper: 0, right: picture.width, lower: picture.height });
  return Float64Array.from({ length: PREVIEW ** 2 }, (_, i) => 0.299 * data[3 * i] + 0.587 * data[3 * i + 1] + 0.114 * data[3 * i + 2]);
}

/** Tell whether two previews show the same picture. */
function isCopy(small: Float64Array, whole: Float64Array): boolean {
  const mean = sum(whole) / whole.length;
  const spread = Math.sqrt(sum(whole.map((value) => (value - mean) ** 2)) / whole.length);
  return quantile(small.map((value, i) => Math.abs(value - whole[i])), QUANTILE) <= SAME * spread;
}
