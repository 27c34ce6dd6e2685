/** The files of the page's folder. */

import { ProgramError, problem } from "./problems";

const folder = new URL("../", self.location.href); // the workers' files are one folder below the page

export async function fetchFile(name: string): Promise<Response> {
  const response = await fetch(new URL(name, folder));
  if (!response.ok || !response.body) throw new ProgramError(problem("incomplete"));
  return response;
}

/** Load a file, and unpack it if it is still gzipped. */
export async function load(name: string): Promise<ArrayBuffer> {
  const bytes = await (await fetchFile(name)).arrayBuffer();
  const start = new Uint8Array(bytes, 0, 2);
  if (start[0] !== 0x1f || start[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
