// Draws contours as the page does, without a browser, for tests/test_page_evidence.py: node contours.mjs JOBS
// JOBS holds "maps", a list of {"values", "side", "level", "whole"}, and "cells", a list of {"values", "crop": file,
// "size", "start", "step"}. Prints the paths of the maps and, of the cells, the interpolated map and its contours.

import { readFileSync } from "node:fs";
import { load } from "./load.mjs";

const { contourOf } = await load("contours.ts");
const { drawContours, mapOf } = await load("evidence.ts");
const { maps, cells } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const paths = maps.map(({ values, side, level, whole }) => contourOf(values, side, level, whole));
const drawn = cells.map(({ values, crop, size, start, step }) => {
  const given = [Float32Array.from(values), { width: size, height: size, data: new Uint8Array(readFileSync(crop)) }, { start, step }];
  return { map: [...mapOf(...given)], contours: drawContours(...given) };
});
process.stdout.write(JSON.stringify({ paths, drawn }));
