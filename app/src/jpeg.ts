/**
 * Decode a JPEG at 1/2, 1/4 or 1/8 of its size with reduced cosine transforms: the pixels of libjpeg-turbo and Pillow.
 *
 * Browsers decode at full size only, and averages of that differ from what the network was trained on. Supported are
 * Huffman-coded sequential JPEGs of 8 bits, grey or YCbCr 4:4:4 or 4:2:0; the browser decodes all others. (Unrealistic
 * quantization tables overflow the 16 bits of libjpeg-turbo, but not the 32 bits used here.)
 */

import { layout, readOrientation } from "./exif";
import { isFrame, segmentsOf } from "./files";
import { TRANSFORMS } from "./idct";
import type { Picture } from "./resample";
import { type Component, Damaged, type Huffman, decodeScan, makeHuffman } from "./scan";

const [SOF0, SOF1, DHT, SOS, DQT, DRI, APP0, APP1, APP14] = [0xc0, 0xc1, 0xc4, 0xda, 0xdb, 0xdd, 0xe0, 0xe1, 0xee];

const ZIGZAG = [ // from the order in the file to row-major order
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35,
  42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/** The header of a supported JPEG. */
export interface Jpeg {
  width: number; // upright, as `decodeJpeg` returns it
  height: number;
  orientation: number; // from EXIF, 1 to 8
  sampling: number; // resolution of brightness relative to colour, in both directions: 1 or 2
  ids: number[]; // component identifiers
  tables: number[]; // quantization table of each component
}

/** Read the header of a JPEG that passed `checkFile`; null if it is not supported here. */
export function openJpeg(bytes: Uint8Array): Jpeg | null {
  let [frame, jfif, adobe, orientation]: [Uint8Array | null, boolean, number, number] = [null, false, -1, 0];
  for (const segment of segmentsOf(bytes)) {
    const content = bytes.subarray(segment.start, segment.end);
    const says = (word: string) => [...word].every((letter, i) => content[i] === letter.charCodeAt(0));
    if (segment.marker === SOS) break;
    if (isFrame(segment.marker)) {
      if (frame || (segment.marker !== SOF0 && segment.marker !== SOF1)) return null;
      frame = content;
    } else if (segment.marker === APP0 && content.length >= 14 && says("JFIF\0")) jfif = true;
    else if (segment.marker === APP14 && content.length >= 12 && says("Adobe")) adobe = content[11];
    else if (segment.marker === APP1 && says("Exif\0\0")) orientation ||= readOrientation(content.subarray(6));
  }
  if (!frame || frame.length < 6 + 3 * frame[5] || frame[0] !== 8) return null;
  const [high, wide, count] = [frame[1] * 256 + frame[2], frame[3] * 256 + frame[4], frame[5]];
  if (!high || !wide) return null;
  const components = Array.from({ length: count }, (_, i) => frame.subarray(6 + 3 * i, 9 + 3 * i));
  const ids = components.map(([id]) => id);
  const samplings = components.map(([, sampling]) => sampling);
  let sampling = 1;
  if (count === 3) {
    // What libjpeg interprets as RGB.
    if (!jfif && (adobe === 0 || (adobe < 0 && String.fromCharCode(...ids) === "RGB"))) return null;
    if (samplings[1] !== 0x11 || samplings[2] !== 0x11 || ![0x11, 0x22].includes(samplings[0])) return null;
    sampling = samplings[0] & 15;
  } else if (count !== 1) return null;
  const [width, height] = orientation > 4 ? [high, wide] : [wide, high];
  return { width, height, orientation: orientation || 1, sampling, ids, tables: components.map(([, , table]) => table) };
}

/** Decode at 1/factor (2, 4 or 8), upright; null if the data are damaged or need too much memory: then the browser tries. */
export function decodeJpeg(bytes: Uint8Array, jpeg: Jpeg, factor: number): Picture | null {
  try {
    return draw(jpeg, decodePlanes(bytes, jpeg, factor), factor);
  } catch (error) {
    if (error instanceof Damaged || error instanceof RangeError) return null; // RangeError: not enough memory
    throw error;
  }
}

/** The current tables; a file may change them between scans. */
interface Tables {
  quantization: Uint16Array[];
  dc: Huffman[];
  ac: Huffman[];
}

function decodePlanes(bytes: Uint8Array, jpeg: Jpeg, factor: number): Component[] {
  const planned = jpeg.ids.map((_, i) => plan(jpeg, i, factor));
  const tables: Tables = { quantization: [], dc: [], ac: [] };
  const left = new Set(planned);
  let restart = 0;
  for (const { marker, start, end } of segmentsOf(bytes)) {
    const content = bytes.subarray(start, end);
    if (marker === DQT) readQuantization(content, tables);
    else if (marker === DHT) readHuffman(content, tables);
    else if (marker === DRI) restart = content[0] * 256 + content[1];
    else if (marker === SOS) {
      const components = choose(content, jpeg, planned, tables);
      if (!components.every((component) => left.delete(component))) throw new Damaged("a component occurs twice");
      decodeScan(bytes, end, components, restart);
      if (!left.size) return planned;
    }
  }
  throw new Damaged("a component is missing");
}

/** Allocate a component; its tables are set when its scan starts. */
function plan({ width, height, orientation, sampling }: Jpeg, index: number, factor: number): Component {
  const across = index ? 1 : sampling;
  const share = sampling / across; // colour has fewer pixels in the file by this factor, but as many in the picture
  const [wide, high] = orientation > 4 ? [height, width] : [width, height];
  const unit = 8 * sampling;
  const side = (8 / factor) * share;
  const stride = Math.ceil(wide / unit) * across * side;
  const { invert, counts } = TRANSFORMS[side];
  const none = { fast: new Uint16Array(), ends: new Int32Array(), offsets: new Int32Array(), symbols: new Uint8Array() };
  return {
    across,
    down: across,
    blocksWide: Math.ceil(wide / (8 * share)),
    blocksHigh: Math.ceil(high / (8 * share)),
    side,
    stride,
    plane: new Uint8ClampedArray(stride * Math.ceil(high / unit) * across * side),
    invert,
    places: Uint8Array.from(ZIGZAG, (place) => (counts.includes(place >> 3) && counts.includes(place & 7) ? place : 0)),
    quantization: new Uint16Array(64),
    dc: none,
    ac: none,
    last: 0,
  };
}

/** Find the components of a scan, and set the tables that they use in it. */
function choose(header: Uint8Array, { ids, tables: used }: Jpeg, planned: Component[], tables: Tables): Component[] {
  if (!header[0]) throw new Damaged("a scan without components");
  return Array.from({ length: header[0] }, (_, i) => {
    const index = ids.indexOf(header[1 + 2 * i]);
    const [dc, ac] = [tables.dc[header[2 + 2 * i] >> 4], tables.ac[header[2 + 2 * i] & 15]];
    const quantization = tables.quantization[used[index]];
    if (!dc || !ac || !quantization) throw new Damaged("a table is missing");
    return Object.assign(planned[index], { dc, ac, quantization });
  });
}

function readQuantization(content: Uint8Array, { quantization }: Tables): void {
  for (let at = 0; at < content.length; ) {
    const [deep, index] = [content[at] >> 4, content[at] & 15];
    const from = content.subarray(at + 1, at + 65 + 64 * deep);
    quantization[index] = Uint16Array.from({ length: 64 }, (_, k) => (deep ? from[2 * k] * 256 + from[2 * k + 1] : from[k]));
    at += 65 + 64 * deep;
  }
}

function readHuffman(content: Uint8Array, { dc, ac }: Tables): void {
  for (let at = 0; at < content.length; ) {
    const counts = content.subarray(at + 1, at + 17);
    const end = at + 17 + counts.reduce((a, b) => a + b, 0);
    if (end > content.length) throw new Damaged("a table is cut off");
    (content[at] >> 4 ? ac : dc)[content[at] & 15] = makeHuffman(counts, content.subarray(at + 17, end));
    at = end;
  }
}

const fix = (value: number) => Math.round(value * 65536);
const [RED, GREEN_OF_BLUE, GREEN_OF_RED, BLUE] = [fix(1.402), fix(0.34414), fix(0.71414), fix(1.772)];
const HALF = 32768;

/** Combine the planes into a picture and turn it upright. */
function draw({ width, height, orientation }: Jpeg, planes: Component[], factor: number): Picture {
  const picture = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  const data = new Uint8ClampedArray(picture.width * picture.height * 3); // clips
  const { wide, high, first, across, down } = layout(picture.width, picture.height, orientation);
  const [light, blues, reds] = planes;
  for (let y = 0; y < high; y++) {
    let to = first + down * y;
    const row = light.stride * y;
    for (let x = 0; x < wide; x++, to += across) {
      const grey = light.plane[row + x];
      if (!blues) {
        data[to] = data[to + 1] = data[to + 2] = grey;
        continue;
      }
      const blue = blues.plane[blues.stride * y + x] - 128;
      const red = reds.plane[reds.stride * y + x] - 128;
      data[to] = grey + ((RED * red + HALF) >> 16);
      data[to + 1] = grey + ((HALF - GREEN_OF_BLUE * blue - GREEN_OF_RED * red) >> 16);
      data[to + 2] = grey + ((BLUE * blue + HALF) >> 16);
    }
  }
  return { ...picture, data };
}
