/** Keeping the program on the device, so that it needs no internet: the page's side of the service worker. */

const FIRST_VISIT = 60_000; // milliseconds to wait for everything to be kept, before going on without
// A new version may have to wait until the old one is idle, and in Chromium that can take until the page's next request.
const TAKE_OVER = 3_000; // milliseconds to wait for it, before going on with the old one

/** Keep the program on the device; true if it then needs no internet. Loads the page anew where a new version waits. */
export async function keepOffline(): Promise<boolean> {
  if (!("serviceWorker" in navigator)) return false;
  return Promise.race([register().catch(() => false), after(FIRST_VISIT, false)]);
}

function after(milliseconds: number, answer: boolean): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(answer), milliseconds));
}

async function register(): Promise<boolean> {
  const registration = await navigator.serviceWorker.register("./sw.js");
  const { installing, waiting, active } = registration;
  if (active && !waiting) return true;
  const taken = new Promise<boolean>((resolve) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(true), { once: true });
    installing?.addEventListener("statechange", () => installing.state === "redundant" && resolve(false));
  });
  if (active && waiting) {
    waiting.postMessage("take over");
    void taken.then(() => location.reload());
    return after(TAKE_OVER, true);
  }
  return taken;
}
