/** How many threads the network may use. Each loads the worker's file under the name `THREAD`. */

export const ONE_THREAD = "one thread"; // name of a worker whose network uses one thread
export const THREAD = "em-pthread"; // name that onnxruntime-web gives to its threads
const MOST = 4;

/** More than one thread needs the headers that the service worker adds, so from the second visit on. */
export function threadsOf(name: string): number {
  return name !== ONE_THREAD && self.crossOriginIsolated ? Math.min(MOST, navigator.hardwareConcurrency || 1) : 1;
}
