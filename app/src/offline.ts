/** Store the program on the device, so that it works offline: the page's side of the service worker. */

const FIRST_VISIT = 60_000; // milliseconds to wait until everything is stored, before continuing without
// A new version may have to wait until the old one is idle, and in Chromium that can take until the page's next request.
const TAKE_OVER = 3_000; // milliseconds to wait for it, before continuing with the old one

/**
 * Store the program on the device; true if it now works offline.
 *
 * Reloads the page when a new version is waiting. If the new version takes over late and `inUse()` is true, the page is
 * not reloaded, and the new version is used at the next visit.
 */
export async function keepOffline(inUse: () => boolean): Promise<boolean> {
  if (!("serviceWorker" in navigator)) return false;
  return Promise.race([register(inUse).catch(() => false), after(FIRST_VISIT, false)]);
}

function after(milliseconds: number, answer: boolean): Promise<boolean> {
  return new Promise((resolve) => setTimeout(() => resolve(answer), milliseconds));
}

async function register(inUse: () => boolean): Promise<boolean> {
  const { serviceWorker } = navigator;
  const kept = await serviceWorker.getRegistration();
  // Registering again would wait until a newer version is completely downloaded.
  const { installing, waiting, active } = kept?.active ? kept : await serviceWorker.register("./sw.js");
  if (active && !waiting) return true;
  const taken = new Promise<boolean>((resolve) => {
    serviceWorker.addEventListener("controllerchange", () => resolve(true), { once: true });
    if (!active) installing?.addEventListener("statechange", () => installing.state === "redundant" && resolve(false));
  });
  if (!active || !waiting) return taken;
  let late = false;
  void taken.then(() => (late && inUse()) || location.reload());
  waiting.postMessage("take over");
  return (late = await after(TAKE_OVER, true));
}
