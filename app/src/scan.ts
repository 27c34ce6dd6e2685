/** Decode the compressed data of a JPEG scan: from bits to coefficients (ISO/IEC 10918-1, annex F) to pixels. */

import { type Transform, flat } from "./idct";

/** The data contradict the headers. */
export class Damaged extends Error {}

const FAST = 9; // codes up to this many bits are decoded by a table
const LONGEST = 16;

/** A Huffman table: codes in the order of their lengths (annex C). */
export interface Huffman {
  fast: Uint16Array; // indexed by the next bits: length << 8 | symbol; 0 for a longer code
  ends: Int32Array; // by length: the first 16-bit value above all codes up to this length
  offsets: Int32Array; // by length: add it to a code for the index of its symbol
  symbols: Uint8Array;
}

/** Build a table from the number of codes of each length and their symbols. */
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
    if (code >= 1 << length) throw new Damaged("too many codes"); // no code may be all ones
    ends[length] = code << (LONGEST - length);
    code <<= 1;
  }
  return { fast, ends, offsets, symbols };
}

/** A colour component, as a scan needs it. */
export interface Component {
  across: number; // blocks in a unit (MCU) of an interleaved scan
  down: number;
  blocksWide: number; // without padding of units
  blocksHigh: number;
  side: number; // output pixels a side of a block
  stride: number;
  plane: Uint8ClampedArray;
  invert: Transform;
  places: Uint8Array; // position of each coefficient in the order of the file; 0 if it is not used
  quantization: Uint16Array;
  dc: Huffman;
  ac: Huffman;
  last: number; // mean of the previous block
}

/** The bits between two markers, without the zero stuffed after each 0xff. */
class Bits {
  private readonly data: Uint8Array;
  private at = 0; // in bits
  private length = 0; // in bytes

  constructor(
    private readonly bytes: Uint8Array,
    private next: number,
  ) {
    this.data = new Uint8Array(bytes.length - next + 4); // 4: `peek` reads ahead
  }

  /** Load the data up to the next marker; returns the marker. */
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

  symbol(table: Huffman): number {
    const entry = lookUp(table, peek(this.data, this.at));
    this.at += entry >> 8;
    return entry & 0xff;
  }

  signed(size: number): number {
    const value = signed(peek(this.data, this.at), size);
    this.at += size;
    return value;
  }

  /** Read all coefficients of a block but the mean, dequantised; returns whether any used one is set. */
  details({ ac, places, quantization }: Component, block: Int32Array): boolean {
    const { data } = this;
    let { at } = this; // a local variable is faster
    let more = false;
    for (let k = 1; k < 64; k++) {
      const word = peek(data, at);
      const entry = lookUp(ac, word);
      const [length, symbol] = [entry >> 8, entry & 0xff];
      const size = symbol & 15;
      k += symbol >> 4;
      at += length + size;
      if (!size) {
        if (symbol >> 4 === 15) continue; // 16 zeros
        break;
      }
      if (k > 63) throw new Damaged("more than 64 coefficients");
      const place = places[k];
      if (!place) continue;
      // A word has 25 bits, and a number up to 15.
      block[place] = signed(length > FAST ? peek(data, at - size) : word << length, size) * quantization[k];
      more = true;
    }
    this.at = at;
    return more;
  }
}

/** Return the next 25 bits, left-aligned in a word; `at` in bits. */
function peek(data: Uint8Array, at: number): number {
  const i = at >>> 3;
  return ((data[i] << 24) | (data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3]) << (at & 7);
}

/** Find the code at the start of a word; returns its length << 8 | symbol. */
function lookUp(table: Huffman, word: number): number {
  return table.fast[word >>> (32 - FAST)] || lookUpLonger(table, word >>> (32 - LONGEST));
}

function lookUpLonger({ ends, offsets, symbols }: Huffman, code: number): number {
  for (let length = FAST + 1; length <= LONGEST; length++) {
    if (code < ends[length]) return (length << 8) | symbols[(code >> (LONGEST - length)) + offsets[length]];
  }
  throw new Damaged("not a code");
}

/** Return the signed number in the first `size` bits of a word, at least one; the lower half of the values are negative (annex F). */
function signed(word: number, size: number): number {
  const value = word >>> (32 - size);
  return value >> (size - 1) ? value : value - (1 << size) + 1;
}

/** Read a dequantised block; returns whether any used coefficient but the mean is set. */
function readBlock(bits: Bits, component: Component, block: Int32Array): boolean {
  const size = bits.symbol(component.dc);
  if (size > 15) throw new Damaged("invalid size of a mean");
  if (size) component.last += bits.signed(size);
  block[0] = component.last * component.quantization[0];
  return bits.details(component, block);
}

/** Decode a block into the pixels of its plane. */
function decodeBlock(bits: Bits, component: Component, block: Int32Array, x: number, y: number): void {
  const { plane, side, stride } = component;
  let at = side * (y * stride + x);
  if (readBlock(bits, component, block)) {
    component.invert(block, plane, at, stride);
    block.fill(0);
    return;
  }
  const pixel = flat(block[0]);
  for (let row = 0; row < side; row++, at += stride) {
    for (let column = 0; column < side; column++) plane[at + column] = pixel;
  }
}

/**
 * Decode a scan of some or all components into their planes.
 *
 * `start`: offset of the data; `restart`: units between restart markers (0: none).
 * Throws Damaged.
 */
export function decodeScan(bytes: Uint8Array, start: number, components: Component[], restart: number): void {
  const bits = new Bits(bytes, start);
  const block = new Int32Array(64);
  const alone = components.length === 1; // then a unit is one block
  const [{ across, down, blocksWide, blocksHigh }] = components;
  const wide = alone ? blocksWide : Math.ceil(blocksWide / across);
  const high = alone ? blocksHigh : Math.ceil(blocksHigh / down);
  const begin = () => components.forEach((component) => (component.last = 0));
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
      for (const component of components) {
        for (let y = component.down * top; y < component.down * (top + 1); y++) {
          for (let x = component.across * left; x < component.across * (left + 1); x++) {
            decodeBlock(bits, component, block, x, y);
          }
        }
      }
    }
    if (bits.overrun) throw new Damaged("the data end early");
  }
}
