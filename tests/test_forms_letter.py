"""The station's letter: what the page's letter says, nothing that could be markup, and one page on A4 and US Letter."""

import io
import json
import re
import shutil
import subprocess

import html5lib
import pytest
from form_visits import EARLIER, HOSTILE, LONG, SICK, VISITS, decided, make_visit, photograph
from PIL import Image
from test_jpeg import packages  # noqa: F401 (the tests against the page use it)
from test_letter import CASES, CLINIC, KEY, MISSING, NO_CLINIC, WORDS, letters  # noqa: F401 (a fixture)

from benchmarks.browser import BROWSERS
from eyenet.forms.clinic import LENGTHS, Clinic, languages, read_clinic
from eyenet.forms.letter import draw_letter, read_words, write_letter
from eyenet.forms.visit import SIDES, Photograph, anonymise
from eyenet.run.errors import StageError

against_the_page = pytest.mark.skipif(
    MISSING is not None and "Chromium" not in MISSING, reason=f"the letter is not compared with the page's: {MISSING}"
)
DRAWN = "400 synthetic drawings"


def as_station(page):
    """Make of a visit of the page one of the station."""
    shots = [Photograph(eye, one["row"], one["name"]) for eye in SIDES for one in page["eyes"][eye]]
    seen = DRAWN if page["synthetic"] else page["network"]["seen"]
    model = {"name": page["network"]["name"], "trained_on": seen, "operating_point": page["point"]}
    model |= {"unsure": page.get("unsure")}
    return make_visit(shots, page["joined"], model)


def plain_of(value):
    """Remove the keys that the page's test puts before its texts."""
    return json.loads(KEY.sub("", json.dumps(value, ensure_ascii=False)))


@against_the_page
@pytest.mark.parametrize("name", [name for name in CASES if name != "sample"])
def test_the_letter_says_what_the_page_says(letters, name):  # noqa: F811
    visit = as_station(CASES[name][0])
    for theirs, clinic in zip(plain_of(letters[name]), (NO_CLINIC, CLINIC), strict=True):
        ours = json.loads(json.dumps(write_letter(visit, Clinic(**clinic))))
        for part in ("title", "demonstration", "tone", "answer", "note", "urgency", "advice"):
            assert ours[part] == theirs[part], part
        assert [ours["clinic"] or None, ours["reach"]] == [theirs["clinic"], theirs["reach"]]
        for our_eye, their_eye in zip(ours["eyes"], theirs["eyes"], strict=True):
            assert [our_eye[part] for part in ("eye", "tone", "finding")] == [
                their_eye[part] for part in ("eye", "tone", "finding")
            ]
            if their_eye["shot"] and their_eye["shot"]["row"]["result"] != "not read":  # the station keeps no such row
                assert our_eye["lines"] == their_eye["lines"]
        assert ours["decision"] == theirs["decision"] | {"entered": None}
        foot = [text for text in theirs["foot"] if text != WORDS["marks"]]  # the station's letter has no contours
        assert ours["foot"][1:] == foot[1:] and (visit.synthetic or ours["foot"][0] == foot[0])


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_are_texts(kind):
    text = HOSTILE[kind]
    shot = photograph("right", SICK | {"reasons": [text]}, name=text)
    visit = make_visit([shot, photograph("left")], patient=make_visit([]).patient._replace(id=text, name=text))
    visit = visit._replace(model=visit.model | {"name": text[:500], "trained_on": text[:500]})
    page = draw_letter(visit, Clinic(text[:80], clear=text[:100]))
    tags, names = elements(page)
    allowed = {"body", "article", "header", "strong", "h1", "h2", "h3", "dl", "div", "dt", "dd", "section", "p", "span"}
    assert tags <= allowed | {"ul", "li", "footer", "html", "head", "meta", "title", "style"}
    assert names <= {"lang", "charset", "http-equiv", "content", "name", "class", "aria-hidden"}
    assert all(letter.isprintable() or letter in "\n\u00a0" for letter in page) and len(page) < 30_000


@pytest.mark.parametrize("name", VISITS)
@pytest.mark.parametrize("language", languages())
def test_the_letter_is_valid_html(name, language):
    visit = VISITS[name]._replace(photographs=[one._replace(picture=picture()) for one in VISITS[name].photographs])
    tags, _ = elements(draw_letter(visit, Clinic("Augenklinik", "Gasse 1", "123", language=language)))
    assert ("img" in tags) == bool(visit.photographs and not visit.doubts)


def elements(page):
    """The names of all elements and attributes of a page; an error if it is no valid HTML."""
    found = list(html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page).iter())
    return {one.tag for one in found if isinstance(one.tag, str)}, {name for one in found for name in one.attrib}


def test_only_what_the_source_told_is_in_it():
    visit = make_visit([photograph("right", SICK)], patient=make_visit([]).patient._replace(born=None))
    about = dict(write_letter(visit, Clinic())["about"])
    assert about["Birth date"] is None and about["Patient"] == "Doé, Jane, MRN 77" and about["Clinic"] is None
    assert dict(write_letter(anonymise(visit), Clinic())["about"])["Patient"] is None


# By visit of a person's decision: what the title adds, what was entered, the tone, and the next screening.
DECIDED = {
    "accepted": ("Refer", "accepted the answer of the software: Refer", "refer", "The specialist decides"),
    "accepted, again": ("Photograph again", "accepted the answer of the software: Photograph again", "again", "First"),
    "overruled": ("overruled by a person", "overruled the answer of the software: Do not refer", "none", "The clinic"),
    "missed": ("overruled by a person", "overruled the answer of the software: Refer", "none", "The specialist"),
    "sent on": ("a person has decided", "A person decided: Refer", "none", "The specialist decides"),
    "sent home": ("a person has decided", "A person decided: Do not refer", "none", "The clinic decides"),
}


@pytest.mark.parametrize("name", DECIDED)
def test_the_letter_says_what_a_person_decided(name):
    title, entered, tone, screening = DECIDED[name]
    clinic = Clinic("Augenklinik", clear="in 12 months")
    letter = write_letter(VISITS[name], clinic)
    assert title in letter["answer"] and letter["tone"] == tone and letter["advice"][0][1].startswith(screening)
    assert letter["decision"]["entered"].endswith(entered) and letter["decision"]["boxes"] == []
    lines = [("Name", "Dr Roe"), ("Signature", None), ("Date", "2026-03-31 17:00")]
    assert letter["decision"]["lines"] == lines
    assert tone != "none" or not [eye for eye in letter["eyes"] if eye["tone"] == "clear"]
    assert (letter["urgency"] is None) == (tone == "none")  # what the software says of it no longer holds
    page = draw_letter(VISITS[name], clinic)
    assert letter["decision"]["entered"] in page and "Dr Roe" in page and "I agree" not in page
    assert "I agree" in draw_letter(VISITS["clear"], clinic)


def test_a_decision_on_files_in_doubt_is_in_the_letter():
    visit = VISITS["doubtful"]._replace(decision=decided(False))
    letter = write_letter(visit, Clinic())
    assert letter["decision"]["entered"].endswith("Refer") and "overruled" in letter["answer"] and not letter["eyes"]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("verdict", ["accepted", "overruled", "sent on"])
def test_a_decision_has_words_in_each_language(language, verdict):
    words, visit = read_words(language), VISITS[verdict]
    letter = write_letter(visit, Clinic(language=language))
    advice = words["decision"]["stay" if visit.advice == "do not refer" else "refer"]
    assert letter["decision"]["entered"] == words["station"]["entered"][visit.verdict].format(advice=advice)


def test_an_anonymous_decision_names_nobody():
    letter = write_letter(anonymise(VISITS["overruled"]), Clinic())
    assert letter["decision"]["lines"] == [("Name", None), ("Signature", None), ("Date", "2026-03-31 17:00")]


def test_the_time_of_receipt_is_not_called_the_date_of_the_photographs():
    assert dict(write_letter(VISITS["clear"], Clinic())["about"])["Date"] == "2026-03-30"
    about = dict(write_letter(VISITS["files"], Clinic())["about"])
    assert about["Received"] == "2026-03-31 10:15" and "Date" not in about


def test_files_in_doubt_show_no_findings_and_a_referral_stays():
    again = {"result": "photograph again", "reasons": ["the same file as 6_right.jpeg"], "questions": {}}
    letter = write_letter(make_visit([photograph("right"), photograph("left")], again), Clinic())
    assert letter["eyes"] == [] and letter["decision"] is None and "No result" in letter["answer"]
    refer = again | {"result": "referable DR", "questions": SICK["questions"]}
    letter = write_letter(make_visit([photograph("right", SICK), photograph("left")], refer), Clinic())
    assert letter["eyes"] == [] and letter["answer"] == "Refer" and "not certain" in letter["note"]
    assert "6_right" not in json.dumps(letter)


def test_the_settings_of_a_clinic(tmp_path):
    path = tmp_path / "clinic.toml"
    path.write_text('name = "Augenklinik"\nclear = "in 12 months"\nlanguage = "es"\n', encoding="utf-8")
    assert read_clinic(path) == Clinic("Augenklinik", clear="in 12 months", language="es")
    wrong = {"nam = 1": "no setting", "name = 1": "a text", 'language = "xx"': "one of", "name": "no TOML file"}
    wrong[f'name = "{"x" * 81}"'] = "at most 80"
    for text, told in wrong.items():
        path.write_text(text)
        with pytest.raises(StageError, match=told):
            read_clinic(path)
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(StageError, match="no TOML file"):
        read_clinic(path)
    with pytest.raises(StageError, match="cannot be read"):
        read_clinic(tmp_path / "none.toml")


LONGEST = Clinic(**{name: (LONG * 2)[:length] for name, length in LENGTHS.items()})


def longest_visit(grade=SICK, answer=None, **changes):
    """The letter with the longest texts: a drawn network, all reasons, several photographs, the longest names."""
    reasons = ["retina cut off", "too dark", "out of focus", "low contrast", "detail lost"]
    poor = grade | {"gradable": False, "reasons": reasons, "grade": 4}
    shots = [photograph(eye, poor, number, name=f"{LONG}.dcm", picture=picture()) for eye in SIDES for number in (1, 2)]
    model = make_visit([]).model | {"trained_on": f"{DRAWN} of {LONG[:90]}", "unsure": "0.05"}
    shots = [one._replace(source={}) for one in shots]  # the time of receipt is longer than a date
    patient = make_visit([]).patient._replace(id=LONG, name=LONG)
    return make_visit(shots, answer, model, patient=patient, **changes)


def picture():
    """A JPEG of the size of a crop."""
    opened = io.BytesIO()
    Image.effect_noise((512, 512), 90).convert("RGB").save(opened, "JPEG")
    return opened.getvalue()


MILDER = make_visit([photograph("right"), photograph("left")]).answer  # does not refer, so an earlier decision is said
# By what a person decided: the changes of the longest visit.
DECISIONS = {
    "open": {},
    "decided": {"decision": decided(False, by=LONG)},
    "earlier": {"earlier": EARLIER | {"by": LONG}, "answer": MILDER},
}


@pytest.mark.slow
@pytest.mark.skipif(BROWSERS["chromium"] is None, reason="no Chromium")
@pytest.mark.parametrize("size", ["A4", "letter"])
@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", DECISIONS)
def test_one_page(tmp_path, size, language, name):
    """Also with the longest texts, and with nothing below the end of the page."""
    page = draw_letter(longest_visit(**DECISIONS[name]), LONGEST._replace(language=language))
    page = page.replace("@page {", f"@page {{ size: {size};")
    free = page.replace("height: 256mm;", "").replace("contain: size;", "")  # as high as the texts and least pictures
    assert len(free) < len(page)
    for kind, written in (("letter", page), ("free", free)):
        (tmp_path / f"{kind}.html").write_text(written, encoding="utf-8")
        print_page(tmp_path / f"{kind}.html", tmp_path / f"{kind}.pdf")
        assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / f"{kind}.pdf").read_bytes())) == 1, kind


def print_page(path, target):
    """Print a page with Chromium, as a PDF."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={target.parent / 'profile'}"]
    command = [BROWSERS["chromium"], *options, "--no-pdf-header-footer", f"--print-to-pdf={target}", path.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    shutil.rmtree(target.parent / "profile", ignore_errors=True)
