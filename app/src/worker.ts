/** The slow work (decoding, network, heat map), in a worker so that the page stays responsive. */

import { type Model, Network, loadModel } from "./network";
import { PhotoError } from "./photo";
import { type Graded, NOTHING, type Seen, UNREAD, look } from "./screener";

export type Request = { id: number; file: Blob; point: string };
export type Reply =
  | { kind: "ready"; model: Model }
  | { kind: "failed"; message: string }
  | { kind: "seen"; id: number; seen: Seen }
  | { kind: "heat"; id: number; heat: Blob }; // follows the answer

const reply = (message: Reply) => postMessage(message);
const requests: Request[] = [];
const explanations: (() => Promise<void>)[] = [];
let working = false;

interface Started {
  model: Model;
  network: Network;
}

async function start(): Promise<Started> {
  const model = await loadModel();
  const network = await Network.load(model);
  reply({ kind: "ready", model });
  return { model, network };
}

async function grade({ network, model }: Started, { id, file, point }: Request): Promise<void> {
  let graded: Graded;
  try {
    graded = await look(network, model, point, file);
  } catch (error) {
    const known = error instanceof PhotoError;
    if (!known) console.error(error);
    const reason = known ? error.message : "This device could not grade the photograph. Close other pages and try again.";
    graded = { seen: { ...NOTHING, row: { result: UNREAD, reasons: [reason] } }, explain: null };
  }
  const { seen, explain } = graded;
  reply({ kind: "seen", id, seen });
  if (explain) explanations.push(async () => reply({ kind: "heat", id, heat: await explain() }));
}

/** Do the work one at a time, since each needs much memory: answers first, then the evidence. */
async function work(): Promise<void> {
  if (working) return;
  working = true;
  const ready = await started;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve)); // take the requests that have arrived
    const request = requests.shift();
    const explain = request ? undefined : explanations.shift();
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
