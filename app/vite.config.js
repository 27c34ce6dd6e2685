import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig, runnerImport } from "vite";

const target = "dist-template"; // the page without a network; export_model.py --format app makes dist/ from it
const runtime = fileURLToPath(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm"));

// For index.html; the service worker also sets it for every file.
const policy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const withPolicy = { name: "with-policy", transformIndexHtml: (html) => html.replace("%POLICY%", policy) };

const words = fileURLToPath(new URL("./src/words.ts", import.meta.url));
const loadLanguages = async () => [...(await runnerImport(words, { configFile: false, logLevel: "error" })).module.known];

/** Say in each language that the page needs JavaScript. */
const withLanguages = {
  name: "with-languages",
  async transformIndexHtml() {
    const lines = (await loadLanguages()).map(([lang, { noScript }]) => ({ tag: "p", attrs: { lang }, children: noScript }));
    return [{ tag: "noscript", children: lines, injectTo: "body-prepend" }];
  },
};

/** Write the manifest, with the description of the page, in each language: manifest.webmanifest is English. */
async function writeManifests() {
  const manifest = JSON.parse(readFileSync("public/manifest.webmanifest", "utf8"));
  for (const [lang, { description }] of await loadLanguages()) {
    const name = lang === "en" ? "manifest.webmanifest" : `manifest.${lang}.webmanifest`;
    writeFileSync(join(target, name), JSON.stringify({ ...manifest, lang, description }));
  }
}

/** Keep the 14 MB of the runtime out of the bundle: the page unpacks them itself, because a simple server does not compress. */
const withoutRuntime = {
  name: "without-runtime",
  generateBundle(_, bundle) {
    for (const name of Object.keys(bundle)) if (name.endsWith(".wasm")) delete bundle[name];
  },
};

/** Write the manifests and the runtime, compressed, and give the service worker its list of files. */
const finish = {
  name: "finish",
  async closeBundle() {
    await writeManifests();
    writeFileSync(join(target, "runtime.wasm.gz"), gzipSync(readFileSync(runtime), { level: 9 }));
    const files = readdirSync(target, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== "sw.js")
      .map((entry) => relative(target, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
      .sort();
    const hash = createHash("sha256");
    for (const file of files) hash.update(file).update(readFileSync(join(target, file)));
    const worker = join(target, "sw.js");
    const text = readFileSync(worker, "utf8");
    hash.update(text);
    const filled = text
      .replace(/["'`]__FILES__["'`]/, JSON.stringify(files))
      .replace("__VERSION__", hash.digest("hex").slice(0, 12));
    if (filled.includes("__FILES__") || filled.includes("__VERSION__")) throw new Error("sw.js lacks its list of files");
    writeFileSync(worker, filled);
  },
};

export default defineConfig({
  base: "./",
  define: { __POLICY__: JSON.stringify(policy) },
  plugins: [withPolicy, withLanguages, withoutRuntime, finish],
  worker: { format: "es", plugins: () => [withoutRuntime] },
  build: {
    outDir: target,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: { entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
});
