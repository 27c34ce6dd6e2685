/** English: every word of the page. A file of the same type in this folder adds a language; the words of the letter are in eyenet/letter/. */

import letter from "../../../eyenet/letter/en.json";
import { fill } from "../fill";

type Eye = "right" | "left";
type Question = "any" | "referable";

const NOT_COVERED =
  "It looks for diabetic retinopathy only: macular oedema, which clinics usually count as referable too, is not covered, nor is any other disease of the eye.";
const NO_ALL_CLEAR = "This is not an all-clear. EyeNet misses some retinopathy and checks for no other disease, nor for macular oedema.";
const LOOK = "A specialist should look at the photographs.";
const AGAIN_FROM_CAMERA = "Copy it from the camera again.";
const READABLE = "Choose a JPEG or PNG photograph instead.";
const EXPORT_AGAIN = "Ask the person who set up this page to export it again with export_model.py.";
const EYES: Record<Eye, string> = letter.eyes;
const QUESTIONS: Record<Question, string> = letter.questions;
const AFTER: Record<number, string> = { 1: "1 day", 7: "7 days", 30: "30 days", 365: "1 year" };
const after = (days: number): string => AFTER[days] ?? `${days} days`;
const results = (number: number): string => (number === 1 ? "1 result" : `${number} results`);
const shown = (number: number, isAll: boolean): string => {
  if (number === 1) return isAll ? "the result" : "the result shown";
  return isAll ? `all ${results(number)}` : `the ${results(number)} shown`;
};
const other = (eye: Eye): Eye => (eye === "right" ? "left" : "right");
const share = (value: number): string => String(Math.round(100 * value));

const en = {
  language: "English",
  locale: "en-GB",
  /** Of an installed page, and of one in a browser without JavaScript. */
  description: "Looks for signs of diabetic retinopathy in photographs of the retina, on this device. Not a medical device.",
  noScript: "EyeNet needs JavaScript, which is turned off in this browser.",

  header: {
    skip: "Skip to the content",
    pages: "Pages",
    views: { new: "Patient", history: "History", settings: "Settings", about: "About" },
    notice: "Not a medical device. Research software: a trained person decides.",
  },
  notCovered: NOT_COVERED,
  letter,
  syntheticModel: letter.demonstrations.network,
  unreviewed: letter.unreviewed,

  status: {
    loading: "Loading. The first visit downloads up to 15 MB.",
    ready: "Ready. No internet is needed.",
    online: "Ready, but only while connected to the internet.",
    tooOld: "This browser is too old. EyeNet needs Safari 16.4, Chrome 105, Firefox 121 or later.",
    stopped: "The program could not start. Reload the page.",
    notKept: "This result was not saved in the history: the device's storage is full, or not available to this page.",
    notDeleted: "It could not be deleted: the browser's storage is not available to this page.",
    removed: (eye: Eye) => `${EYES[eye]}: photograph removed.`,
    confirmed: "Files confirmed.",
    known: (name: string) => `${name} has already been added to this eye.`,
    check: "Please check the files: there is no result for the patient yet.",
    looking: "Checking the photograph…",
    lookingAll: "Checking the photographs…",
    sentences: (...parts: string[]) => parts.map((part) => (/[.!?]$/.test(part) ? part : `${part}.`)).join(" "),
  },

  eyes: EYES,
  both: "Both eyes",
  only: (eye: Eye) => `${EYES[eye]} only`,
  questions: QUESTIONS,

  patient: {
    title: "Patient",
    label: "Name or number",
    optional: "Optional",
    born: "Birth date (optional)",
    bornOn: (date: string) => `Born ${date}`,
    noName: "No name",
    next: "Next patient",
    print: "Print letter",
    several: "Choose several photographs at once",
    addSeveral: "Add several photographs at once",
    step: (number: number) => `Step ${number} of 2`,
    attempt: (made: number, most: number) => `Attempt ${made} of ${most} was poor. The next one is the last: if it is poor too, refer the patient, do not send home.`,
    attemptUnsure: (made: number, most: number) => `Attempt ${made} of ${most} was poor. The next one is the last: if it is poor too, the answer is “${letter.answers.ungradable}”.`,
    photograph: (eye: Eye) => `Photograph the ${eye} eye`,
    stay: "The photographs stay on this device.",
    nextIs: (eye: Eye) => `Now photograph the ${eye} eye`,
    againIs: (eye: Eye) => `Photograph the ${eye} eye again`,
  },

  choose: {
    photograph: "Choose photograph",
    take: "Take photograph",
    another: "Add photograph",
    remove: "Remove",
    ofEye: (eye: Eye) => ` of the ${eye} eye`,
    called: (name: string) => ` ${name}`,
    which: "Which eye?",
    whichLong: "The file names do not say which eye is shown. Choose the eye for each photograph.",
    leaveOut: "Leave out",
    use: "Use these",
    cancel: "Cancel",
  },

  samples: {
    title: "Try with sample eyes",
    notice: "Drawings, not a patient's eyes: the answer says nothing about anyone and is not saved.",
    names: { negative: "No referral", referable: "Referable", poor: "Poor photograph" },
    label: (name: string) => `Drawing: ${name.toLowerCase()}`,
    missing: "The sample eyes could not be loaded. Open this page again while connected to the internet.",
  },

  guide: {
    short: "How to photograph",
    tips: [
      "Dim the room and wait until the pupil is wide.",
      "Centre the camera on the pupil, and check the working distance.",
      "Focus on the vessels, and keep the whole round field in the frame.",
    ],
    drawings: "Drawings, not photographs.",
    pictures: {
      good: ["Good", "Drawing of a good photograph: the whole round retina, sharp and evenly lit"],
      dark: ["Too dark", "Drawing of a photograph that is too dark"],
      bright: ["Too bright", "Drawing of a photograph that is too bright"],
      blurred: ["Not sharp", "Drawing of a photograph that is out of focus"],
      cut: ["Cut off", "Drawing of a photograph in which part of the retina is cut off"],
    },
  },

  checklist: {
    title: (eye: Eye, number: number) => `${EYES[eye]}, photograph ${number}`,
    retina: { yes: "Retina found", no: "No retina found", unknown: "Retina: not checked" },
    whole: { yes: "Whole field", no: "Field cut off", unknown: "Whole field: not checked" },
    frame: "Whole frame taken: the rim of the retina is not in the picture",
    sharp: { yes: "Sharp", no: "Not sharp", unknown: "Sharpness: not checked" },
    light: { yes: "Good light", no: "Poor light", unknown: "Light: not checked" },
    todo: "What to do, most important first:",
  },
  /** By reason of the quality gate: its name, and what to do. */
  reasons: {
    "too dark": [letter.reasons["too dark"], "Increase the flash, or wait until the pupil is wider."],
    overexposed: [letter.reasons.overexposed, "Reduce the flash."],
    "under- or overexposed": [letter.reasons["under- or overexposed"], "Adjust the flash."],
    "detail lost": [letter.reasons["detail lost"], "Use the original file from the camera, not a compressed copy, and check the flash."],
    "retina cut off": [letter.reasons["retina cut off"], "Keep the whole round field in the frame."],
    "low contrast": [letter.reasons["low contrast"], "Clean the lens and ask the patient to blink."],
    "out of focus": [letter.reasons["out of focus"], "Focus on the vessels, and check the working distance."],
    "not a colour photograph": [letter.reasons["not a colour photograph"], "Take a colour photograph. EyeNet cannot grade other photographs."],
    "not a fundus photograph": [letter.reasons["not a fundus photograph"], "Is this the right photograph? Centre the camera on the pupil."],
  } as Record<string, [string, string]>,
  otherReason: (reason: string): [string, string] => [reason.charAt(0).toUpperCase() + reason.slice(1), ""],
  reason: (reason: string) => `${reason}. `,

  /** What is answered for a patient: a title and what follows from it. */
  answers: {
    refer: [letter.answers.refer, LOOK],
    retake: [letter.answers.retake, "The photograph is poor, but shows signs of disease."],
    unsettled: [letter.answers.unsettled, "Without a good photograph of both eyes, referable retinopathy cannot be ruled out."],
    mild: [letter.answers.mild, NO_ALL_CLEAR],
    unsure: [letter.answers.unsure, "With the error rate chosen in the settings, EyeNet can neither report disease nor rule it out. This is not a negative result."],
    ungradable: [letter.answers.ungradable, "Second poor photograph: refer, do not send home."],
    again: [letter.answers.again, "Both eyes are needed for a negative result."],
    clear: [letter.answers.clear, NO_ALL_CLEAR],
  },
  demonstration: (text: string) => fill(letter.demonstration, { text }),
  /** What is known of an eye, for its line below the answer. */
  eyeAnswers: { ...letter.findings, absent: "No photograph yet", never: letter.findings.absent },
  poorToo: (finding: string) => fill(letter.onPoor, { finding }),
  eyeLine: (eye: Eye, text: string) => `${EYES[eye]}: ${text}`,

  details: {
    title: "Details",
    reaches: (threshold: string, question: Question) => ` above the ${question === "referable" ? "referral threshold" : "threshold"}, ${threshold}`,
    below: (threshold: string) => ` below the threshold of ${threshold}`,
    between: (low: string, high: string, threshold: string) => ` between ${low} and ${high}, where EyeNet is unsure; threshold ${threshold}`,
    alone: (result: string) => `The threshold alone would answer: ${result}.`,
    grade: "Estimated grade",
    gradeIs: (grade: number, name: string) => `${grade} of 4, ${name}`,
    network: (name: string) => `Answered by ${name}.`,
    point: (point: string) => `${point}.`,
    percent: (value: number, decimals: number) => fill(letter.percent, { value: (100 * value).toFixed(decimals) }),
    under: letter.under,
    over: letter.over,
  },

  photograph: {
    good: "Good enough to grade",
    poor: "Not good enough to grade",
    number: (number: number, total: number) => `Photograph ${number} of ${total}`,
    counts: "The worst photograph that is good enough to grade decides for the eye. A poor one counts only if it shows signs of disease.",
    retake: "The photograph is poor, but shows signs of disease. Refer, and take it again if possible.",
    unsure: (again: boolean) => `The photograph is poor, and the answer is unsure: a grader must look.${again ? " Take it again if possible." : ""}`,
    alt: (eye: Eye) => `Photograph of the ${eye} eye`,
    photograph: "Photograph",
    evidence: "Evidence",
    evidenceAlt: (eye: Eye, question: Question) => `${EYES[eye]} with contours around areas that raised the score for ${QUESTIONS[question].toLowerCase()}`,
    evidenceCaption: "Contours mark areas that raised the score. They do not outline lesions.",
    level: "How much to mark",
    levelOf: (eye: Eye) => ` in the ${eye} eye`,
    levelIs: (share: number) => `Areas with at least ${Math.round(100 * share)}\u00a0% of the strongest evidence`,
    nothingAlt: (eye: Eye) => `Photograph of the ${eye} eye. Nothing stood out.`,
    nothing: "Nothing stood out. This does not rule out disease.",
    picture: (eye: Eye) => `Picture of the ${eye} eye`,
  },

  doubts: {
    title: "Please check the files",
    none: "There is no result for the patient until this is settled.",
    wrong: "If a file is wrong, remove it below and choose another one.",
    correct: "The files are correct",
    history: "No result: the files were not checked",
    same: "The same photograph was chosen for both eyes. Remove it from the wrong eye.",
    otherEye: (name: string, eye: Eye) => `${name} was chosen as the ${eye} eye, but its name says ${other(eye)} eye.`,
    sameEye: (one: string, two: string) => `${one} and ${two} seem to show the same eye: the optic disc is on the same side.`,
    patients: (one: string, two: string) => `The file names belong to two patients: ${one} and ${two}.`,
  },

  history: {
    title: "History",
    unavailable: "This browser stores no history for this page. Is this a private window?",
    empty: "No results yet. Results are stored on this device only.",
    stored: "Stored on this device only, until you delete them.",
    open: "Open",
    back: "Back to the list",
    remove: "Delete",
    removeAll: "Delete all",
    keep: "Keep",
    ofVisit: (name: string, when: string) => ` ${name}, ${when}`,
    oneEye: (title: string) => `${title} (one eye)`,
    lead: (when: string, point: string) => `${when}. ${point}.`,
    noResult: "No result.",
    removeOne: (name: string, when: string) => `Delete the result of ${name}, ${when}? This cannot be undone.`,
    removeEvery: (number: number) => `Delete ${number === 1 ? "the only result" : `all ${number} results`} from this device? This cannot be undone.`,
  },

  /** The days of photographs that are not of one day. */
  days: {
    eye: (eye: Eye, days: string[]) => `${EYES[eye]}: ${days.join(" and ")}.`,
    differ: (eyes: string[]) => `The photographs were taken on different days. ${eyes.join(" ")}`,
  },

  search: {
    title: "Search",
    name: "Name or number",
    day: "Day",
    answer: "Answer",
    all: "All answers",
    open: "Unfinished: an eye to photograph",
    count: (found: number, all: number) => (found === all ? results(all) : `${found} of ${results(all)}`),
    more: "Show more",
  },

  /** A patient who is continued. */
  resumed: {
    go: "Continue this patient",
    back: "Back to this patient",
    ofPatient: (name: string) => ` ${name}`,
    now: (name: string, when: string) => `Continuing with ${name}, started ${when}.`,
    notThis: "Not this patient",
    other: "Another patient",
    stillHere: (name: string, when: string, eyes: Eye[]) =>
      `Is this still the same patient? ${name}, ${eyes.length ? eyes.map((eye) => EYES[eye].toLowerCase()).join(" and ") : "no photograph yet"}, last changed ${when}.`,
    question: (name: string, when: string, eye: Eye) =>
      `Continue with ${name}? The last photograph was taken on ${when}. New photographs of the ${eye} eye are added to this patient's result, with their own date.`,
    questionNoName: (when: string, eye: Eye) =>
      `This patient has no name. Are you sure that it is the patient whose last photograph was taken on ${when}? New photographs of the ${eye} eye are added to that result, with their own date.`,
    busy: "Wait until the current patient's photographs have been checked.",
    taken: "This patient is in progress in another window.",
    anyTaken: "A patient is in progress in another window.",
    gone: "This result cannot be continued: it was changed or deleted in another window.",
    otherNetwork: "Another network graded these photographs. To finish, photograph both eyes again as a new patient.",
    lostNetwork: "The network has changed, so the patient in progress could not be continued. The result is in the history: photograph both eyes again.",
    lost: (eyes: Eye[]) => `The page was closed before it had checked a photograph of the ${eyes.join(" and the ")} eye. Take the photograph again.`,
  },

  exchange: {
    title: "Export and import",
    meaning: "The table is for spreadsheets. The file contains everything, including the pictures: import it on another device, or keep it as a backup. Both contain patient data.",
    csv: (number: number, isAll: boolean) => `Save ${shown(number, isAll)} as a table (CSV)`,
    file: (number: number, isAll: boolean) => `Save ${shown(number, isAll)} as one file`,
    import: "Import a file",
    working: "Working…",
    saved: (number: number) => `The download of ${results(number)} has started.`,
    done: (added: number, extended: number, known: number) =>
      added + extended + known === 0 ? "The file has no results." : added + extended === 0 ? `Nothing new in the file. Already here: ${results(known)}.` : [added ? `${results(added)} imported.` : "", extended ? `New photographs added to ${results(extended)}.` : "", known ? `${results(known)} already here.` : ""].filter(Boolean).join(" "),
    failed: "This did not work, and nothing was changed: the device's storage is full, or not available to this page.",
    notSaved: "The file could not be made: this device does not have enough memory. Use the search to show fewer results, and save those.",
    foreign: "This is not a file of EyeNet's history. Nothing was imported.",
    newer: "This file comes from a newer version of EyeNet. Open this page again while connected to the internet, then import it. Nothing was imported.",
    damaged: "The file is damaged or incomplete. Nothing was imported: export it again.",
    inProgress: "The file adds to the patient in progress. Press “Next patient”, then import it again. Nothing was imported.",
  },

  /** Columns of the table. */
  csv: {
    patient: "Patient",
    born: "Birth date",
    begun: "Started",
    answer: "Answer",
    eye: (eye: Eye) => EYES[eye],
    photographs: (eye: Eye) => `${EYES[eye]}: photographs`,
    last: (eye: Eye) => `${EYES[eye]}: last photograph`,
    probability: (question: Question) => `${QUESTIONS[question]}: probability`,
    threshold: (question: Question) => `${QUESTIONS[question]}: threshold`,
    grade: "Estimated grade (0 to 4)",
    point: "How cautious",
    unsure: "Unsure",
    alone: "By the threshold alone",
    network: "Network",
    notice: "Notice",
  },

  retention: {
    title: "Delete results automatically",
    meaning: "The time counts from a result's last photograph, or from its import. This cannot be undone.",
    option: (days: number) => (days ? `After ${after(days)}` : "Never"),
    start: "Delete automatically",
    question: (days: number, number: number, today: string) =>
      `From now on, results are deleted ${after(days)} after their last photograph. ${number ? `${results(number)} ${number === 1 ? "is" : "are"} older by this device's date, ${today}, and will be deleted now. This cannot be undone.` : "No result is older now."}`,
    due: (number: number, all: number, days: number, today: string) =>
      `${number} of ${results(all)} ${number === 1 ? "is" : "are"} older than ${after(days)} by this device's date, ${today}. If the date is wrong, keep them. Delete them now? This cannot be undone.`,
    later: "Keep for now",
    notKept: "This browser does not keep settings for this page: nothing is deleted automatically.",
    chosen: (days: number) => (days ? `Results are deleted after ${after(days)}.` : "Results are not deleted automatically."),
    stored: (days: number) => `Stored on this device only, and deleted ${after(days)} after the last photograph.`,
  },

  settings: {
    title: "Settings",
    language: {
      title: "Language",
      meaning: "Until you choose one, the page uses the browser's language. Your choice is kept on this device.",
      busy: "Wait until the photographs have been checked, then choose the language.",
      notKept: "The language stays as it is: the browser's storage is not available to this page.",
    },
    loading: "The settings appear once the network has loaded.",
    cautious: "How cautious should EyeNet be?",
    meaning: "A more cautious setting misses less disease and raises more false alarms. Your choice is kept on this device.",
    aims: {
      sensitivity: (aim: number) => `${aim >= 0.95 ? "Very cautious" : "Cautious"}: aims to find ${share(aim)} of 100 eyes with disease`,
      specificity: (aim: number) => `Few false alarms: aims at ${share(1 - aim)} in 100 healthy eyes`,
      balanced: "Balanced: between missed disease and false alarms",
    },
    own: (aim: string) => `${aim} (the network's default)`,
    measuredOn: (set: string) => `Measured on eyes of ${set}, with 95 % intervals in brackets.`,
    /** By the set that the export names, in English. */
    sets: {
      "unseen test patients": "unseen test patients",
      "unseen patients of the same collection": "unseen patients of the same collection",
      "validation patients": "validation patients",
    } as Record<string, string>,
    measuredNowhere: "No figures: this network was exported without results on test patients.",
    found: (value: number, low: number, high: number) => `found ${share(value)} of 100 with it (${share(low)} to ${share(high)})`,
    alarms: (value: number, low: number, high: number) => `${share(1 - value)} false alarms in 100 without it (${share(1 - high)} to ${share(1 - low)})`,
    measured: (question: Question, figures: string[]) => `${QUESTIONS[question]}: ${figures.join("; ") || "not measured"}`,
    unsure: {
      title: "May the answer be “unsure”?",
      meaning: "Where EyeNet is not sure, it answers “unsure: a grader must look”. The fewer errors you allow, the more often it answers so. Your choice is kept on this device.",
      holds: "These rates hold on average, for each question separately, and for patients like those on whom its limits were chosen. With another camera or other patients there may be more errors.",
      never: "No: answer by the threshold alone",
      rate: (rate: number) => `“Unsure” where needed so that at most ${share(rate)} of 100 with disease are missed and ${share(rate)} of 100 without it are reported`,
      none: "This network cannot answer “unsure”: it was exported without limits for it.",
    },
    clinic: {
      title: "The clinic, for the letter",
      name: "Name of the clinic",
      address: "Address",
      phone: "Telephone",
      rule: "When to screen again",
      meaning: "In your clinic's own words, such as a number of months. EyeNet has no rule of its own: where you enter none, the letter says that the clinic decides.",
      clear: "After “no referral suggested”",
      mild: "After “retinopathy, not referable”",
      kept: "Kept on this device only.",
      notKept: "The browser's storage is not available to this page: what you enter here is lost when the page is closed.",
    },
  },

  about: {
    title: "About EyeNet",
    /** Headings, and paragraphs or lists. */
    sections: [
      [
        "What it does",
        "EyeNet estimates how likely it is that photographs of the retina show diabetic retinopathy. It first checks whether a photograph is good enough to grade. The photographs stay on this device: there is no server and no account, and the page sends no data anywhere.",
      ],
      [
        "What it is not",
        `EyeNet is not a medical device. It has not been approved for any medical use. It misses some disease and raises false alarms. ${NOT_COVERED} A trained person decides about every patient.`,
      ],
      [
        "What the words mean",
        "Referable retinopathy is moderate or worse: a specialist should see the patient. Macular oedema also needs referral, but EyeNet does not detect it. The threshold is the probability from which EyeNet reports disease; you choose in the settings how cautious it is. Under “Evidence”, contours mark areas that raised the score; they do not outline lesions. Where nothing stood out, the score is below the threshold.",
      ],
      [
        "How to take a good photograph",
        [
          "Dim the room and wait until the pupils are wide.",
          "Centre the camera on the pupil, so that the light is even.",
          "Focus on the vessels: their edges should be sharp.",
          "Keep the whole round field in the frame, with the dark surround.",
        ],
      ],
      [
        "Install it on this device",
        "After the first visit EyeNet works without internet. To install it: on an iPhone or iPad, tap Share, then “Add to Home Screen”; on Android or a laptop, choose “Install” in the browser's menu.",
      ],
    ] as [string, string | string[]][],
    which: "Which network",
    classes: {
      any: ["no DR", "DR"],
      referable: ["not referable", "referable DR"],
      grade: ["no DR", "mild", "moderate", "severe", "proliferative DR"],
    },
    facts: { name: "Name", trainedOn: "Trained on", detects: "Detects", classes: "Classes" },
    /** By the source that the export names, in English. */
    sources: { "Kaggle's 2015 competition (EyePACS)": "Kaggle's 2015 competition (EyePACS)" } as Record<string, string>,
    trainedOnDrawings: (what: string) => `${what}: its answers say nothing about patients`,
    synthetic: "synthetic photographs",
    real: "photographs of patients",
    /** What a network was trained on; an empty string for what is not known. */
    seen: (count: string, isDrawn: boolean, source: string) => [count, isDrawn ? "synthetic drawings" : "photographs", source && `of ${source}`].filter(Boolean).join(" "),
    recalibrated: (seen: string, count: string, isDrawn: boolean, place: string) => `${seen}; recalibrated on ${count} ${isDrawn ? "synthetic " : ""}photographs in ${place}`,
    network: (name: string, seen: string) => fill(letter.network, { name, seen }),
    list: (names: string[]) => names.join(", "),
  },

  /** Why a file or the program cannot be used. */
  problems: {
    memory: "This device does not have enough memory for the photograph. Close other pages.",
    transparent: "The photograph is completely transparent. Save it without transparency.",
    several: (number: number) => `The file holds ${number} photographs as pages. Save each page as a file of its own, and choose one.`,
    secondDamaged: "The file contains a second picture, which is damaged. Save the photograph again and choose the new file.",
    cannotRead: "The file cannot be read. Choose it again.",
    orientation: "The orientation of the photograph is ambiguous. Save it again and choose the new file.",
    empty: `The file is empty. ${AGAIN_FROM_CAMERA}`,
    large: (width: number, height: number, most: number) =>
      `The photograph has ${width} x ${height} pixels, more than the ${most / 1e6} million that are accepted. Save it smaller and choose it again.`,
    heic: "This is a HEIC photograph, which this browser cannot read. Save it as JPEG and choose it again (on an iPhone: Settings, Camera, Formats, Most Compatible).",
    dicom: `This is a DICOM file, which a browser cannot read. ${READABLE}`,
    tiff: `This is a TIFF photograph, which this browser cannot read. ${READABLE}`,
    damagedOrLarge: `The photograph is damaged, or too large for this device. ${AGAIN_FROM_CAMERA}`,
    damaged: `The photograph is damaged. ${AGAIN_FROM_CAMERA}`,
    unreadable: `This file is not a photograph that a browser can read. ${READABLE}`,
    truncated: `The photograph is incomplete: the end of the file is missing. ${AGAIN_FROM_CAMERA}`,
    profile: "The colour profile of the photograph is of a kind that this page cannot convert. Save it as sRGB and choose it again.",
    profileDamaged: "The colour profile is damaged and was left out.",
    profileFor: (space: string) => `The colour profile is for ${space} and was left out.`,
    profileOther: (space: string, pixels: string) => `The colour profile is for ${space}, but the pixels are ${pixels}, and was left out.`,
    equalised: "The colours of this crop were equalised. Choose the photograph itself.",
    device: "This device could not grade the photograph. Close other pages and try again.",
    incomplete: "The program is incomplete. Open this page again while connected to the internet.",
    version: `The network does not match this version of the program. ${EXPORT_AGAIN}`,
    network: `The network is damaged or does not belong to this program. ${EXPORT_AGAIN}`,
    values: `The network returned values that are not probabilities. ${EXPORT_AGAIN}`,
  },
};

export type Words = typeof en;
export default en;
