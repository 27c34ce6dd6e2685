/** The slow work (decoding, network, heat map), in a worker so that the page stays responsive. */

import { type Model, Network, loadModel } from "./network";
import { PhotoError } from "./photo";
import { NOTHING, type Seen, UNREAD, look } from "./screener";

export type Request = { id: number; file: Blob; point: string };
export type Reply =
  | { kind: "ready"; model: Model }
  | { kind: "failed"; message: string }
  | { kind: "seen"; id: number; seen: Seen };

const reply = (message: Reply) => postMessage(message);

async function start(): Promise<{ model: Model; network: Network }> {
  const model = await loadModel();
  const network = await Network.load(model);
  reply({ kind: "ready", model });
  return { model, network };
}

const started = start();
started.catch((error: Error) => reply({ kind: "failed", message: error.message }));
let turn: Promise<void> = Promise.resolve();

async function work({ id, file, point }: Request): Promise<void> {
  const { network, model } = await started;
  let seen: Seen;
  try {
    seen = await look(network, model, point, file);
  } catch (error) {
    const known = error instanceof PhotoError;
    if (!known) console.error(error);
    const reason = known ? error.message : "This device could not grade the photograph. Close other pages and try again.";
    seen = { ...NOTHING, row: { result: UNREAD, reasons: [reason] } };
  }
  reply({ kind: "seen", id, seen });
}

addEventListener("message", (event: MessageEvent<Request>) => {
  turn = turn.then(() => work(event.data)).catch(() => undefined); // one at a time: each needs much memory
});
