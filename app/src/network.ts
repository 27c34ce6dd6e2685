/** The network and its settings, loaded from the page's folder and run by onnxruntime-web. */

import * as ort from "onnxruntime-web/wasm";

import type { Colours } from "./colours";
import type { Grid } from "./evidence";
import type { Field } from "./field";
import { PREPROCESSING } from "./photo";
import { ProgramError, problem } from "./problems";
import type { Question, Task } from "./probabilities";
import type { Weights } from "./quality";
import type { Picture } from "./resample";

type Points = Record<string, number>;

export interface Decision {
  temperature: number;
  shift: number;
  eye: { operating_points: Points };
}

/** Between which probabilities a question's answer is unsure, by error rate, from so many patients with and without disease. */
interface Limits {
  diseased: number;
  healthy: number;
  limits: Record<string, [number, number]>;
}

/** A figure with its interval, 0 to 1. */
interface Figure {
  value: number;
  low: number;
  high: number;
}

/** What the operating points reached on test patients, by question and point; figures of eyes. */
export interface Measured {
  set: string | null;
  questions: Partial<Record<Question, Record<string, { sensitivity?: Figure; specificity?: Figure }>>>;
}

/** model.json: the part of config.json that the page needs. */
export interface Model {
  format: number;
  name: string;
  task: Task;
  classes: string[];
  size: number;
  preprocessing: number;
  colours: Colours;
  field?: Field; // missing in exports of earlier versions, which show the circle
  synthetic: boolean;
  trained_on?: string; // missing in exports of earlier versions, like the next
  operating_point?: string; // unless another is chosen
  decision: Record<Question, Decision> & { grade?: { cuts: number[] } };
  unsure?: Record<Question, Limits> | null; // missing in exports of earlier versions
  measured?: Measured | null; // missing in exports of earlier versions
  evidence: (Grid & { questions: Question[] }) | null;
  quality: Weights;
  model: { file: string; sha256: string };
}

export interface Answer {
  probabilities: Float32Array;
  evidence: Float32Array[] | null; // by question
}

const FORMAT = 2; // of model.json: 2 since the evidence is computed on request

const page = new URL("../", self.location.href); // the worker's file is one folder below the page

/** Load a file of the page; unpack it if it is still gzipped. */
async function load(name: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(name, page));
  if (!response.ok || !response.body) throw new ProgramError(problem("incomplete"));
  const bytes = await response.arrayBuffer();
  const start = new Uint8Array(bytes, 0, 2);
  if (start[0] !== 0x1f || start[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

export async function loadModel(): Promise<Model> {
  const response = await fetch(new URL("model.json", page));
  if (!response.ok) throw new ProgramError(problem("incomplete"));
  const model = (await response.json()) as Model;
  if (model.format !== FORMAT || model.preprocessing !== PREPROCESSING) {
    throw new ProgramError(problem("version"));
  }
  return model;
}

export class Network {
  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly model: Model,
  ) {}

  /** Load the network and run it once on a black image: the first run is the slowest. */
  static async load(model: Model): Promise<Network> {
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
    const session = await ort.InferenceSession.create(new Uint8Array(weights), { executionProviders: ["wasm"] });
    const network = new Network(session, model);
    const side = model.size;
    await network.look({ width: side, height: side, data: new Uint8Array(side * side * 3) });
    return network;
  }

  /** Run the network on a crop, in the colours that it was trained on. The evidence takes several times as long. */
  async look(crop: Picture, explain = false): Promise<Answer> {
    const { size, classes, evidence } = this.model;
    const photograph = new ort.Tensor("uint8", new Uint8Array(crop.data), [1, size, size, 3]);
    const found = await this.session.run({ photograph, explain: new ort.Tensor("bool", [explain], [1]) });
    const probabilities = found.probability.data as Float32Array;
    if (probabilities.length !== classes.length || !probabilities.every(Number.isFinite)) {
      throw new ProgramError(problem("values"));
    }
    if (!explain || !evidence || !found.evidence) return { probabilities, evidence: null };
    const all = found.evidence.data as Float32Array;
    const cells = all.length / evidence.questions.length;
    return { probabilities, evidence: evidence.questions.map((_, i) => all.slice(i * cells, (i + 1) * cells)) };
  }
}

async function sha256(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
