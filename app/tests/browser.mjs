// Drives a browser for benchmarks/browser.py: node browser.mjs BROWSER PYTHON [FLAG ...]
// Reads scenarios from standard input, one a line: {"scenario": ..., "dist": ...}. Serves dist/ with python -m http.server,
// runs the scenario in Chromium, and prints a line: {"found": what it saw} or {"failed": why it did not end}.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { freePort, kept, options, serve, use } from "./driver.mjs";
import { languages } from "./languages.mjs";
import { records } from "./records.mjs";
import { troubles } from "./troubles.mjs";
import { views } from "./views.mjs";
import { visits } from "./visits.mjs";

const [executablePath, python, ...flags] = process.argv.slice(2);
const servers = new Map(); // by folder
const browser = await chromium.launch({
  executablePath,
  args: [
    ...flags,
    ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
  ],
});

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
  const found = await { ...views, ...languages, ...troubles, ...visits, ...records }[options.scenario](browser, `${origin}/`, server, port);
  return { origin, ...found };
}

for await (const line of createInterface({ input: process.stdin })) {
  use({ python, ...JSON.parse(line) });
  const said = await run().then((found) => ({ found }), (error) => ({ failed: String(error.stack ?? error) }));
  for (const context of browser.contexts()) if (!kept.has(context)) await context.close();
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
for (const { server } of servers.values()) server.kill();
await browser.close();
