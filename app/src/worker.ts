/** The slow work (decoding, network, evidence), in a worker so that the page stays responsive. */

import { encode } from "./bitmap";
import { type Model, Network, loadModel } from "./network";
import { PhotoError } from "./photo";
import { problem } from "./problems";
import { BALANCED, type Graded, NOTHING, type Rule, type Seen, UNREAD, look } from "./screener";

export type Request = { id: number; file: Blob; rule: Rule };
export type Reply =
  | { kind: "ready"; model: Model }
  | { kind: "failed"; message: string }
  | { kind: "seen"; id: number; seen: Seen }
  | { kind: "contours"; id: number; contours: string[] }; // follows the answer

const reply = (message: Reply) => postMessage(message);
const requests: Request[] = [];
const later: (() => Promise<void>)[] = []; // what waits until no request does
let working = false;

interface Started {
  model: Model;
  network: Network;
}

async function start(): Promise<Started> {
  const model = await loadModel();
  const network = await Network.load(model);
  reply({ kind: "ready", model });
  later.push(() => warmUp({ model, network }));
  setTimeout(() => void work());
  return { model, network };
}

async function grade({ network, model }: Started, { id, file, rule }: Request): Promise<void> {
  let graded: Graded;
  try {
    graded = await look(network, model, rule, file);
  } catch (error) {
    const known = error instanceof PhotoError;
    if (!known) console.error(error);
    const reason = known ? error.message : problem("device");
    graded = { seen: { ...NOTHING, row: { result: UNREAD, reasons: [reason] } }, explain: null };
  }
  const { seen, explain } = graded;
  reply({ kind: "seen", id, seen });
  if (explain) later.push(async () => reply({ kind: "contours", id, contours: await explain() }));
}

/** Grade a drawing, twice: browsers compile a program while it runs, and the first photograph would wait for that. */
async function warmUp({ network, model }: Started): Promise<void> {
  const side = 1024; // is decoded at half its size, like a photograph
  const data = new Uint8ClampedArray(side * side * 3);
  for (let i = 0, at = 0; at < data.length; i++, at += 3) {
    const [x, y] = [(i % side) / side - 0.5, Math.floor(i / side) / side - 0.5];
    const light = Math.hypot(x, y) < 0.48 ? 0.8 + 0.2 * Math.sin(60 * x) * Math.sin(50 * y) : 0;
    data.set([200 * light, 100 * light, 50 * light], at);
  }
  const file = await encode({ width: side, height: side, data }, side, 0.9);
  for (let i = 0; i < 2; i++) await look(network, model, { point: BALANCED, unsure: "" }, file);
}

/** Do the work one at a time, since each needs much memory: answers first, then the evidence. */
async function work(): Promise<void> {
  if (working) return;
  working = true;
  const ready = await started;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve)); // take the requests that have arrived
    const request = requests.shift();
    const explain = request ? undefined : later.shift();
    if (request) await grade(ready, request);
    else if (explain) await explain().catch(console.error);
    else break;
  }
  working = false;
}

const started = start();
started.catch((error: Error) => reply({ kind: "failed", message: error.message }));
addEventListener("message", (event: MessageEvent<Request>) => {
  requests.push(event.data);
  void work().catch(() => undefined); // told above
});
