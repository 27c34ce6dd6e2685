/** Runs the network by onnxruntime-web, in a worker of its own, so that the quality is measured at the same time. */

import * as ort from "onnxruntime-web/wasm";

import { load } from "./download";
import type { Answer, Model } from "./network";
import { ProgramError, problem } from "./problems";
import type { Picture } from "./resample";

export type Asked = { model: Model } | { crop: Picture; explain: boolean }; // the model first
export type Told = { answer: Answer | null } | { failed: string; known: boolean }; // null for the model

let session: ort.InferenceSession;
let model: Model;
let last: Promise<void> = Promise.resolve(); // one at a time

async function start(): Promise<null> {
  const [runtime, weights] = await Promise.all([
    load("runtime.wasm.gz"),
    load(`${model.model.file}?${model.model.sha256.slice(0, 12)}`),
  ]);
  if (crypto.subtle && (await sha256(weights)) !== model.model.sha256) {
    throw new ProgramError(problem("network"));
  }
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.numThreads = 1; // more threads need headers that a simple server does not send
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(new Uint8Array(weights), { executionProviders: ["wasm"] });
  return null;
}

async function run(crop: Picture, explain: boolean): Promise<Answer> {
  const { size, classes, evidence } = model;
  const photograph = new ort.Tensor("uint8", new Uint8Array(crop.data), [1, size, size, 3]);
  const found = await session.run({ photograph, explain: new ort.Tensor("bool", [explain], [1]) });
  const probabilities = found.probability.data as Float32Array;
  if (probabilities.length !== classes.length || !probabilities.every(Number.isFinite)) {
    throw new ProgramError(problem("values"));
  }
  if (!explain || !evidence || !found.evidence) return { probabilities, evidence: null };
  const all = found.evidence.data as Float32Array;
  const cells = all.length / evidence.questions.length;
  return { probabilities, evidence: evidence.questions.map((_, i) => all.slice(i * cells, (i + 1) * cells)) };
}

async function sha256(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function answer(asked: Asked): Promise<void> {
  const reply = (told: Told) => postMessage(told);
  try {
    if ("model" in asked) model = asked.model;
    reply({ answer: "model" in asked ? await start() : await run(asked.crop, asked.explain) });
  } catch (error) {
    console.error(error);
    reply({ failed: (error as Error).message, known: error instanceof ProgramError });
  }
}

addEventListener("message", ({ data }: MessageEvent<Asked>) => {
  last = last.then(() => answer(data));
});
