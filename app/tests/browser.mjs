// Drives a browser for benchmarks/browser.py: node browser.mjs BROWSER PYTHON [FLAG ...]
// Reads scenarios from standard input, one a line: {"scenario": ..., "dist": ...}. Serves dist/ with python -m http.server,
// runs the scenario in Chromium or Firefox, and prints a line: {"found": what it saw} or {"failed": why it did not end}.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { chromium, firefox } from "playwright-core";
import { freePort, kept, options, serve, use } from "./driver.mjs";
import { languages } from "./languages.mjs";
import { pictures } from "./pictures.mjs";
import { records } from "./records.mjs";
import { sizes } from "./sizes.mjs";
import { troubles } from "./troubles.mjs";
import { views } from "./views.mjs";
import { visits } from "./visits.mjs";
import { waiting } from "./waiting.mjs";

const [executablePath, python, ...flags] = process.argv.slice(2);
const servers = new Map(); // by folder
const downloads = mkdtempSync(join(tmpdir(), "downloads-"));
const browser = await (/firefox/.test(basename(executablePath)) ? launchFirefox() : launchChromium());

function launchChromium() {
  const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  return chromium.launch({ executablePath, args: [...flags, ...quiet, "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"] });
}

/** Start Firefox as its makers build it, which this channel drives by WebDriver BiDi. */
function launchFirefox() {
  const coarse = 1; // the pointer is a finger, as on a phone; contexts cannot say so
  const firefoxUserPrefs = { "ui.primaryPointerCapabilities": coarse, ...Object.fromEntries(flags.map((flag) => JSON.parse(flag))) };
  return firefox.launch({ channel: "moz-firefox", executablePath, downloadsPath: downloads, firefoxUserPrefs });
}

/** Find the server of a folder, or start one at a port of its own, and thus an origin without anything stored. */
async function serverOf(folder) {
  const running = servers.get(folder);
  if (running && running.server.exitCode === null && !running.server.killed) return running;
  const port = await freePort();
  servers.set(folder, { server: await serve(folder, port), port });
  return servers.get(folder);
}

async function run() {
  const { server, port } = await serverOf(options.dist);
  const origin = `http://127.0.0.1:${port}`;
  const found = await { ...views, ...sizes, ...languages, ...troubles, ...visits, ...records, ...waiting, ...pictures }[options.scenario](browser, `${origin}/`, server, port);
  return { origin, ...found };
}

for await (const line of createInterface({ input: process.stdin })) {
  use({ python, downloads, ...JSON.parse(line) });
  const said = await run().then((found) => ({ found }), (error) => ({ failed: String(error.stack ?? error) }));
  for (const context of browser.contexts()) if (!kept.has(context)) await context.close();
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
for (const { server } of servers.values()) server.kill();
await browser.close();
rmSync(downloads, { recursive: true });
