/** The quality gate: can this photograph be graded, and if not, why not? A port of eyenet/photo/quality.py. */

import type { Measures } from "./measures";
import { clip, round } from "./stats";

/** One of the two fits in eyenet/photo/quality.json. */
interface Fit {
  intercept: number;
  threshold: number;
  measures: Record<string, { weight: number; typical: number }>;
}

export type Weights = Record<"natural" | "equalized", Fit>;

export interface Quality {
  gradable: boolean;
  retina: boolean; // a colour photograph of a retina: of any other picture no network must be asked
  score: number; // probability that a grader rejects it
  reasons: string[];
  measures: Measures;
}

export const SMALLEST = 160; // smallest crop that can be assessed, in pixels
export const OTHER = "not a fundus photograph";
const GREY = "not a colour photograph";
const COLOUR = 0.01; // the least `colour` of a photograph
const ALONE = 1; // log ratio of two channels, beyond which there is light in one of them only
const REASONS: Record<string, string> = {
  light: "too dark",
  glare: "overexposed",
  clipped: "under- or overexposed",
  visible: "retina cut off",
  contrast: "low contrast",
  vessels: "out of focus",
  coarse: "out of focus",
  lines: "out of focus",
  dark_lines: "out of focus",
};
const TOO_DARK = "too dark";
const MOST: Record<string, number> = { visible: 0.8, glare: 0.1 }; // a measure counts up to here
const FLATTENED = 0.08; // `clipped` of a natural photograph from which detail is lost
const LOST = "detail lost";
const LEAST_LOG_ODDS = 0.5; // log odds from which a reason is given

/** Assess the measures of a crop. */
export function judge(measures: Measures, weights: Weights): Quality {
  const poor = (reason: string) => ({ gradable: false, retina: false, score: 1, reasons: [reason], measures });
  if (!("contrast" in measures)) return poor(TOO_DARK);
  if (isOneChannel(measures) || (measures.colour < COLOUR && !isRough(measures))) return poor(GREY);
  if (isOther(measures)) return poor(OTHER);
  const fit = weights[measures.equalized ? "equalized" : "natural"];
  const against = Object.entries(fit.measures).map(
    ([name, { weight, typical }]) => [name, weight * (Math.min(measures[name], MOST[name] ?? Infinity) - typical)] as const,
  );
  const odds = against.reduce((total, [, value]) => total + value, fit.intercept);
  const score = 1 / (1 + Math.exp(-clip(odds, -30, 30)));
  const total = join(against);
  const lost = measures.clipped >= FLATTENED && !measures.equalized;
  if (lost) total.set(LOST, Math.log(fit.threshold / (1 - fit.threshold)) - fit.intercept); // rejects a typical one
  const gradable = score < fit.threshold && !lost;
  const shown = round(lost ? Math.max(score, fit.threshold) : score, 4);
  return { gradable, retina: true, score: shown, reasons: gradable ? [] : listReasons(total), measures };
}

/** Tell whether the picture is not a colour photograph of a retina, by limits that no retina of EyePACS reaches. */
function isOther(found: Measures): boolean {
  if (found.equalized || isRough(found)) return isRough(found);
  const { dark_lines: lines, red_green: redGreen, green_blue: greenBlue, glare } = found;
  const grey = Math.max(Math.abs(redGreen), Math.abs(greenBlue)) < 0.003 && lines < 0.03;
  const foreign = redGreen < -0.1 || greenBlue < -0.35;
  return foreign || (grey && glare < 0.5);
}

/** Tell whether a picture has more fine structure than vessels cause: print, grass, fur. */
function isRough({ vessels, equalized, contrast, dark_lines: lines }: Measures): boolean {
  return vessels > -0.1 || (!equalized && contrast > (lines < 0 ? -0.75 : -0.3));
}

/** Tell whether a photograph has light in one channel only: red-free, infrared, or one channel of a colour one. */
function isOneChannel({ light, red_green: redGreen, green_blue: greenBlue }: Measures): boolean {
  return (redGreen > ALONE && light - redGreen < Math.log(8)) || redGreen < -ALONE || greenBlue < -ALONE;
}

/** Add the log odds of the measures with the same reason, none negative. */
function join(against: (readonly [string, number])[]): Map<string, number> {
  const total = new Map<string, number>();
  for (const [name, odds] of against) {
    total.set(REASONS[name], (total.get(REASONS[name]) ?? 0) + Math.max(0, odds));
  }
  return total;
}

/** List the reasons of at least `LEAST_LOG_ODDS`, the strongest first; the strongest alone if none has so many. */
function listReasons(total: Map<string, number>): string[] {
  const named = [...total].sort(([, a], [, b]) => b - a).map(([reason]) => reason);
  const told = named.filter((reason) => (total.get(reason) ?? 0) >= LEAST_LOG_ODDS);
  return told.length ? told : named.slice(0, 1);
}
