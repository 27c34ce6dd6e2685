"""The documentation: its figures equal those of the result files, and its links exist."""

import importlib
import json
import re
import sys

import pytest
from conftest import REPO

PAGES = [*REPO.glob("*.md"), *REPO.glob("docs/*.md"), REPO / "app" / "README.md", REPO / "labels" / "README.md"]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
SCRIPTS = sorted(path.name for path in [*REPO.glob("*.py"), *REPO.glob("*.sh")])


def run_main(name, monkeypatch):
    """Run `docs/NAME.py --check`; its exit code."""
    monkeypatch.syspath_prepend(REPO / "docs")
    monkeypatch.setattr(sys, "argv", [name, "--check"])
    return importlib.import_module(name).main()


def test_the_readme_is_short_and_its_figures_are_the_measured_ones(monkeypatch):
    assert len((REPO / "README.md").read_text().splitlines()) <= 200
    assert not run_main("tables", monkeypatch)


def test_the_drawn_rooms_are_those_of_the_imports(monkeypatch):
    """After a change of the imports, of who uses a room or of its docstring: python docs/rooms.py."""
    assert not run_main("rooms", monkeypatch)


def test_the_readme_states_the_figures_of_the_network_that_ships():
    """Its answer to scikit-image's retina, and its referrals of the test photographs; both move with the network."""
    readme = (REPO / "README.md").read_text()
    folder = REPO / "pretrained" / "eyenet-lite"
    answers = json.loads((folder / "config.json").read_text())["examples"]["retina"]
    shown = re.search(r"retina\.jpg +([\d.]+) +([\d.]+)  ", readme)
    assert [float(figure) for figure in shown.groups()] == [round(answers[q], 3) for q in ("any", "referable")]
    eye = json.loads((folder / "metrics.json").read_text())["questions"]["referable"]["eye"]
    found = eye["sensitivity"], {key: 1 - eye["specificity"][key] for key in ("value", "low", "high")}
    for figure, (low, high) in zip(found, (("low", "high"), ("high", "low"))):
        value, least, most = (f"{100 * figure[key]:.0f}" for key in ("value", low, high))
        assert f"{value} %\n  ({least} to {most} %)" in readme or f"{value} % ({least} to {most} %)" in readme


def test_a_table_says_what_was_missed_and_refuses_a_figure_that_was_not_measured(monkeypatch):
    monkeypatch.syspath_prepend(REPO / "docs")
    tables = importlib.import_module("tables")
    rows = [{"value": value, "unit": "ratio", "asked": ">= 0.95"} for value in ("0.9", "0.95")]
    assert tables.required(rows) == "at least 0.95 x: **missed** by 1 of 2"
    assert tables.required(rows[1:]) == "at least 0.95 x"
    assert tables.required([{"value": "2", "unit": "of 9", "asked": "0"}]) == "0: **missed**"
    assert tables.digits("8.6e-07, 0.0037, 1.00, 17.25, 1190 of 976") == "8.6e-7, 0.0037, 1.00, 17.2, 1,190 of 976"
    monkeypatch.setattr(tables, "read", dict)
    with pytest.raises(SystemExit, match="table gpu: .* has no row"):
        tables.measured("gpu")


def test_links_lead_to_files_and_headings():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith("http"):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert anchor in [re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles], link


def options_shown(script):
    """List the options that the pages show after the name of a script; those after ` -- ` are for cnn.py."""
    found = {}
    for page in PAGES:
        for command in re.findall(rf"(?<![\w/]){re.escape(script)}([^`\n|;#&]*)", page.read_text()):
            found.update(dict.fromkeys(OPTION.findall(command.split(" -- ")[0]), page.name))
        if script == "cnn.py":
            for command in re.findall(r"run_pipeline\.sh[^`\n]* -- ([^`\n]*)", page.read_text()):
                found.update(dict.fromkeys(OPTION.findall(command), page.name))
    return found


def help_of(script, monkeypatch, capsys):
    """Return what `script --help` prints, run in this process; for a shell script its source, which has the usage."""
    if script.endswith(".sh"):
        return (REPO / script).read_text()
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.syspath_prepend(REPO)
    with pytest.raises(SystemExit):
        importlib.import_module(script.removesuffix(".py")).main()
    return capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_in_the_documentation_exists(script, monkeypatch, capsys):
    shown = options_shown(script)
    text = help_of(script, monkeypatch, capsys) if shown else ""
    missing = {option: page for option, page in shown.items() if not re.search(rf"{option}(?![\w-])", text)}
    assert not missing, f"{script} has no such options"
