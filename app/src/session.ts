/** The patient who is photographed now: the photographs, their results, and what is kept of them. */

import { isFormer, markFormer, renew } from "./again";
import { SIDES, rowsOf } from "./answers";
import { say } from "./dom";
import { answerAll, answersWithout, openDoubts } from "./doubts";
import { fingerprintOfText } from "./fingerprint";
import { type Asked, grade } from "./grader";
import type { Model } from "./network";
import { forget } from "./pictures";
import { released } from "./pressing";
import { endProgress, keepProgress } from "./progress";
import { announce } from "./result";
import { BALANCED, type Eye, type Rule, join, ownPoint, pointsOf, ratesOf } from "./screener";
import { seenBy } from "./seen";
import { type Shot, type Visit, addContours, keep, recall, remember, remove } from "./store";
import type { Text } from "./text";
import { words } from "./words";

/** A photograph that is being graded, or waits for the network. */
interface Pending {
  file: File;
  asked: Asked | null; // null while there is no network
}

const fileOf = new WeakMap<Shot, File>();
const chosenAt = new WeakMap<File, number>();
const busy: Partial<Record<Eye, Pending[]>> = {}; // by eye

/** What the page shows. */
export const session = {
  model: null as Model | null,
  failure: null as Text | null, // why there is no network
  point: recall("point") ?? "", // until the model is loaded, which may have it or its own
  unsure: recall("unsure") ?? "", // likewise: the error rate with which the answer may be unsure
  visit: newVisit(),
  latest: null as Eye | null, // the eye that was photographed last
  kept: false, // whether the visit is in the history
  named: "", // the name that is stored with the patient in progress
  resumed: false, // whether the visit was begun before the page was loaded, or continued from the history
  isBusy: (eye: Eye): boolean => eye in busy,
  changed: (_arrived: boolean): void => undefined, // redraws the page; `arrived` if there is a new result
};

function newVisit(): Visit {
  // crypto.randomUUID does not exist when the page is served without https.
  const id = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const synthetic = false;
  return { id, when: Date.now(), label: "", born: "", point: BALANCED, model: "", synthetic, eyes: { right: [], left: [] }, joined: null };
}

const chosenRule = (): Rule => ({ point: session.point, unsure: session.unsure });

/** Tell whether the page holds something of a patient. */
export function inUse(): boolean {
  const { eyes, label, born } = session.visit;
  return label !== "" || born !== "" || SIDES.some((eye) => eyes[eye].length || session.isBusy(eye));
}

/** Tell whether a visit has a photograph that was read: then it belongs into the history. */
const hasPicture = ({ eyes }: Visit): boolean => SIDES.some((eye) => eyes[eye].some(({ picture }) => picture));

/** Add photographs to an eye, also while others are being graded. After a sample, the next patient starts. */
export function choose(eye: Eye, files: File[]): void {
  if (session.failure) return say(session.failure, "wrong");
  if (session.visit.sample) startNext();
  const now = Date.now();
  files.forEach((file) => chosenAt.set(file, now));
  if (!SIDES.some((side) => session.visit.eyes[side].length || session.isBusy(side))) session.visit.when = now;
  void look(eye, files);
}

/** Grade photographs of an eye, and add those that are not known, together with those that are being graded already. */
async function look(eye: Eye, files: File[]): Promise<void> {
  const batch = [...(busy[eye] ?? []), ...files.map((file): Pending => ({ file, asked: null }))];
  busy[eye] = batch;
  session.visit.joined = null;
  session.changed(false);
  void keepInProgress().catch(() => undefined); // said when there is a result
  if (!session.model) return; // `started` continues
  const asked = batch.map((one) => (one.asked ??= grade(one.file, chosenRule())));
  const all = await Promise.all(asked.map(({ seen }) => seen));
  await released();
  if (busy[eye] !== batch) return; // others joined them meanwhile, or the next patient started
  delete busy[eye];
  session.latest = eye;
  let known: Text | null = null;
  all.forEach(({ row, fingerprint, picture, contours, contoursOf, disc }, i) => {
    const { file } = batch[i];
    const isKnown = fingerprint && session.visit.eyes[eye].some((shot) => shot.fingerprint === fingerprint);
    if (isKnown) known = words.status.known(file.name);
    if (isKnown) return;
    const shot: Shot = { name: file.name, when: chosenAt.get(file), fingerprint, row, picture, contours, contoursOf, disc };
    fileOf.set(shot, file);
    session.visit.eyes[eye].push(shot);
    if (contoursOf) void explain(shot, eye, asked[i], session.visit.id);
  });
  await update(known, known !== null);
}

/** Show the evidence of a photograph, or add it to the history if the next patient has started. */
async function explain(shot: Shot, eye: Eye, { contours }: Asked, id: string): Promise<void> {
  const drawn = await contours;
  await released();
  if (session.visit.id !== id) return addContours(id, eye, shot.fingerprint, drawn).catch(() => undefined); // not stored at all
  if (!session.visit.eyes[eye].includes(shot)) return; // removed, or graded again
  shot.contours = drawn;
  session.changed(false);
  await save();
}

/** Remove the photographs of an eye from the page, and return their files. */
function clear(eye: Eye): File[] {
  const shots = session.visit.eyes[eye];
  const files = [...shots.flatMap((shot) => fileOf.get(shot) ?? []), ...(busy[eye] ?? []).map(({ file }) => file)];
  shots.forEach(forget);
  session.visit.eyes[eye] = [];
  delete busy[eye];
  session.visit.joined = null;
  return files;
}

/** Remove a photograph. */
export function removeShot(eye: Eye, shot: Shot): void {
  const { visit } = session;
  forget(shot);
  visit.eyes[eye] = visit.eyes[eye].filter((one) => one !== shot);
  visit.confirmed = answersWithout(visit, shot);
  void update(words.status.removed(eye));
}

/** Take the answer that the files are correct. */
export function confirmFiles(): void {
  session.visit.confirmed = answerAll(session.visit);
  void update(words.status.confirmed);
}

/** Join the eyes, redraw, and save the visit; `said` is announced before the result, and shown as a problem if it is one. */
async function update(said: Text | null, isProblem = false): Promise<void> {
  const { model, point, unsure, visit } = session;
  if (!model) return;
  const isWhole = SIDES.some((eye) => visit.eyes[eye].length) && !SIDES.some(session.isBusy) && !openDoubts(visit).length;
  visit.joined = isWhole ? join(model, { point, unsure }, { left: rowsOf(visit.eyes.left), right: rowsOf(visit.eyes.right) }) : null;
  Object.assign(visit, { point, unsure, model: model.name, seen: seenBy(model), network: identify(model), synthetic: model.synthetic });
  const result = visit.joined || openDoubts(visit).length ? announce(visit, said ? null : session.latest) : null;
  say(words.status.sentences(...[said, result].filter((part) => part !== null)), isProblem ? "wrong" : "said");
  session.changed(said === null);
  await save();
}

/** Save the visit in the history, or remove it when it has no photograph left; and as the patient in progress. */
export async function save(): Promise<void> {
  const { visit, kept } = session;
  if (visit.sample) return;
  const isWorthIt = hasPicture(visit);
  session.kept = isWorthIt;
  const inProgress = keepInProgress();
  inProgress.catch(() => undefined); // awaited below, perhaps too late for the browser
  try {
    if (isWorthIt || kept) await (isWorthIt ? keep(visit) : remove(visit.id));
    await inProgress;
    if (isWorthIt && !kept) await navigator.storage?.persist?.();
  } catch {
    if (isWorthIt || kept) say(words.status.notKept, "wrong");
  }
}

/** Keep the patient in progress; samples are not kept. */
export async function keepInProgress(): Promise<void> {
  const { visit, latest } = session;
  if (visit.sample) return;
  session.named = visit.label;
  await keepProgress({ visit, latest, busy: SIDES.filter(session.isBusy) });
}

/** Start the next patient. */
export function startNext(): void {
  endProgress(session.visit.id);
  SIDES.forEach(clear);
  session.visit = { ...newVisit(), synthetic: session.model?.synthetic ?? false };
  session.latest = null;
  session.kept = false;
  session.named = "";
  session.resumed = false;
  say(null);
  session.changed(false);
}

/** Go on with a patient of the history, or of the page before it was loaded again. */
export function resume(visit: Visit, latest: Eye | null): void {
  startNext();
  markFormer(visit);
  Object.assign(session, { visit, latest, kept: hasPicture(visit), named: visit.label, resumed: true });
  if (session.model) lookAgain();
  else session.changed(false);
}

/** Tell whether a network graded the photographs of a visit, if there are any; otherwise they cannot be joined. */
export function isBy(model: Model, visit: Visit): boolean {
  if (!SIDES.some((eye) => visit.eyes[eye].length)) return true;
  return visit.network ? visit.network === identify(model) : visit.model === `${model.name}, trained on ${seenBy(model)}`; // in earlier versions
}

/** Start a visit with drawn eyes. */
export function startSample(label: Text, eyes: Record<Eye, File>): void {
  startNext();
  Object.assign(session.visit, { sample: true, label });
  for (const eye of SIDES) void look(eye, [eyes[eye]]);
}

/** Grade all photographs again, and decide again about those whose files are gone. */
function lookAgain(): void {
  const { model, visit } = session;
  for (const eye of SIDES) {
    const former = visit.eyes[eye].filter(isFormer);
    const files = clear(eye);
    visit.eyes[eye] = model ? former.map((shot) => renew(model, chosenRule(), shot)) : former;
    if (files.length) void look(eye, files);
  }
  if (session.resumed && !SIDES.some(session.isBusy)) void update(null);
}

/** Choose an operating point, and grade the photographs again. */
export function choosePoint(point: string): void {
  session.point = point;
  remember("point", point);
  lookAgain();
}

/** Choose the error rate with which the answer may be unsure, or none, and grade the photographs again. */
export function chooseUnsure(rate: string): void {
  session.unsure = rate;
  remember("unsure", rate);
  lookAgain();
}

/** Take the network, and grade the photographs that were chosen meanwhile. False if the patient in progress is another network's. */
export function useNetwork(model: Model): boolean {
  session.model = model;
  if (!pointsOf(model).includes(session.point)) session.point = ownPoint(model);
  if (!ratesOf(model).includes(session.unsure)) session.unsure = "";
  const isOurs = !session.resumed || isBy(model, session.visit);
  if (!isOurs) startNext();
  session.visit.synthetic = model.synthetic;
  lookAgain();
  return isOurs;
}

/** Go on without a network. */
export function giveUp(message: Text): void {
  session.failure = message;
  SIDES.forEach(clear);
  session.changed(false);
}

/** Identify a network with its decisions. */
const identify = ({ name, task, model, preprocessing, decision }: Model): string =>
  fingerprintOfText(JSON.stringify([name, task, model.sha256, preprocessing, decision]));
