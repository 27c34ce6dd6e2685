/** The network and its settings; the network is run by runner.ts, in a worker of its own. */

import type { Colours } from "./colours";
import { fetchFile } from "./download";
import type { Grid } from "./evidence";
import type { Field } from "./field";
import { PREPROCESSING } from "./photo";
import { type Problem, ProgramError, problem } from "./problems";
import type { Question, Task } from "./probabilities";
import type { Weights } from "./quality";
import type { Picture } from "./resample";
import type { Asked, Told } from "./runner";

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

export async function loadModel(): Promise<Model> {
  const model = (await (await fetchFile("model.json")).json()) as Model;
  if (model.format !== FORMAT || model.preprocessing !== PREPROCESSING) {
    throw new ProgramError(problem("version"));
  }
  return model;
}

export class Network {
  private readonly waiting: ((told: Told) => void)[] = []; // the runner answers in the order of the questions

  private constructor(private readonly runner: Worker) {
    runner.addEventListener("message", ({ data }: MessageEvent<Told>) => this.waiting.shift()?.(data));
    runner.addEventListener("error", ({ message }) => {
      throw new Error(message); // for the page, which says that the program stopped
    });
  }

  /** Load the network and run it once on a black image: the first run is the slowest. */
  static async load(model: Model): Promise<Network> {
    const network = new Network(new Worker(new URL("./runner.ts", import.meta.url), { type: "module" }));
    await network.ask({ model });
    const side = model.size;
    await network.look({ width: side, height: side, data: new Uint8Array(side * side * 3) });
    return network;
  }

  /** Run the network on a crop, in the colours that it was trained on. The evidence takes several times as long. */
  async look(crop: Picture, explain = false): Promise<Answer> {
    return (await this.ask({ crop, explain })) as Answer;
  }

  private async ask(asked: Asked): Promise<Answer | null> {
    const told = await new Promise<Told>((resolve) => {
      this.waiting.push(resolve);
      this.runner.postMessage(asked);
    });
    if ("answer" in told) return told.answer;
    throw told.known ? new ProgramError(told.failed as Problem) : new Error(told.failed);
  }
}
