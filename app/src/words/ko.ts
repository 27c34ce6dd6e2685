/** Korean. Sentences avoid particles after values, because their form depends on the last letter. */

import letter from "../../../eyenet/letter/ko.json";
import { fill } from "../fill";
import type { Words } from "./en";

type Eye = "right" | "left";
type Question = "any" | "referable";

const NOT_COVERED = "EyeNet은 당뇨망막병증만 확인합니다. 보통 의뢰 대상에 포함되는 황반부종을 비롯해 다른 안질환은 확인하지 않습니다.";
const NO_ALL_CLEAR = "이상이 없다는 뜻이 아닙니다. EyeNet은 일부 망막병증을 놓칠 수 있으며, 황반부종을 포함한 다른 질환은 확인하지 않습니다.";
const LOOK = "안과 전문의가 사진을 확인해야 합니다.";
const AGAIN_FROM_CAMERA = "카메라에서 다시 복사하세요.";
const READABLE = "JPEG 또는 PNG 사진을 선택하세요.";
const EXPORT_AGAIN = "이 페이지를 설치한 사람에게 export_model.py로 다시 내보내 달라고 하세요.";
const EYES: Record<Eye, string> = letter.eyes;
const QUESTIONS: Record<Question, string> = letter.questions;
const AFTER: Record<number, string> = { 365: "1년" };
const after = (days: number): string => AFTER[days] ?? `${days}일`;
const results = (number: number): string => `결과 ${number}건`;
const shown = (number: number, isAll: boolean): string => `${isAll ? "모든" : "표시된"} ${results(number)}`;
const other = (eye: Eye): Eye => (eye === "right" ? "left" : "right");
const share = (value: number): string => String(Math.round(100 * value));

const ko: Words = {
  language: "한국어",
  locale: "ko-KR",
  description: "이 기기에서 망막 사진의 당뇨망막병증 소견을 찾습니다. 의료기기가 아닙니다.",
  noScript: "EyeNet을 사용하려면 자바스크립트가 필요하지만, 이 브라우저에서는 꺼져 있습니다.",

  header: {
    skip: "본문으로 건너뛰기",
    pages: "페이지",
    views: { new: "환자", history: "기록", settings: "설정", about: "정보" },
    notice: "의료기기가 아닌 연구용 소프트웨어입니다. 결정은 교육받은 담당자가 내립니다.",
  },
  notCovered: NOT_COVERED,
  letter,
  syntheticModel: letter.demonstrations.network,
  unreviewed: letter.unreviewed,

  status: {
    loading: "불러오는 중입니다. 처음 방문할 때 최대 15MB를 내려받습니다.",
    ready: "준비되었습니다. 인터넷이 필요하지 않습니다.",
    online: "준비되었지만, 인터넷에 연결된 동안에만 사용할 수 있습니다.",
    tooOld: "브라우저가 너무 오래되었습니다. EyeNet에는 Safari 16.4, Chrome 105, Firefox 121 이상이 필요합니다.",
    stopped: "프로그램을 시작하지 못했습니다. 페이지를 새로 고치세요.",
    notKept: "이 결과는 기록에 저장되지 않았습니다. 기기의 저장 공간이 가득 찼거나 이 페이지에서 사용할 수 없습니다.",
    notDeleted: "삭제하지 못했습니다. 이 페이지에서 브라우저의 저장 공간을 사용할 수 없습니다.",
    removed: (eye: Eye) => `${EYES[eye]}: 사진을 제거했습니다.`,
    confirmed: "파일을 확인했습니다.",
    known: (name: string) => `이 눈에 이미 추가한 파일입니다: ${name}`,
    check: "파일을 확인하세요. 아직 이 환자의 결과가 없습니다.",
    looking: "사진을 확인하는 중…",
    lookingAll: "사진을 확인하는 중…",
    sentences: (...parts: string[]) => parts.map((part) => (/[.!?]$/.test(part) ? part : `${part}.`)).join(" "),
  },

  eyes: EYES,
  both: "두 눈",
  only: (eye: Eye) => `${EYES[eye]}만`,
  questions: QUESTIONS,

  patient: {
    title: "환자",
    label: "이름 또는 번호",
    optional: "선택 사항",
    born: "생년월일 (선택 사항)",
    bornOn: (date: string) => `생년월일: ${date}`,
    noName: "이름 없음",
    next: "다음 환자",
    print: "결과지 인쇄",
    several: "사진 여러 장을 한 번에 선택",
    addSeveral: "사진 여러 장을 한 번에 추가",
    step: (number: number) => `2단계 중 ${number}단계`,
    attempt: (made: number, most: number) => `촬영 시도 ${most}회 중 ${made}회째가 품질 불량입니다. 다음 시도가 마지막이며, 그때도 품질이 불량하면 귀가시키지 말고 안과에 의뢰하세요.`,
    attemptUnsure: (made: number, most: number) => `촬영 시도 ${most}회 중 ${made}회째가 품질 불량입니다. 다음 시도가 마지막이며, 그때도 품질이 불량하면 결과는 “${letter.answers.ungradable}”입니다.`,
    photograph: (eye: Eye) => `${EYES[eye]}을 촬영하세요`,
    stay: "사진은 이 기기에만 저장됩니다.",
    nextIs: (eye: Eye) => `이제 ${EYES[eye]}을 촬영하세요`,
    againIs: (eye: Eye) => `${EYES[eye]}을 다시 촬영하세요`,
  },

  choose: {
    photograph: "사진 선택",
    take: "사진 촬영",
    another: "사진 추가",
    remove: "제거",
    ofEye: (eye: Eye) => ` (${EYES[eye]})`,
    called: (name: string) => ` (${name})`,
    which: "어느 쪽 눈입니까?",
    whichLong: "파일 이름으로는 어느 쪽 눈인지 알 수 없습니다. 사진마다 눈을 선택하세요.",
    leaveOut: "제외",
    use: "이대로 사용",
    cancel: "취소",
  },

  samples: {
    title: "예시 눈으로 사용해 보기",
    notice: "환자의 눈이 아닌 그림입니다. 이 결과는 누구에게도 해당하지 않으며 저장되지 않습니다.",
    names: { negative: "의뢰 권고 없음", referable: "의뢰 대상", poor: "품질 불량 사진" },
    label: (name: string) => `그림: ${name}`,
    missing: "예시 눈을 불러오지 못했습니다. 인터넷에 연결된 상태에서 이 페이지를 다시 여세요.",
  },

  guide: {
    short: "촬영 방법",
    tips: [
      "방을 어둡게 하고 동공이 커질 때까지 기다리세요.",
      "카메라를 동공 중심에 맞추고 작동 거리를 확인하세요.",
      "혈관에 초점을 맞추고 둥근 망막 전체가 화면에 들어오게 하세요.",
    ],
    drawings: "사진이 아닌 그림입니다.",
    pictures: {
      good: ["좋음", "좋은 사진의 그림: 둥근 망막 전체가 선명하고 고르게 밝음"],
      dark: ["어두움", "너무 어두운 사진의 그림"],
      bright: ["밝음", "너무 밝은 사진의 그림"],
      blurred: ["흐림", "초점이 맞지 않은 사진의 그림"],
      cut: ["잘림", "망막의 일부가 잘린 사진의 그림"],
    },
  },

  checklist: {
    title: (eye: Eye, number: number) => `${EYES[eye]}, ${number}번째 사진`,
    retina: { yes: "망막 확인됨", no: "망막이 보이지 않음", unknown: "망막: 확인 안 됨" },
    whole: { yes: "전체가 보임", no: "일부가 잘림", unknown: "전체가 보이는지: 확인 안 됨" },
    frame: "사진 전체를 사용함: 망막의 가장자리가 보이지 않음",
    sharp: { yes: "선명함", no: "선명하지 않음", unknown: "선명도: 확인 안 됨" },
    light: { yes: "밝기 좋음", no: "밝기 불량", unknown: "밝기: 확인 안 됨" },
    todo: "해야 할 일 (중요한 것부터):",
  },
  reasons: {
    "too dark": [letter.reasons["too dark"], "플래시를 더 밝게 하거나 동공이 더 커질 때까지 기다리세요."],
    overexposed: [letter.reasons.overexposed, "플래시를 줄이세요."],
    "under- or overexposed": [letter.reasons["under- or overexposed"], "플래시를 조절하세요."],
    "detail lost": [letter.reasons["detail lost"], "압축된 사본이 아니라 카메라 원본 파일을 사용하고 플래시를 확인하세요."],
    "retina cut off": [letter.reasons["retina cut off"], "둥근 망막 전체가 화면에 들어오게 하세요."],
    "low contrast": [letter.reasons["low contrast"], "렌즈를 닦고 환자에게 눈을 깜박이게 하세요."],
    "out of focus": [letter.reasons["out of focus"], "혈관에 초점을 맞추고 작동 거리를 확인하세요."],
    "not a colour photograph": [letter.reasons["not a colour photograph"], "컬러로 촬영하세요. EyeNet은 다른 사진을 판독할 수 없습니다."],
    "not a fundus photograph": [letter.reasons["not a fundus photograph"], "맞는 사진입니까? 카메라를 동공 중심에 맞추세요."],
  },
  otherReason: (reason: string): [string, string] => [reason.charAt(0).toUpperCase() + reason.slice(1), ""],
  reason: (reason: string) => `${reason}. `,

  answers: {
    refer: [letter.answers.refer, LOOK],
    retake: [letter.answers.retake, "사진 품질이 불량하지만 질환 소견이 있습니다."],
    unsettled: [letter.answers.unsettled, "두 눈 모두 품질이 좋은 사진이 없으면 의뢰 대상 망막병증을 배제할 수 없습니다."],
    mild: [letter.answers.mild, NO_ALL_CLEAR],
    unsure: [letter.answers.unsure, "설정에서 선택한 오류율로는 질환이 있다고 할 수도, 배제할 수도 없습니다. 음성 결과가 아닙니다."],
    ungradable: [letter.answers.ungradable, "두 번째 사진도 품질이 불량합니다. 귀가시키지 말고 안과에 의뢰하세요."],
    again: [letter.answers.again, "음성 결과를 내려면 두 눈의 사진이 모두 필요합니다."],
    clear: [letter.answers.clear, NO_ALL_CLEAR],
  },
  demonstration: (text: string) => fill(letter.demonstration, { text }),
  eyeAnswers: { ...letter.findings, absent: "아직 사진 없음", never: letter.findings.absent },
  poorToo: (finding: string) => fill(letter.onPoor, { finding }),
  eyeLine: (eye: Eye, text: string) => `${EYES[eye]}: ${text}`,

  details: {
    title: "자세히",
    reaches: (threshold: string, question: Question) => `, ${question === "referable" ? "의뢰 기준" : "기준"} ${threshold} 이상`,
    below: (threshold: string) => `, 기준 ${threshold} 미만`,
    between: (low: string, high: string, threshold: string) => `, EyeNet이 확실하지 않은 구간(${low}~${high}), 기준 ${threshold}`,
    alone: (result: string) => `기준만으로 판정했다면: ${result}.`,
    grade: "추정 등급",
    gradeIs: (grade: number, name: string) => `${grade} (0~4), ${name}`,
    network: (name: string) => `결과를 낸 신경망: ${name}.`,
    point: (point: string) => `${point}.`,
    percent: (value: number, decimals: number) => fill(letter.percent, { value: (100 * value).toFixed(decimals) }),
    under: letter.under,
    over: letter.over,
  },

  photograph: {
    good: "판독할 수 있는 품질",
    poor: "판독하기에 품질이 부족함",
    number: (number: number, total: number) => `사진 ${total}장 중 ${number}번째`,
    counts: "판독할 수 있는 사진 중 결과가 가장 나쁜 것을 따릅니다. 품질이 불량한 사진은 질환 소견이 있을 때만 반영됩니다.",
    retake: "사진 품질이 불량하지만 질환 소견이 있습니다. 안과에 의뢰하고, 가능하면 다시 촬영하세요.",
    unsure: (again: boolean) => `사진 품질이 불량하고 결과가 불확실합니다. 판독자가 확인해야 합니다.${again ? " 가능하면 다시 촬영하세요." : ""}`,
    alt: (eye: Eye) => `${EYES[eye]} 사진`,
    photograph: letter.photograph,
    evidence: letter.evidence,
    evidenceAlt: (eye: Eye, question: Question) => `${EYES[eye]}, 점수를 높인 부위의 윤곽선: ${QUESTIONS[question]}`,
    evidenceCaption: "윤곽선은 점수를 높인 부위를 표시합니다. 병변의 윤곽을 나타내지는 않습니다.",
    level: "표시할 범위",
    levelOf: (eye: Eye) => ` (${EYES[eye]})`,
    levelIs: (share: number) => `가장 강한 근거의 ${Math.round(100 * share)}% 이상인 부위`,
    nothingAlt: (eye: Eye) => `${EYES[eye]} 사진. 두드러진 부위 없음.`,
    nothing: "두드러진 부위가 없습니다. 그래도 질환을 배제할 수는 없습니다.",
    picture: (eye: Eye) => `${EYES[eye]} 그림 선택`,
  },

  doubts: {
    title: "파일을 확인하세요",
    none: "이 문제가 해결될 때까지 이 환자의 결과가 표시되지 않습니다.",
    wrong: "잘못된 파일이 있으면 아래에서 제거하고 다른 파일을 선택하세요.",
    correct: "파일이 맞습니다",
    history: letter.doubtful.title,
    same: "두 눈에 같은 사진을 선택했습니다. 맞지 않는 눈에서 제거하세요.",
    otherEye: (name: string, eye: Eye) => `${name}: ${EYES[eye]}으로 선택했지만 파일 이름에는 ${EYES[other(eye)]}으로 되어 있습니다.`,
    sameEye: (one: string, two: string) => `두 사진이 같은 쪽 눈으로 보입니다: ${one}, ${two}. 시신경유두가 같은 쪽에 있습니다.`,
    patients: (one: string, two: string) => `파일 이름에 서로 다른 환자가 있습니다: ${one}, ${two}.`,
  },

  history: {
    title: "기록",
    unavailable: "이 브라우저는 이 페이지의 기록을 저장하지 않습니다. 비공개 창입니까?",
    empty: "아직 결과가 없습니다. 결과는 이 기기에만 저장됩니다.",
    stored: "삭제할 때까지 이 기기에만 저장됩니다.",
    open: "열기",
    back: "목록으로",
    remove: "삭제",
    removeAll: "모두 삭제",
    keep: "유지",
    ofVisit: (name: string, when: string) => ` (${name}, ${when})`,
    oneEye: (title: string) => `${title} (한쪽 눈)`,
    lead: (when: string, point: string) => `${when}. ${point}.`,
    noResult: "결과가 없습니다.",
    removeOne: (name: string, when: string) => `이 결과를 삭제할까요? ${name}, ${when}. 되돌릴 수 없습니다.`,
    removeEvery: (number: number) => `이 기기의 ${results(number)}을 모두 삭제할까요? 되돌릴 수 없습니다.`,
  },

  days: {
    eye: (eye: Eye, days: string[]) => `${EYES[eye]}: ${days.join(", ")}.`,
    differ: (eyes: string[]) => `사진의 촬영 날짜가 서로 다릅니다. ${eyes.join(" ")}`,
  },

  search: {
    title: "검색",
    name: "이름 또는 번호",
    day: "날짜",
    answer: "결과",
    all: "모든 결과",
    open: "미완료: 한쪽 눈 촬영 필요",
    count: (found: number, all: number) => (found === all ? results(all) : `${results(all)} 중 ${found}건`),
    more: "더 보기",
  },

  resumed: {
    go: "이 환자 계속하기",
    back: "이 환자로 돌아가기",
    ofPatient: (name: string) => ` (${name})`,
    now: (name: string, when: string) => `이어서 진행 중: ${name}, 시작 ${when}.`,
    notThis: "이 환자가 아님",
    other: "다른 환자",
    stillHere: (name: string, when: string, eyes: Eye[]) =>
      `아직 같은 환자입니까? ${name}, ${eyes.length ? eyes.map((eye) => EYES[eye]).join(", ") : "아직 사진 없음"}, 마지막 변경 ${when}.`,
    question: (name: string, when: string, eye: Eye) =>
      `이 환자를 계속할까요? ${name}. 마지막 사진은 ${when}에 찍었습니다. 새로 찍는 ${EYES[eye]} 사진은 촬영 날짜와 함께 이 환자의 결과에 추가됩니다.`,
    questionNoName: (when: string, eye: Eye) =>
      `이 환자는 이름이 없습니다. 마지막 사진이 ${when}에 찍힌 환자가 확실합니까? 새로 찍는 ${EYES[eye]} 사진은 촬영 날짜와 함께 그 결과에 추가됩니다.`,
    busy: "현재 환자의 사진 확인이 끝날 때까지 기다리세요.",
    taken: "이 환자는 다른 창에서 진행 중입니다.",
    anyTaken: "다른 창에서 진행 중인 환자가 있습니다.",
    gone: "이 결과는 계속할 수 없습니다. 다른 창에서 변경되었거나 삭제되었습니다.",
    otherNetwork: "이 사진은 다른 신경망이 판독했습니다. 마치려면 새 환자로 두 눈을 다시 촬영하세요.",
    lostNetwork: "신경망이 바뀌어 진행 중이던 환자를 계속할 수 없습니다. 결과는 기록에 있습니다. 두 눈을 다시 촬영하세요.",
    lost: (eyes: Eye[]) => `사진 확인이 끝나기 전에 페이지가 닫혔습니다. 다시 촬영하세요: ${eyes.map((eye) => EYES[eye]).join(", ")}.`,
  },

  exchange: {
    title: "내보내기와 가져오기",
    meaning: "표는 스프레드시트용입니다. 파일에는 사진을 포함한 모든 내용이 들어 있어 다른 기기에서 가져오거나 백업으로 보관할 수 있습니다. 둘 다 환자 정보를 담고 있습니다.",
    csv: (number: number, isAll: boolean) => `${shown(number, isAll)}을 표로 저장 (CSV)`,
    file: (number: number, isAll: boolean) => `${shown(number, isAll)}을 파일 하나로 저장`,
    import: "파일 가져오기",
    working: "처리 중…",
    saved: (number: number) => `${results(number)}의 다운로드를 시작했습니다.`,
    done: (added: number, extended: number, known: number) =>
      added + extended + known === 0 ? "파일에 결과가 없습니다." : added + extended === 0 ? `파일에 새로운 내용이 없습니다. 이미 있음: ${results(known)}.` : [added ? `${results(added)}을 가져왔습니다.` : "", extended ? `${results(extended)}에 새 사진을 추가했습니다.` : "", known ? `${results(known)}은 이미 있습니다.` : ""].filter(Boolean).join(" "),
    failed: "작업하지 못했으며, 아무것도 바뀌지 않았습니다. 기기의 저장 공간이 가득 찼거나 이 페이지에서 사용할 수 없습니다.",
    notSaved: "파일을 만들지 못했습니다. 이 기기의 메모리가 부족합니다. 검색으로 표시되는 결과를 줄인 다음 저장하세요.",
    foreign: "EyeNet 기록 파일이 아닙니다. 아무것도 가져오지 않았습니다.",
    newer: "더 새로운 버전의 EyeNet에서 만든 파일입니다. 인터넷에 연결된 상태에서 이 페이지를 다시 연 다음 가져오세요. 아무것도 가져오지 않았습니다.",
    damaged: "파일이 손상되었거나 불완전합니다. 아무것도 가져오지 않았습니다. 다시 내보내세요.",
    inProgress: "이 파일은 진행 중인 환자에게 추가됩니다. “다음 환자”를 누른 다음 다시 가져오세요. 아무것도 가져오지 않았습니다.",
  },

  csv: {
    patient: "환자",
    born: "생년월일",
    begun: "시작",
    answer: "결과",
    eye: (eye: Eye) => EYES[eye],
    photographs: (eye: Eye) => `${EYES[eye]}: 사진 수`,
    last: (eye: Eye) => `${EYES[eye]}: 마지막 사진`,
    probability: (question: Question) => `${QUESTIONS[question]}: 확률`,
    threshold: (question: Question) => `${QUESTIONS[question]}: 기준값`,
    grade: "추정 등급 (0~4)",
    point: "신중함의 정도",
    unsure: "불확실",
    alone: "기준만으로 본 결과",
    network: "신경망",
    notice: "알림",
  },

  retention: {
    title: "결과 자동 삭제",
    meaning: "결과의 마지막 사진 또는 가져온 날부터 계산합니다. 되돌릴 수 없습니다.",
    option: (days: number) => (days ? `${after(days)} 후` : "삭제하지 않음"),
    start: "자동으로 삭제",
    question: (days: number, number: number, today: string) =>
      `앞으로 결과는 마지막 사진으로부터 ${after(days)} 후에 삭제됩니다. ${number ? `이 기기의 날짜(${today})로 ${results(number)}이 그보다 오래되어 지금 삭제됩니다. 되돌릴 수 없습니다.` : "지금은 그보다 오래된 결과가 없습니다."}`,
    due: (number: number, all: number, days: number, today: string) =>
      `이 기기의 날짜(${today})로 ${results(all)} 중 ${number}건이 ${after(days)}보다 오래되었습니다. 날짜가 틀렸으면 그대로 두세요. 지금 삭제할까요? 되돌릴 수 없습니다.`,
    later: "지금은 유지",
    notKept: "이 브라우저는 이 페이지의 설정을 저장하지 않습니다. 아무것도 자동으로 삭제되지 않습니다.",
    chosen: (days: number) => (days ? `결과는 ${after(days)} 후에 삭제됩니다.` : "결과는 자동으로 삭제되지 않습니다."),
    stored: (days: number) => `이 기기에만 저장되며, 마지막 사진으로부터 ${after(days)} 후에 삭제됩니다.`,
  },

  settings: {
    title: "설정",
    language: {
      title: "언어",
      meaning: "선택하기 전에는 브라우저의 언어로 표시됩니다. 선택은 이 기기에 저장됩니다.",
      busy: "사진 확인이 끝날 때까지 기다린 다음 언어를 선택하세요.",
      notKept: "언어를 바꾸지 못했습니다. 이 페이지에서 브라우저의 저장 공간을 사용할 수 없습니다.",
    },
    loading: "신경망을 다 불러오면 설정이 나타납니다.",
    cautious: "EyeNet을 얼마나 신중하게 설정할까요?",
    meaning: "더 신중할수록 놓치는 질환은 줄고 위양성은 늘어납니다. 선택은 이 기기에 저장됩니다.",
    aims: {
      sensitivity: (aim: number) => `${aim >= 0.95 ? "매우 신중" : "신중"}: 질환이 있는 눈 100안 중 ${share(aim)}안을 찾는 것이 목표`,
      specificity: (aim: number) => `위양성 적게: 건강한 눈 100안 중 ${share(1 - aim)}안이 목표`,
      balanced: "균형: 놓치는 질환과 위양성을 함께 고려",
    },
    own: (aim: string) => `${aim} (신경망의 기본값)`,
    measuredOn: (set: string) => `측정에 사용한 눈: ${set}. 괄호 안은 95% 신뢰구간입니다.`,
    sets: {
      "unseen test patients": "학습에 쓰지 않은 시험 환자",
      "unseen patients of the same collection": "같은 자료에서 학습에 쓰지 않은 환자",
      "validation patients": "검증 환자",
    },
    measuredNowhere: "수치 없음: 이 신경망은 시험 환자의 결과 없이 내보내졌습니다.",
    found: (value: number, low: number, high: number) => `질환이 있는 100안 중 ${share(value)}안 발견 (${share(low)}~${share(high)})`,
    alarms: (value: number, low: number, high: number) => `질환이 없는 100안 중 위양성 ${share(1 - value)}안 (${share(1 - high)}~${share(1 - low)})`,
    measured: (question: Question, figures: string[]) => `${QUESTIONS[question]}: ${figures.join("; ") || "측정하지 않음"}`,
    unsure: {
      title: "“불확실”이라는 결과를 허용할까요?",
      meaning: "확실하지 않으면 “불확실: 판독자가 확인해야 합니다”라고 답합니다. 허용하는 오류가 적을수록 이 답이 많아집니다. 선택은 이 기기에 저장됩니다.",
      holds: "이 비율은 한계를 정하는 데 쓴 환자와 비슷한 환자에서, 평균적으로, 질문마다 따로 성립합니다. 카메라나 환자가 다르면 오류가 더 많을 수 있습니다.",
      never: "아니요: 기준만으로 판정",
      rate: (rate: number) => `질환이 있는 100명 중 놓치는 환자와 질환이 없는 100명 중 위양성이 각각 ${share(rate)}명 이하가 되도록 필요한 경우 “불확실”`,
      none: "이 신경망은 “불확실”이라고 답할 수 없습니다. 그에 필요한 한계값 없이 내보내졌습니다.",
    },
    clinic: {
      title: "결과지에 표시할 의료기관",
      name: "의료기관 이름",
      address: "주소",
      phone: "전화번호",
      rule: "다음 검사 시기",
      meaning: "몇 개월 후와 같이 기관에서 쓰는 말로 적으세요. EyeNet에는 자체 기준이 없으며, 비워 두면 결과지에 의료기관이 정한다고 표시됩니다.",
      clear: `“${letter.answers.clear}” 다음`,
      mild: "“망막병증이 있으나 의뢰 대상은 아님” 다음",
      kept: "이 기기에만 저장됩니다.",
      notKept: "이 페이지에서 브라우저의 저장 공간을 사용할 수 없습니다. 페이지를 닫으면 여기에 입력한 내용이 사라집니다.",
    },
  },

  about: {
    title: "EyeNet 정보",
    sections: [
      [
        "하는 일",
        "EyeNet은 망막 사진에 당뇨망막병증이 있을 가능성을 추정합니다. 먼저 사진이 판독할 수 있는 품질인지 확인합니다. 사진은 이 기기에만 저장됩니다. 서버나 계정이 없으며, 이 페이지는 어디에도 데이터를 보내지 않습니다.",
      ],
      [
        "하지 않는 일",
        `EyeNet은 의료기기가 아니며, 어떤 의료 용도로도 승인받지 않았습니다. 일부 질환을 놓치고 위양성을 냅니다. ${NOT_COVERED} 모든 환자에 대한 결정은 교육받은 담당자가 내립니다.`,
      ],
      [
        "용어의 뜻",
        "의뢰 대상 망막병증은 중등도 이상의 망막병증으로, 안과 전문의의 진료가 필요합니다. 황반부종도 의뢰가 필요하지만 EyeNet은 찾지 않습니다. 기준값은 EyeNet이 질환이 있다고 알리기 시작하는 확률이며, 얼마나 신중하게 판단할지는 설정에서 정합니다. “판단 근거”의 윤곽선은 점수를 높인 부위를 표시하며, 병변의 윤곽을 나타내지는 않습니다. 두드러진 부위가 없으면 점수가 기준값보다 낮습니다.",
      ],
      [
        "좋은 사진을 찍는 방법",
        [
          "방을 어둡게 하고 동공이 커질 때까지 기다리세요.",
          "빛이 고르도록 카메라를 동공 중심에 맞추세요.",
          "혈관에 초점을 맞추세요. 혈관의 가장자리가 선명해야 합니다.",
          "둥근 망막 전체와 주변의 어두운 부분이 화면에 들어오게 하세요.",
        ],
      ],
      [
        "이 기기에 설치하기",
        "처음 방문한 다음에는 인터넷 없이도 EyeNet을 사용할 수 있습니다. 설치하려면 iPhone이나 iPad에서는 공유를 누른 다음 “홈 화면에 추가”를, Android나 노트북에서는 브라우저 메뉴에서 “설치”를 선택하세요.",
      ],
    ],
    which: "사용하는 신경망",
    classes: {
      any: ["망막병증 없음", "망막병증 있음"],
      referable: ["의뢰 대상 아님", "의뢰 대상"],
      grade: letter.grades,
    },
    facts: { name: "이름", trainedOn: "학습 자료", detects: "찾는 질환", classes: "분류" },
    sources: { "Kaggle's 2015 competition (EyePACS)": "Kaggle 2015년 대회 (EyePACS)" },
    trainedOnDrawings: (what: string) => `${what} (이 결과는 실제 환자에 대해 아무것도 알려 주지 않습니다)`,
    synthetic: "합성 사진",
    real: "환자 사진",
    seen: (count: string, isDrawn: boolean, source: string) => `${source && `${source}, `}${isDrawn ? "합성 그림" : "사진"}${count && ` ${count}장`}`,
    recalibrated: (seen: string, count: string, isDrawn: boolean, place: string) => `${seen}; ${place}의 ${isDrawn ? "합성 " : ""}사진 ${count}장으로 다시 보정`,
    network: (name: string, seen: string) => fill(letter.network, { name, seen }),
    list: (names: string[]) => names.join(", "),
  },

  problems: {
    memory: "이 기기의 메모리가 사진을 처리하기에 부족합니다. 다른 페이지를 닫으세요.",
    transparent: "사진이 완전히 투명합니다. 투명하지 않게 저장하세요.",
    several: (number: number) => `파일에 사진이 여러 페이지(${number}장)로 들어 있습니다. 페이지마다 따로 저장하고 하나를 선택하세요.`,
    secondDamaged: "파일에 있는 두 번째 그림이 손상되었습니다. 사진을 다시 저장하고 새 파일을 선택하세요.",
    cannotRead: "파일을 읽을 수 없습니다. 다시 선택하세요.",
    orientation: "사진의 방향이 분명하지 않습니다. 다시 저장하고 새 파일을 선택하세요.",
    empty: `파일이 비어 있습니다. ${AGAIN_FROM_CAMERA}`,
    large: (width: number, height: number, most: number) =>
      `사진이 ${width} x ${height} 화소로, 허용되는 ${most / 1e8}억 화소보다 큽니다. 더 작게 저장하고 다시 선택하세요.`,
    heic: "이 브라우저에서 읽을 수 없는 HEIC 사진입니다. JPEG로 저장하고 다시 선택하세요 (iPhone: 설정, 카메라, 포맷, 높은 호환성).",
    dicom: `브라우저에서 읽을 수 없는 DICOM 파일입니다. ${READABLE}`,
    tiff: `이 브라우저에서 읽을 수 없는 TIFF 사진입니다. ${READABLE}`,
    damagedOrLarge: `사진이 손상되었거나 이 기기에서 처리하기에 너무 큽니다. ${AGAIN_FROM_CAMERA}`,
    damaged: `사진이 손상되었습니다. ${AGAIN_FROM_CAMERA}`,
    unreadable: `브라우저에서 읽을 수 있는 사진이 아닙니다. ${READABLE}`,
    truncated: `사진이 불완전합니다. 파일의 끝부분이 없습니다. ${AGAIN_FROM_CAMERA}`,
    profile: "사진의 색상 프로파일이 이 페이지에서 변환할 수 없는 종류입니다. sRGB로 저장하고 다시 선택하세요.",
    profileDamaged: "색상 프로파일이 손상되어 적용하지 않았습니다.",
    profileFor: (space: string) => `색상 프로파일이 다른 색 공간(${space})용이어서 적용하지 않았습니다.`,
    profileOther: (space: string, pixels: string) => `색상 프로파일의 색 공간(${space})이 픽셀(${pixels})과 달라 적용하지 않았습니다.`,
    equalised: "이 잘린 사진은 색상이 이미 균일화되었습니다. 원본 사진을 선택하세요.",
    device: "이 기기에서 사진을 판독하지 못했습니다. 다른 페이지를 닫고 다시 시도하세요.",
    incomplete: "프로그램이 불완전합니다. 인터넷에 연결된 상태에서 이 페이지를 다시 여세요.",
    version: `신경망이 이 프로그램의 버전과 맞지 않습니다. ${EXPORT_AGAIN}`,
    network: `신경망이 손상되었거나 이 프로그램의 것이 아닙니다. ${EXPORT_AGAIN}`,
    values: `신경망이 확률이 아닌 값을 냈습니다. ${EXPORT_AGAIN}`,
  },
};

export default ko;
