"""The words of the page are in app/src/words/, a file for each language, and nowhere else."""

import html
import json
import re
import shutil
import subprocess

import pytest
from conftest import REPO

from benchmarks.browser import run_node

APP = REPO / "app"
NAME = "EyeNet"  # the same in every language
# Where a string reaches the user without the types of text.ts.
PLAIN = re.compile(r"""(?:verbatim\(|\.append\(|(?:textContent|innerText|innerHTML|title) = )["'`][^"'`]*[^\W\d_]""")
FOREIGN = """
import {{ el, say }} from "{app}/src/dom";
import {{ words }} from "{app}/src/words";
say(words.status.ready);
el("p", {{ "aria-label": words.header.pages }}, words.patient.title, words.eyes.left);
say("Ready");
el("p", {{}}, "Ready");
el("img", {{ alt: "Ready" }});
el("p", {{}}, `${{words.eyes.left}}: ready`);
"""
# By what is wrong: a careless translation.
SPOILED = {
    "the same as in English": ["ko", "patient.title", "Patient"],
    "English words (results, yet)": ["es", "history.empty", "No results yet."],
    "depends on Eye otherwise": ["ko", "patient.photograph", "눈을 촬영하세요"],
    "other values than in English": ["es", "letter.probability", "{question}: {probability}"],
    "missing": ["es", "guide.tips.2", None],
}
CHOICES = {  # by what the user chose, and what the browser asks for
    (None, ("fr-FR", "es-MX", "ko")): "es",
    (None, ("KO-kr", "es")): "ko",
    (None, ("fr",)): "en",
    (None, ()): "en",
    ("en", ("ko-KR",)): "en",
    ("xx", ("ko-KR",)): "ko",
}
PROBLEMS = {
    '["empty"]': "The file is empty. Copy it from the camera again.",
    '["profileFor","Lab"]': "The colour profile is for Lab and was left out.",
    "The file is empty.": "The file is empty.",  # kept by an earlier version
    '["of a later version"]': '["of a later version"]',
}

SEEN = (
    "4,516 photographs of Kaggle's 2015 competition (EyePACS)",
    "synthetic drawings",
    "photographs of patients",
    "something of a later version",
)


@pytest.fixture(scope="module")
def said():
    """Compare the languages with English."""
    if shutil.which("node") is None or not (APP / "node_modules" / "vite").exists():
        pytest.skip("the words are not tested: no Node.js, or no packages (cd app && npm ci)")
    jobs = {"spoiled": list(SPOILED.values()), "choices": list(CHOICES), "problems": list(PROBLEMS), "seen": SEEN}
    return run_node("words.mjs", json.dumps(jobs))


def test_every_word_is_translated(said):
    """Each text differs from English, depends on the same values, and has no English word left."""
    assert said["found"] == []
    marked = said["unreviewed"]
    assert set(marked) == {path.stem for path in (APP / "src/words").glob("*.ts")} >= {"en", "ko", "es"}
    assert marked.pop("en") == "" and all(marked.values())


def test_the_language_is_the_chosen_one_or_the_browsers(said):
    assert said["chosen"] == list(CHOICES.values())


def test_a_problem_is_said_in_the_language_of_the_day(said):
    assert said["said"] == list(PROBLEMS.values())


def test_what_the_export_tells_in_english_is_known(said):
    """What the network that ships was trained and measured on has words in each language."""
    assert said["seen"] == list(SEEN)
    (source,) = re.findall(r'^SOURCE = "(.+)"', (REPO / "pretrained/train.py").read_text(), re.MULTILINE)
    (test,) = re.findall(r'^TEST = "(.+)"', (REPO / "pretrained/card.py").read_text(), re.MULTILINE)
    words = (APP / "src/words/en.ts").read_text(encoding="utf-8")
    assert f'sources: {{ "{source}":' in words and f'"{test}":' in words


def test_what_an_operating_point_reached_is_said_with_its_intervals(said):
    """Specificity is said as false alarms, and so is its interval."""
    found = {"value": 0.94, "low": 0.706, "high": 0.999}
    right = {"value": 0.88, "low": 0.85, "high": 0.931}
    both, one = {"sensitivity": found, "specificity": right}, {"sensitivity": found, "specificity": None}
    questions = {"any": {"p": both}, "referable": {"p": one, "other": both}}
    measured = {"set": "unseen test patients", "questions": questions}
    asked = ["any", "referable"]
    jobs = [["p", asked, measured], ["q", asked, measured], ["p", ["any"], None]]
    none = "Any retinopathy: not measured"
    assert run_node("points.mjs", json.dumps(jobs)) == [
        [
            "Any retinopathy: found 94 of 100 with it (71 to 100); 12 false alarms in 100 without it (7 to 15)",
            "Referable retinopathy: found 94 of 100 with it (71 to 100)",
        ],
        [none, "Referable retinopathy: not measured"],
        [none],
    ]


def test_a_careless_translation_is_found(said):
    found = said["careless"]
    for what, (language, path, _) in SPOILED.items():
        assert any([language, path] == place and what in said for *place, said in found), what
    assert {tuple(place) for *place, _ in found} == {(language, path) for language, path, _ in SPOILED.values()}


def test_the_html_has_no_words():
    page = (APP / "index.html").read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]*>", " ", page)
    told = re.findall(r'\s(?:alt|title|placeholder|aria-label)="([^"]+)"', page)
    assert set(html.unescape(shown).split()) == {NAME} and told == []


def test_no_string_of_the_sources_goes_around_the_types():
    found = [
        f"{path.name}: {line.strip()}"
        for path in APP.glob("src/*.ts")
        for line in path.read_text(encoding="utf-8").splitlines()
        if PLAIN.search(line)
    ]
    assert found == []
    assert PLAIN.search('status.textContent = "Ready";') and PLAIN.search("verbatim(`Photograph ${n}`)")


def test_the_compiler_refuses_words_from_elsewhere(tmp_path):
    compiler = APP / "node_modules" / ".bin" / "tsc"
    if shutil.which("node") is None or not compiler.exists():
        pytest.skip("the page is not tested: no Node.js, or no packages (cd app && npm ci)")
    (tmp_path / "foreign.ts").write_text(FOREIGN.format(app=APP.as_posix()), encoding="utf-8")
    types = APP / "node_modules" / "vite" / "client.d.ts"
    (tmp_path / "tsconfig.json").write_text(
        f'{{"extends": "{APP.as_posix()}/tsconfig.json", "compilerOptions": {{"types": ["{types.as_posix()}"]}}, '
        '"include": ["foreign.ts"]}'
    )
    done = subprocess.run([compiler, "-p", tmp_path], check=False, capture_output=True, text=True, timeout=1800)
    lines = [int(line) for line in re.findall(r"foreign\.ts[(:](\d+)", done.stdout)]
    assert lines == [6, 7, 8, 9], done.stdout
    assert "src/" not in re.sub(r"foreign\.ts.*", "", done.stdout), done.stdout
