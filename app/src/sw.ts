/**
 * The service worker: keeps the whole program on the device, so that it needs no internet after its first visit.
 *
 * Everything is answered from what was kept. When there is internet, a new version is fetched whole in the background
 * and used from the next visit on: a program that is half old and half new could grade wrongly.
 */

const worker = self as unknown as ServiceWorkerGlobalScope;
const FILES = "__FILES__" as unknown as string[]; // the build fills in both
const CACHE = "eyenet-__VERSION__";
// The page has this policy too; here it reaches the worker that looks at photographs, and frames.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface ModelFile {
  model: { file: string; sha256: string };
}

const urlOf = (file: string) => new URL(file, worker.registration.scope).href;
const urlOfModel = ({ model }: ModelFile) => urlOf(`${model.file}?${model.sha256.slice(0, 12)}`);

async function fetchWhole(url: string): Promise<Response> {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

/** Fetch model.json and, if the network is another one, the network; model.json is kept last. */
async function keepModel(cache: Cache): Promise<boolean> {
  const response = await fetchWhole(urlOf("model.json"));
  const url = urlOfModel((await response.clone().json()) as ModelFile);
  const other = !(await cache.match(url));
  if (other) await cache.put(url, await fetchWhole(url));
  await cache.put(urlOf("model.json"), response);
  for (const request of await cache.keys()) {
    const stale = new URL(request.url).search && request.url !== url;
    if (stale) await cache.delete(request);
  }
  return other;
}

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await Promise.all([
    ...FILES.map(async (file) => cache.put(urlOf(file), await fetchWhole(urlOf(file)))),
    keepModel(cache),
  ]);
  await worker.skipWaiting();
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
  headers.delete("Content-Encoding"); // what is kept is unpacked
  headers.delete("Content-Length");
  return new Response(kept.body, { status: kept.status, headers });
}

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(worker.registration.scope)) return;
  event.respondWith(answer(request));
  if (request.url === urlOf("model.json")) {
    event.waitUntil(caches.open(CACHE).then(keepModel).catch(() => undefined)); // no internet is no error
  }
});
