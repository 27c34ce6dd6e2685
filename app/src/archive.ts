/**
 * The history as one file: JSON, with photographs in base64, a line for each visit so that neither end holds all of it as text.
 *
 *     {"format":"eyenet-history","version":1,"made":"2026-11-28T10:15:00.000Z","notice":"...","visits":[
 *     ["<fingerprint of the JSON that follows>",{"id":...,"eyes":{"right":[{"picture":{"type":"image/jpeg","base64":"..."}}]}}],
 *     ["...",{...}]
 *     ],"count":2}
 */

import { fingerprintOfText } from "./fingerprint";
import { isVisit } from "./shape";
import type { Visit } from "./store";
import type { Text } from "./text";
import { words } from "./words";

const { exchange: said } = words;
const VERSION = 1;
const START = '{"format":"eyenet-history","version":';
const LONGEST = 2 ** 26; // characters of a line; a visit has a few hundred thousand
const CHUNK = 3 * 2 ** 12; // bytes, a multiple of 3: base64 of chunks can be joined

/** Why a file cannot be imported, in a sentence. */
export class ArchiveError extends Error {
  constructor(readonly text: Text) {
    super(text);
  }
}

/** Write visits into a file. */
export async function pack(visits: Visit[], now = Date.now()): Promise<Blob> {
  const head = JSON.stringify({ made: new Date(now).toISOString(), notice: words.letter.notADevice }).slice(1, -1);
  const parts: BlobPart[] = [`${START}${VERSION},${head},"visits":[`];
  for (const [i, visit] of visits.entries()) {
    const { imported: _, ...own } = visit;
    const text = JSON.stringify(await withText(own));
    parts.push(new Blob([`${i ? "," : ""}\n["${fingerprintOfText(text)}",${text}]`])); // the browser keeps it, on disk if it is large
  }
  return new Blob([...parts, `\n],"count":${visits.length}}\n`], { type: "application/json" });
}

/** Read all visits of a file. Throws ArchiveError if it is damaged, foreign or of a newer version. */
export async function unpack(file: Blob): Promise<Visit[]> {
  await checkHead(file);
  const visits: Visit[] = [];
  let count: number | null = null;
  let isFirst = true;
  for await (const line of linesOf(file)) {
    const isAfter = count !== null && line !== "";
    const end = /^\],"count":(\d+)\}$/.exec(line);
    if (isAfter) throw new ArchiveError(said.damaged);
    if (end) count = Number(end[1]);
    else if (!isFirst && line) visits.push(readVisit(line));
    isFirst = false;
  }
  if (count !== visits.length || new Set(visits.map(({ id }) => id)).size < count) throw new ArchiveError(said.damaged);
  return visits;
}

async function checkHead(file: Blob): Promise<void> {
  const start = (await file.slice(0, START.length + 12).text()).replace(/^\ufeff/, "");
  const version = start.startsWith(START) ? /^\d+(?=,)/.exec(start.slice(START.length)) : null;
  if (!version) throw new ArchiveError(said.foreign);
  if (Number(version[0]) > VERSION) throw new ArchiveError(said.newer);
}

function readVisit(line: string): Visit {
  const found = /^\["([\d-]+)",(\{.*\})\],?$/s.exec(line);
  if (!found || fingerprintOfText(found[2]) !== found[1]) throw new ArchiveError(said.damaged);
  const visit = withBlobs(JSON.parse(found[2]));
  if (!isVisit(visit)) throw new ArchiveError(said.damaged);
  return visit;
}

/** Read a file line by line. */
async function* linesOf(file: Blob): AsyncGenerator<string> {
  const reader = file.stream().getReader(); // iterating over a stream is too new for some browsers
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for (let done = false; !done; ) {
    const read = await reader.read();
    done = read.done;
    const lines = (rest + decode(decoder, read.value)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield line.trim();
    if (rest.length > LONGEST) throw new ArchiveError(said.damaged);
  }
  yield rest.trim();
}

function decode(decoder: TextDecoder, bytes: Uint8Array | undefined): string {
  try {
    return decoder.decode(bytes, { stream: bytes !== undefined });
  } catch {
    throw new ArchiveError(said.damaged); // bytes that are no UTF-8
  }
}

/** Replace pictures, wherever they are, by objects with their type and base64. */
async function withText(value: unknown): Promise<unknown> {
  if (value instanceof Blob) return { type: value.type, base64: toBase64(new Uint8Array(await value.arrayBuffer())) };
  if (Array.isArray(value)) return Promise.all(value.map(withText));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(async ([name, one]) => [name, await withText(one)]);
  return Object.fromEntries(await Promise.all(entries));
}

/** Restore the pictures. */
function withBlobs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withBlobs);
  if (typeof value !== "object" || value === null) return value;
  if ("base64" in value && "type" in value) return new Blob([fromBase64(String(value.base64))], { type: String(value.type) });
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withBlobs(one)]));
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) text += btoa(String.fromCharCode(...bytes.subarray(at, at + CHUNK)));
  return text;
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}
