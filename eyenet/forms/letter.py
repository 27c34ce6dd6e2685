"""The letter for the patient and the doctor: one HTML file that prints on one page of A4 or US Letter.

Its words are those of the offline page, in eyenet/letter; app/src/letter.ts writes the same from them.
"""

import base64
import functools
import json
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files

from eyenet.forms.findings import (
    TONES,
    find_decisive,
    find_finding,
    find_kind,
    find_screening,
    find_urgency,
    say_answer,
    say_finding,
)
from eyenet.forms.visit import SIDES
from eyenet.grading.rows import UNREAD
from eyenet.model.answers import is_gradable
from eyenet.model.decision import BALANCED
from eyenet.run.files import plain
from eyenet.run.pages import environment

SYMBOLS = {"refer": "!", "mild": "!", "clear": "✓", "again": "↻", "none": "–", "unsure": "?"}
LONGEST = 48  # characters of a name, an ID or a file name on the page
COMMA = {"es"}  # languages that write 0,5


def draw_letter(visit, clinic):
    """Draw the letter of a visit as HTML.

    Parameters
    ----------
    visit : eyenet.forms.visit.Visit
    clinic : eyenet.forms.clinic.Clinic

    Returns
    -------
    str
    """
    return _template().render(letter=write_letter(visit, clinic), language=clinic.language, symbols=SYMBOLS)


@functools.cache
def _template():
    return environment(__file__, autoescape=True).get_template("letter.html.jinja")


def write_letter(visit, clinic):
    """Compose the texts of the letter.

    Returns
    -------
    dict
        Texts by part. A label with None beside it gets an empty line to write on.
    """
    return _Writer(visit, clinic).write()


def read_words(language):
    """Read the words of the letter."""
    return json.loads((files("eyenet.letter") / f"{language}.json").read_text(encoding="utf-8"))


def shorten(text):
    """Replace unprintable characters, and cut a long name."""
    text = plain(text).strip()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class _Writer:
    def __init__(self, visit, clinic):
        self.visit, self.clinic, self.words = visit, clinic, read_words(clinic.language)
        self.kind = find_kind(visit)

    def write(self):
        words, clinic, sure = self.words, self.clinic, self.kind != "doubtful"
        mine = [] if clinic.name else [(words["clinic"], None)]
        doubtful, replaced = bool(self.visit.doubts), self.visit.is_replaced
        title = say_answer(words, self.kind)
        demonstration = [words["demonstrations"]["title"], words["demonstrations"]["network"]]
        if sure and self.kind not in ("again", "ungradable"):
            title = self._mark(title)
        if replaced:
            title = words["station"][self.visit.verdict or "earlier"].format(answer=title)
        tone = self._tone(TONES.get(self.kind, self.kind)) if sure else "again"
        return {
            "title": words["title"],
            "demonstration": demonstration if self.visit.synthetic else [],
            "clinic": plain(clinic.name),
            "reach": [plain(text) for text in (clinic.address, clinic.phone) if text],
            "about": [*mine, *self._about()],
            "result": words["result"],
            "tone": "none" if replaced else tone,
            "answer": title,
            "note": words["doubtful"]["text"] if doubtful else None,
            "unreviewed": words["unreviewed"],
            "urgency": (words["urgency"]["title"], self._mark(self._urgency())) if sure and not replaced else None,
            "eyes": [] if doubtful else [self._eye(eye) for eye in SIDES],
            "advice": self._advice(sure),
            "decision": self._decision() if sure or self.visit.decision or self.visit.earlier else None,
            "foot": self._foot(),
        }

    def _mark(self, text):
        """Mark a text of a demonstration as such."""
        return self.words["demonstration"].format(text=text) if self.visit.synthetic else text

    def _tone(self, tone):
        """Omit the all-is-well sign in a demonstration, and where a person decided otherwise."""
        return "none" if tone == "clear" and (self.visit.synthetic or self.visit.is_replaced) else tone

    def _about(self):
        """State who was photographed and when, as far as known."""
        patient, words = self.visit.patient, self.words
        named = ", ".join(shorten(text) for text in (patient.name, patient.id) if text)
        received = words["station"]["received"], _time(self.visit.received)
        when = (words["decision"]["date"], self.visit.taken) if self.visit.taken else received
        return [
            (words["patient"], named or None),
            (words["born"], patient.born),
            when,
        ]

    def _urgency(self):
        return self.words["urgency"][find_urgency(self.visit, self.kind)]

    def _advice(self, sure):
        words, key = self.words, find_screening(self.visit, self.kind, self.clinic)
        rule = plain(getattr(self.clinic, self.kind, ""))
        again = [(words["screening"]["title"], self._mark(words["screening"][key].format(rule=rule)))] if sure else []
        return again + [(words[name]["title"], words[name]["text"]) for name in ("symptoms", "notCovered")]

    def _eye(self, eye):
        words, photographs = self.words, self.visit.eye(eye)
        finding, on_poor = find_finding(self.visit, eye)
        said = say_finding(words, finding, on_poor)
        shot = find_decisive(photographs)
        return {
            "eye": words["eyes"][eye],
            "tone": self._tone(_tone_of(finding)),
            "finding": said if finding in ("again", "ungradable", "unread", "absent") else self._mark(said),
            "picture": shot and shot.picture and base64.b64encode(shot.picture).decode(),
            "caption": words["photograph"],
            "lines": self._describe(shot, len(photographs) - 1) if shot else [],
        }

    def _describe(self, shot, others):
        """Describe the photograph that decided the finding of an eye, and count the others."""
        words, row, lines = self.words, shot.row, []
        if row.get("grade") is not None:
            lines.append(words["grade"].format(grade=row["grade"], name=words["grades"][row["grade"]]))
        lines += [self._probability(question, answer) for question, answer in row.get("questions", {}).items()]
        if not is_gradable(row) and row["result"] != UNREAD:
            known = [words["reasons"].get(why, plain(why)) for why in row.get("reasons", ()) if _is_told(why)]
            lines.append(words["poor"].format(reasons=", ".join(known)))
        lines += [words["others"].format(count=others)] * bool(others)
        lines += [words["file"].format(name=shorten(shot.name))] * (shot.name is not None)
        return [line for line in lines if line]

    def _probability(self, question, answer):
        """Compare a probability with its threshold; nothing where it is undecided."""
        probability, threshold = answer["probability"], answer["threshold"]
        if probability is None or threshold is None:
            return ""
        named = self.words["questions"][question]
        if answer.get("unsure"):
            shown = {name: self._percent(answer[name], 1) for name in ("probability", "low", "high", "threshold")}
            return self.words["unsure"].format(question=named, **shown)
        told = [self._share(value) for value in (probability, threshold)]
        if told[0] == told[1] and probability != threshold:
            pairs = [[self._percent(value, places) for value in (probability, threshold)] for places in (1, 2, 3)]
            told = next((pair for pair in pairs if pair[0] != pair[1]), pairs[-1])
        return self.words["probability"].format(question=named, probability=told[0], threshold=told[1])

    def _share(self, value):
        if 0 < value < 0.01:
            return self.words["under"]
        return self.words["over"] if 0.99 < value < 1 else self._percent(value, 0)

    def _percent(self, value, places):
        rounded = Decimal(100 * value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        text = str(rounded).replace(".", ",") if self.clinic.language in COMMA else str(rounded)
        return self.words["percent"].format(value=text)

    def _decision(self):
        """Boxes and lines for a decision on paper, or the decision that was entered, which is still to be signed."""
        said, decided = self.words["decision"], self.visit.decision or self.visit.earlier or {}
        boxes = [] if decided else [said["agree"], said["refer"], said["stay"]]
        by, when = shorten(decided.get("by") or "") or None, _time(decided["recorded"]) if decided else None
        return {
            "title": said["title"],
            "entered": self._entered(),
            "boxes": boxes,
            "other": said["other"],
            "lines": [(said["name"], by), (said["signature"], None), (said["date"], when)],
        }

    def _entered(self):
        """State the decision of a person on the answer, or on an earlier one; None if there is none."""
        said, advice = self.words["decision"], "refer" if self.visit.earlier else self.visit.advice
        if advice is None:
            return None
        told = {"refer": said["refer"], "do not refer": said["stay"]}.get(advice) or self.words["answers"]["again"]
        return self.words["station"]["entered"][self.visit.verdict or "earlier"].format(advice=told)

    def _foot(self):
        words, model = self.words, self.visit.model
        network = words["network"].format(name=plain(model["name"]), seen=plain(model["trained_on"]))
        point, rate = self._point(model["operating_point"]), model.get("unsure")
        asked = [words["points"]["unsure"].format(rate=round(100 * float(rate)))] if rate else []
        return [words["answered"].format(network=network), point, *asked, words["notADevice"]]

    def _point(self, point):
        """Name an operating point after its aim, which it may miss on other patients."""
        said, (kind, _, aim) = self.words["points"], point.partition("_")
        if point == BALANCED:
            return said["balanced"]
        if kind not in ("sensitivity", "specificity"):
            return said["other"].format(name=plain(point))
        missed = float(aim) if kind == "sensitivity" else 1 - float(aim)
        return said[kind].format(aim=round(100 * missed))


def _time(recorded):
    """Write the time of an entry to the minute."""
    return recorded[:16].replace("T", " ")


def _tone_of(finding):
    if finding in ("mild", "unsure"):
        return finding
    if finding in ("clear", "notReferable"):
        return "clear"
    if finding == "absent":
        return "none"
    return "refer" if finding in ("referable", "any", "ungradable") else "again"


def _is_told(reason):
    """Return whether a reason goes into the letter: a detail of the retina's circle repeats the reason before it."""
    return not reason.startswith(("no retina found", "the retina is "))
