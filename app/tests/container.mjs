// Counts the photographs in files with the page's own code, for tests/test_pages.py: node container.mjs FILES

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const path = fileURLToPath(new URL("../src/container.ts", import.meta.url));
const { readContainer } = (await runnerImport(path, { configFile: false, logLevel: "error" })).module;

const counts = process.argv.slice(2).map((file) => readContainer(new Uint8Array(readFileSync(file))).pages);
process.stdout.write(JSON.stringify(counts));
