/** Decide again, at another operating point, about photographs whose files are gone: their probabilities are kept. */

import { SIDES } from "./answers";
import type { Model } from "./network";
import { type Question, TASKS } from "./probabilities";
import { AGAIN, type Row, call, consistentGrade, onlyDisease, summarise } from "./screener";
import type { Shot, Visit } from "./store";

/** How a photograph was answered before the page was loaded, or before its visit was continued. */
interface Former {
  row: Row;
  point: string;
}

const formerOf = new WeakMap<Shot, Former>();

/** Mark the photographs of a visit as former ones. */
export function markFormer({ eyes, point }: Visit): void {
  for (const shot of SIDES.flatMap((eye) => eyes[eye])) formerOf.set(shot, { row: shot.row, point });
}

export const isFormer = (shot: Shot): boolean => formerOf.has(shot);

/** Answer for a former photograph at an operating point; its evidence is left out if the answer is another. */
export function renew(model: Model, point: string, shot: Shot): Shot {
  const former = formerOf.get(shot);
  if (!former) return shot;
  const row = former.point === point ? former.row : decideAgain(model, point, former.row);
  const renewed = row.result === shot.row.result ? { ...shot, row } : { ...shot, row, contours: null, contoursOf: null };
  formerOf.set(renewed, former);
  return renewed;
}

/**
 * Make the row that grading the photograph at `point` would give.
 *
 * A poor photograph without disease keeps no probability; it stays undecided, also at a more cautious point.
 */
export function decideAgain(model: Model, point: string, row: Row): Row {
  if (!row.questions) return row;
  const questions: NonNullable<Row["questions"]> = {};
  for (const question of TASKS[model.task].questions as Question[]) {
    const probability = row.questions[question]?.probability ?? null;
    questions[question] = probability === null ? { probability: null, threshold: null, disease: null } : call(model, point, question, probability);
  }
  if (row.gradable === false) {
    const { questions: _, ...poor } = row;
    const told = onlyDisease(questions);
    const result = summarise(model, told);
    return result === AGAIN ? { ...poor, result } : { ...row, result, questions: told };
  }
  const cuts = model.decision.grade?.cuts;
  const grade = cuts && row.expected_grade !== undefined ? { grade: consistentGrade(cuts.filter((cut) => cut <= (row.expected_grade ?? 0)).length, questions) } : {};
  return { ...row, result: summarise(model, questions), questions, ...grade };
}
