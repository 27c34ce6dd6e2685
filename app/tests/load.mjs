// Loads modules of the page in Node.js, without a browser and without building it.

import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

/** Find a file of app/src. */
export const place = (name) => fileURLToPath(new URL(`../src/${name}`, import.meta.url));

/** Load a module of app/src, such as "names.ts"; `more` are settings of Vite. */
export const load = async (name, more = {}) => (await runnerImport(place(name), { configFile: false, logLevel: "error", ...more })).module;
