/** The compressed data of a JPEG's scan: from bits to coefficients (ISO/IEC 10918-1, annex F) to the planes' pixels. */

import { type Transform, flat } from "./idct";

/** The data are not what the headers promise. */
export class Damaged extends Error {}

const FAST = 9; // bits of a code that are looked up at once
const LONGEST = 16;

/** The codes of a table, by their lengths in order (annex C). */
export interface Huffman {
  fast: Uint16Array; // by the next bits: length << 8 | symbol; 0 for a longer code
  ends: Int32Array; // by length: the first 16 bits that are no code of this length or a shorter one
  offsets: Int32Array; // by length: what leads from a code to its symbol
  symbols: Uint8Array;
}

/** Make a table of how many codes there are of each length, and of their symbols. */
export function makeHuffman(counts: Uint8Array, symbols: Uint8Array): Huffman {
  const fast = new Uint16Array(1 << FAST);
  const [ends, offsets] = [new Int32Array(LONGEST + 1), new Int32Array(LONGEST + 1)];
  let [code, at] = [0, 0];
  for (let length = 1; length <= LONGEST; length++) {
    offsets[length] = at - code;
    for (let i = 0; i < counts[length - 1]; i++, code++, at++) {
      if (length > FAST) continue;
      const first = code << (FAST - length);
      fast.fill((length << 8) | symbols[at], first, first + (1 << (FAST - length)));
    }
    if (code >= 1 << length) throw new Damaged("more codes than there can be"); // none is all ones
    ends[length] = code << (LONGEST - length);
    code <<= 1;
  }
  return { fast, ends, offsets, symbols };
}

/** What a scan needs to know of a component. */
export interface Component {
  across: number; // blocks of it in a unit of an interleaved scan
  down: number;
  blocksWide: number; // without what only fills up units
  blocksHigh: number;
  side: number; // pixels that become of a block
  stride: number;
  plane: Uint8ClampedArray;
  invert: Transform;
  places: Uint8Array; // of the coefficients in the order of the file; 0 for one that does not count
  quantization: Uint16Array;
  dc: Huffman;
  ac: Huffman;
  last: number; // mean of the block before
}

/** The bits between two markers, without the zeros that are stuffed in after each 0xff. */
class Bits {
  private readonly data: Uint8Array;
  private at = 0; // in bits
  private length = 0; // in bytes

  constructor(
    private readonly bytes: Uint8Array,
    private next: number,
  ) {
    this.data = new Uint8Array(bytes.length - next + 4); // 4: `peek` looks ahead
  }

  /** Take what there is up to the next marker; gives the marker. */
  advance(): number {
    const { bytes, data } = this;
    let [from, to] = [this.next, 0];
    let marker = 0;
    while (from < bytes.length && !marker) {
      const byte = bytes[from++];
      if (byte === 0xff) {
        while (bytes[from] === 0xff) from++; // fill bytes
        marker = bytes[from++];
      }
      if (!marker) data[to++] = byte;
    }
    data.fill(0, to, to + 4);
    [this.next, this.length, this.at] = [from, to, 0];
    return marker;
  }

  get overrun(): boolean {
    return this.at > 8 * this.length;
  }

  /** Look at the next 25 bits, at the top of a word. */
  private peek(): number {
    const { data, at } = this;
    const i = at >>> 3;
    return ((data[i] << 24) | (data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3]) << (at & 7);
  }

  symbol(table: Huffman): number {
    const word = this.peek();
    const entry = table.fast[word >>> (32 - FAST)];
    if (entry) {
      this.at += entry >> 8;
      return entry & 0xff;
    }
    const code = word >>> (32 - LONGEST);
    for (let length = FAST + 1; length <= LONGEST; length++) {
      if (code >= table.ends[length]) continue;
      this.at += length;
      return table.symbols[(code >> (LONGEST - length)) + table.offsets[length]];
    }
    throw new Damaged("no code");
  }

  /** Read a number of so many bits, at least one; the lower half of them are the negative ones. */
  signed(size: number): number {
    const value = this.peek() >>> (32 - size);
    this.at += size;
    return value >> (size - 1) ? value : value - (1 << size) + 1;
  }

  skip(size: number): void {
    this.at += size;
  }
}

/** Read a block, dequantised; tells whether anything but its mean counts. */
function readBlock(bits: Bits, of: Component, block: Int32Array): boolean {
  const { ac, places, quantization } = of;
  const size = bits.symbol(of.dc);
  if (size > 15) throw new Damaged("no size of a mean");
  if (size) of.last += bits.signed(size);
  block[0] = of.last * quantization[0];
  let more = false;
  for (let k = 1; k < 64; k++) {
    const symbol = bits.symbol(ac);
    const size = symbol & 15;
    k += symbol >> 4;
    if (!size) {
      if (symbol >> 4 === 15) continue; // 16 zeros
      break;
    }
    if (k > 63) throw new Damaged("more than 64 coefficients");
    const place = places[k];
    if (place) {
      block[place] = bits.signed(size) * quantization[k];
      more = true;
    } else bits.skip(size);
  }
  return more;
}

/** Read a block and put its pixels where they belong. */
function decodeBlock(bits: Bits, of: Component, block: Int32Array, x: number, y: number): void {
  const { plane, side, stride } = of;
  let at = side * (y * stride + x);
  if (readBlock(bits, of, block)) {
    of.invert(block, plane, at, stride);
    block.fill(0);
    return;
  }
  const pixel = flat(block[0]);
  for (let row = 0; row < side; row++, at += stride) {
    for (let column = 0; column < side; column++) plane[at + column] = pixel;
  }
}

/**
 * Decode a scan of all components or of some into their planes.
 *
 * `start` is where its data begin, `restart` the units from one restart marker to the next (0: there are none).
 * Throws Damaged.
 */
export function decodeScan(bytes: Uint8Array, start: number, components: Component[], restart: number): void {
  const bits = new Bits(bytes, start);
  const block = new Int32Array(64);
  const alone = components.length === 1; // then a unit is one block
  const [{ across, down, blocksWide, blocksHigh }] = components;
  const wide = alone ? blocksWide : Math.ceil(blocksWide / across);
  const high = alone ? blocksHigh : Math.ceil(blocksHigh / down);
  const begin = () => components.forEach((of) => (of.last = 0));
  begin();
  let marker = bits.advance();
  for (let unit = 0; unit < wide * high; unit++) {
    if (restart && unit && unit % restart === 0) {
      if (marker !== 0xd0 + ((unit / restart - 1) & 7)) throw new Damaged("a restart marker is missing");
      begin();
      marker = bits.advance();
    }
    const [left, top] = [unit % wide, Math.floor(unit / wide)];
    if (alone) decodeBlock(bits, components[0], block, left, top);
    else {
      for (const of of components) {
        for (let y = of.down * top; y < of.down * (top + 1); y++) {
          for (let x = of.across * left; x < of.across * (left + 1); x++) decodeBlock(bits, of, block, x, y);
        }
      }
    }
    if (bits.overrun) throw new Damaged("the data end too early");
  }
}
