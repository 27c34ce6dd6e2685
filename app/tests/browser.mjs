// Scenarios for a real browser, run by benchmarks/browser.py: node browser.mjs '{"scenario": ..., "dist": ...}'
// Serves dist/ with python -m http.server, runs the scenario in Chromium and prints what it saw as JSON.

import { chromium } from "playwright-core";
import { freePort, options, serve } from "./driver.mjs";
import { troubles } from "./troubles.mjs";
import { views } from "./views.mjs";

const port = await freePort();
const server = await serve(options.dist, port);
const browser = await chromium.launch({
  executablePath: options.browser,
  args: [
    ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
  ],
});
try {
  const found = await { ...views, ...troubles }[options.scenario](browser, `http://127.0.0.1:${port}/`, server, port);
  process.stdout.write(JSON.stringify({ ...found, origin: `http://127.0.0.1:${port}` }));
} finally {
  await browser.close();
  server.kill();
}
