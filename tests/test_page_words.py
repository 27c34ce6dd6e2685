"""The words of the page are in app/src/words/, a file for each language, and nowhere else."""

import html
import re
import shutil
import subprocess

import pytest
from conftest import REPO

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
    done = subprocess.run([compiler, "-p", tmp_path], check=False, capture_output=True, text=True, timeout=120)
    lines = [int(line) for line in re.findall(r"foreign\.ts[(:](\d+)", done.stdout)]
    assert lines == [6, 7, 8, 9], done.stdout
    assert "src/" not in re.sub(r"foreign\.ts.*", "", done.stdout), done.stdout
