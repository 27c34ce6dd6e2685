/** The page's side of the worker that grades photographs. */

import type { Model } from "./network";
import type { Rule, Seen } from "./screener";
import type { Text } from "./text";
import { sayProblem, words } from "./words";
import type { Reply, Request } from "./worker";

/** What the worker tells that is not the answer to a photograph. */
interface Told {
  ready(model: Model): void;
  failed(message: Text): void;
}

/** A photograph that the worker grades: its result and, later, the evidence, if there is any. */
export interface Asked {
  seen: Promise<Seen>;
  contours: Promise<string[]>;
}

const seen = new Map<number, (seen: Seen) => void>();
const explained = new Map<number, (contours: string[]) => void>();
let worker: Worker | null = null;
let questions = 0;

/** Start the worker. */
export function startWorker(told: Told): void {
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("error", () => told.failed(words.status.stopped));
  worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
    if (data.kind === "ready") told.ready(data.model);
    else if (data.kind === "failed") told.failed(sayProblem(data.message));
    else if (data.kind === "contours") take(explained, data.id)?.(data.contours);
    else {
      if (!data.seen.contoursOf) explained.delete(data.id);
      take(seen, data.id)?.(data.seen);
    }
  });
}

/** Ask the worker to grade a photograph. */
export function grade(file: File, rule: Rule): Asked {
  const id = ++questions;
  const asked = {
    seen: new Promise<Seen>((resolve) => seen.set(id, resolve)),
    contours: new Promise<string[]>((resolve) => explained.set(id, resolve)),
  };
  worker?.postMessage({ id, file, rule } satisfies Request);
  return asked;
}

function take<T>(from: Map<number, T>, id: number): T | undefined {
  const found = from.get(id);
  from.delete(id);
  return found;
}
