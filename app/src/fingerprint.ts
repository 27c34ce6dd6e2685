/** Fingerprints of files and texts. */

/** Make a fingerprint of a file: two 32-bit FNV-1a hashes of its bytes, and their number. */
export function fingerprintOf(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x01000193);
    b = Math.imul(b ^ bytes[i], 0x5bd1e995);
  }
  return [bytes.length, a >>> 0, b >>> 0].join("-");
}

/** Make a fingerprint of a text. */
export const fingerprintOfText = (text: string): string => fingerprintOf(new TextEncoder().encode(text));
