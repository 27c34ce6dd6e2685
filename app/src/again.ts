/** Decide again, by another rule, about photographs whose files are gone: their probabilities are kept. */

import { SIDES } from "./answers";
import type { Model } from "./network";
import { type Question, TASKS } from "./probabilities";
import { AGAIN, type Row, type Rule, byThreshold, call, onlyDisease, showGrade, summarise } from "./screener";
import type { Shot, Visit } from "./store";

const ROUNDING = 0.005; // of an expected grade

/** How a photograph was answered before the page was loaded, or before its visit was continued. */
interface Former {
  row: Row;
  rule: Rule;
}

const formerOf = new WeakMap<Shot, Former>();

/** Mark the photographs of a visit as former ones. */
export function markFormer({ eyes, point, unsure = "" }: Visit): void {
  for (const shot of SIDES.flatMap((eye) => eyes[eye])) formerOf.set(shot, { row: shot.row, rule: { point, unsure } });
}

export const isFormer = (shot: Shot): boolean => formerOf.has(shot);

/** Answer for a former photograph by another rule; its evidence is left out if the answer is another. */
export function renew(model: Model, rule: Rule, shot: Shot): Shot {
  const former = formerOf.get(shot);
  if (!former) return shot;
  const isSame = former.rule.point === rule.point && former.rule.unsure === rule.unsure;
  const row = isSame ? gradeAgain(model, former.row) : decideAgain(model, rule, former.row);
  const renewed = row.result === shot.row.result ? { ...shot, row } : { ...shot, row, contours: null, contoursOf: null };
  formerOf.set(renewed, former);
  return renewed;
}

/**
 * Make the row that grading the photograph by `rule` would give.
 *
 * A poor photograph without disease keeps no probability; it stays undecided, also at a more cautious point.
 */
export function decideAgain(model: Model, rule: Rule, row: Row): Row {
  if (!row.questions) return row;
  const questions: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions as Question[]) {
    const probability = row.questions[question]?.probability ?? null;
    questions[question] = probability === null ? { probability: null, threshold: null, disease: null } : call(model, rule, question, probability);
  }
  if (row.gradable === false) {
    const { questions: _, by_threshold: __, ...poor } = row;
    const told = onlyDisease(questions);
    const result = summarise(model, told);
    return result === AGAIN ? { ...poor, result } : { ...poor, result, questions: told, ...byThreshold(model, rule, told) };
  }
  const { by_threshold: _, ...kept } = row;
  const result = summarise(model, questions);
  return gradeAgain(model, { ...kept, result, questions, ...byThreshold(model, rule, questions) });
}

/** Show the network's own grade or none; earlier versions put another in its place, to agree with the answers. */
function gradeAgain(model: Model, { grade: _, ...row }: Row): Row {
  const own = ownGrade(model.decision.grade?.cuts, row.expected_grade);
  return own === null || !row.questions ? row : { ...row, ...showGrade(own, row.questions) };
}

/** Find the network's own grade by the grade that it expects, which was rounded; null if that leaves two grades open. */
function ownGrade(cuts: number[] | undefined, expected: number | undefined): number | null {
  if (!cuts || expected === undefined) return null;
  const [least, most] = [-ROUNDING, ROUNDING].map((change) => cuts.filter((cut) => cut <= expected + change).length);
  return least === most ? least : null;
}
