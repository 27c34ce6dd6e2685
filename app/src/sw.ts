/**
 * The service worker: stores the whole program on the device, so that it works offline after the first visit.
 *
 * All requests are served from the cache. When online, a new version is downloaded completely in the background and takes
 * over when the page is next opened: a mixture of old and new files could grade wrongly.
 */

const worker = self as unknown as ServiceWorkerGlobalScope;
const FILES = "__FILES__" as unknown as string[]; // both are filled in by the build
const CACHE = "eyenet-__VERSION__";
declare const __POLICY__: string; // the page's policy, which does not apply to the worker that grades photographs
const POLICY = `${__POLICY__}; frame-ancestors 'none'`;

interface ModelFile {
  format: number;
  preprocessing: number;
  model: { file: string; sha256: string };
}

const urlOf = (file: string) => new URL(file, worker.registration.scope).href;
const urlOfModel = ({ model }: ModelFile) => urlOf(`${model.file}?${model.sha256.slice(0, 12)}`);

async function fetchWhole(url: string): Promise<Response> {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

/**
 * Download model.json and, if the network changed, the network; model.json is stored last.
 *
 * A network for another version of the program is ignored. The previous network is kept until the next visit, because
 * the page may be loading it.
 */
async function keepModel(cache: Cache): Promise<void> {
  const response = await fetchWhole(urlOf("model.json"));
  const model = (await response.clone().json()) as ModelFile;
  const kept = (await (await cache.match(urlOf("model.json")))?.json()) as ModelFile | undefined;
  if (kept && (kept.format !== model.format || kept.preprocessing !== model.preprocessing)) return;
  const url = urlOfModel(model);
  if (!(await cache.match(url))) await cache.put(url, await fetchWhole(url));
  await cache.put(urlOf("model.json"), response);
  const inUse = [url, kept && urlOfModel(kept)];
  for (const request of await cache.keys()) {
    if (new URL(request.url).search && !inUse.includes(request.url)) await cache.delete(request);
  }
}

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await Promise.all([...FILES.map(async (file) => cache.put(urlOf(file), await fetchWhole(urlOf(file)))), keepModel(cache)]);
}

async function activate(): Promise<void> {
  const ours = await caches.keys();
  await Promise.all(ours.filter((name) => name.startsWith("eyenet-") && name !== CACHE).map((name) => caches.delete(name)));
  await worker.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const url = request.mode === "navigate" ? urlOf("index.html") : request.url;
  const kept = await cache.match(url);
  if (!kept) return fetch(request);
  const headers = new Headers(kept.headers);
  headers.set("Content-Security-Policy", POLICY);
  headers.delete("Content-Encoding"); // the cached body is already unpacked
  headers.delete("Content-Length");
  return new Response(kept.body, { status: kept.status, headers });
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("message", () => void worker.skipWaiting()); // from offline.ts: take over now
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(worker.registration.scope)) return;
  event.respondWith(answer(request));
  if (request.url === urlOf("model.json")) {
    event.waitUntil(caches.open(CACHE).then(keepModel).catch(() => undefined)); // being offline is not an error
  }
});
