"""report.html: it has every figure, loads nothing from elsewhere, and fits a desktop and a phone."""

import copy
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from markupsafe import Markup
from report_fixtures import (
    BALANCE,
    DECIMALS,
    EVIL,
    NULL,
    Page,
    figure,
    make_config,
    make_examples,
    make_history,
    make_metrics,
    without_figures,
)

from evaluate import choose_examples
from eyenet.data.tasks import TASKS
from eyenet.model.disclaimers import SYNTHETIC_FIGURES
from eyenet.model.predictions import Scored
from eyenet.report.assessment import assess_grade
from eyenet.report.card import write_model_card
from eyenet.report.cautions import cautions
from eyenet.report.charts import best_epoch, roc_chart
from eyenet.report.checklists import STATUSES, fill_checklists
from eyenet.report.html import write_report
from eyenet.report.subgroup_tables import group_tables
from eyenet.report.tables import SHOWN
from eyenet.report.terminal import figures_text
from eyenet.report.words import LIMITED_GRADE, SHOWN_GRADE, decimal, headline, interval_text, percent, point_name
from eyenet.report.workload import ROWS
from eyenet.score.metrics import METRIC_NAMES


def report(path, task="any", metrics=None, config=None, history=None, examples=None, balance=BALANCE):
    """Write a report and read it."""
    write_report(
        path,
        make_metrics(task) if metrics is None else metrics,
        make_config(task) if config is None else config,
        make_history() if history is None else history,
        make_examples(task) if examples is None else examples,
        balance,
        0.8,
    )
    return Page(path)


def figures_in(value, key=""):
    """Iterate over the figures of metrics.json: the key and the figure with its interval."""
    if isinstance(value, dict) and value.keys() == NULL.keys():
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in ("workload", "decision_curve", "ungradable"):  # of 1,000, as a chart, in the flow
                kept = name in ("before", "after") or name.startswith("0.")
                yield from figures_in(part, key if kept else name)
    elif isinstance(value, list):
        for part in value:
            yield from figures_in(part, key)


LONG = "photographs of " + "a_very_long_name" * 9


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The reports on 36 patients by task; that for the grade has a long title."""
    folder = tmp_path_factory.mktemp("pages")
    return {
        "any": report(folder / "any.html"),
        "grade": report(folder / "grade.html", "grade", make_metrics("grade") | {"set": LONG}),
    }


@pytest.fixture
def page(pages):
    return pages["any"]


@pytest.fixture
def undrawn(monkeypatch):
    """Charts with a label and no drawing, which would take most of the time of a report."""
    empty = Markup('<svg role="img" aria-label="{}"></svg>')
    monkeypatch.setattr("eyenet.report.charts.draw_chart", lambda name, label, *_, **__: empty.format(label))


def check_whole(page):
    """Check what every report needs: well-formed HTML, no external files, unique ids, no Python reprs."""
    assert page.source.startswith('<!doctype html>\n<html lang="en">')
    assert not page.open
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "foreignobject"} & set(tags)
    assert tags.count("main") == tags.count("h1") == tags.count("title") == 1
    policy = {a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"}
    assert policy == {"default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
    assert "http:" not in page.source and "https:" not in page.source and "//" not in "".join(page.every("style"))
    assert "@import" not in page.source
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.every("src"))
    ids = page.every("id")
    assert len(ids) == len(set(ids))
    links = [href for href in page.every("href")] + re.findall(r"url\(([^)]+)\)", page.source)
    assert links and {link.removeprefix("#") for link in links} <= set(ids)
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]
    assert not re.search(r"\b(None|nan|inf|True|False|NaN|undefined)\b", page.text)
    assert not re.search(r"\bnan\b", page.source)
    labelled = [a for tag, a in page.tags if tag == "img" or a.get("role") == "img"]
    assert all(a.get("alt") or a.get("aria-label") for a in labelled)
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all(a.get("scope") in ("row", "col") for tag, a in page.tags if tag == "th")
    return page


@pytest.mark.parametrize("task", ["any", "referable", "grade"])
def test_the_report_is_one_whole_page(pages, undrawn, task, tmp_path):
    page = check_whole(pages.get(task) or report(tmp_path / "report.html", task))
    charts = [a["aria-label"] for tag, a in page.tags if tag == "svg"]
    questions = len(TASKS[task].questions)
    assert len(charts) == questions * (8 + 2) + 3  # charts and two pictures of 100 people; classes, loss, AUC
    assert (
        ("Agreement with the grade" in page.text) == ("predict.py shows the network" in page.text) == (task == "grade")
    )
    assert ("64.0 %" in page.text) == (task == "grade")  # of the photographs have a shown grade
    assert page.source.count("data:image/jpeg") == questions * 16
    for name in make_config()["settings"] | make_config()["versions"]:
        assert name.replace("_", " ") in page.text
    for value in (
        "575f698c0ffee5e2b7f1f0b1f0d1c3a5b7e9f001",
        "9738085d4727c2",
        "baa01dc8cd4db",
        "2,000 draws",
        "seed 7",
    ):
        assert value in page.text


@pytest.mark.parametrize("task", ["any", "grade"])
def test_every_figure_of_the_metrics_is_on_the_page(pages, task):
    metrics, text, count = make_metrics(task), pages[task].text.replace(" †", ""), 0
    for key, found in figures_in(metrics):
        show = decimal if key in DECIMALS else percent
        ends = (found["low"], found["high"])
        low, high = (show(end).replace("\xa0", " ") if end is not None else None for end in ends)
        if found["value"] is not None:
            count += 1
            value = show(found["value"]).replace("\xa0", " ")
            interval = f"{low.removesuffix(' %')} to {high}" if low else "no interval"
            assert f"{value} {interval}" in text, (key, found)
    assert count > 150
    asked = metrics["questions"]["any"]
    for key in SHOWN:
        name, show = METRIC_NAMES[key][0], decimal if key in DECIMALS else percent
        units = (asked["patient"][key], asked["eye"][key])
        row = [f"{show(found['value'])} {interval_text(found, show)}" for found in units]
        assert f"{name} {' '.join(row)}".replace("\xa0", " ") in text
    for unit in ("eye", "patient"):
        for name in ROWS:
            value, low, high = (round(1000 * asked[unit]["workload"][name][end]) for end in ("value", "low", "high"))
            assert f" {value} {low} to {high} " in text, name
        for row in metrics["questions"]["any"][unit]["by_grade"]:
            assert f" {row['count']:,} " in text
        for point in metrics["questions"]["any"][unit]["operating_points"].values():
            assert f"{point['threshold']:.4g}" in text


def test_the_checklists_are_counted_and_collapsed(page):
    text = page.text[page.text.index("Items of the checklists") :]
    for one in fill_checklists(make_metrics(), make_config()):
        counts = [one.number_of(status) for status in STATUSES]
        assert f"{one.name} {len(one.items)} {' '.join(map(str, counts))} " in text
        assert f"Show the {len(one.items)} items of {one.name} " in text
        for item in one.items:
            shown = f"{item.number} {item.topic} {item.status} {item.answer}".replace("\xa0", " ").strip()
            assert shown in text, item
    closed = [a for tag, a in page.tags if tag == "details" and a.get("class") == "checklist"]
    assert len(closed) == 3 and not any("open" in attributes for attributes in closed)


def test_figures_that_are_not_defined_say_why(tmp_path):
    one_class = make_metrics(patients=3, shares=(1, 0, 0, 0, 0))
    page = check_whole(report(tmp_path / "one.html", "any", one_class))
    assert "– one class only" in page.text and "All 3 patients are of one class" in page.text

    nobody = without_figures(make_metrics(patients=20))
    for asked in nobody["questions"].values():
        asked["baselines"]["not_retina"] = None
        asked["patient"]["operating_points"]["balanced"]["threshold"] = None
    page = check_whole(report(tmp_path / "null.html", "any", nobody, {}, [], {}, {}))
    assert "no positive prediction" in page.text and "– (unknown)" in page.text and "not measured" in page.text
    assert "Training" not in page.every("id") and "not compared with the shortcut" in page.text


def test_figures_that_are_no_numbers_are_not_defined(undrawn, tmp_path):
    infinite = json.loads(json.dumps(make_metrics(), default=str).replace('"value": 0.5,', '"value": NaN,'))
    check_whole(report(tmp_path / "nan.html", "any", infinite))
    check_whole(report(tmp_path / "null.html", "grade", without_figures(make_metrics("grade"))))


def test_an_interval_that_is_not_defined_is_not_made_up(undrawn, tmp_path):
    metrics = make_metrics()
    metrics["questions"]["any"]["patient"]["auc"] = {"value": 0.8125, "low": None, "high": None}
    assert "0.813 no interval" in check_whole(report(tmp_path / "r.html", "any", metrics)).text.replace(
        "0.812", "0.813"
    )


def test_bounds_are_marked_and_explained(undrawn, tmp_path):
    metrics = make_metrics()
    metrics["questions"]["any"]["patient"]["auc"] = {"value": 1.0, "low": 0.735, "high": 1.0}
    metrics["questions"]["any"]["patient"]["sensitivity"] = {"value": 0.9996, "low": 0.61, "high": 1.0}
    text = check_whole(report(tmp_path / "r.html", "any", metrics)).text
    assert "1.000 0.735 to 1.000 †" in text and "61.0 to 100.0 % †" not in text
    assert "exact Clopper-Pearson limit" in text


def test_the_summary_tells_the_flow_and_the_network(page, undrawn, tmp_path):
    for words in (
        "400 found 5 left out: the file is truncated 3 left out: all black also 1 label without a photograph",
        "392 kept 250 for training 70 for validation 72 for the test",
        "72 evaluated 2 of them ungradable: 3.0 %",
        "Network cnn (three layers)",
        "It has seen trained on photographs; 360 for training; 72 to choose the epoch and the thresholds",
    ):
        assert words in page.text, words
    unknown = make_metrics() | {"flow": None}
    text = check_whole(report(tmp_path / "r.html", "any", unknown)).text
    assert "It is not known how many photographs were left out" in text and "2 of them ungradable" in text


def test_names_are_escaped(undrawn, tmp_path):
    metrics = make_metrics() | {"set": f"photographs of {EVIL}", "model": EVIL}
    examples, config = make_examples(), make_config()
    examples["any"][0]["image"] = EVIL
    config["machine"] = EVIL
    config["settings"][EVIL] = "\udcff"  # from a file name that is not UTF-8
    page = check_whole(report(tmp_path / "report.html", "any", metrics, config, None, examples))
    assert page.text.count(EVIL) >= 5 and f"Photograph {EVIL}" in page.every("alt")
    assert "<script" not in page.source


def test_examples_show_right_and_wrong_beside_their_heat_maps(page, undrawn, tmp_path):
    right, wrong = (
        page.text.index("Most confident correct predictions"),
        page.text.index("Most confident wrong predictions"),
    )
    assert right < page.text.index("0_left Grade 3 (Severe), predicted disease") < wrong
    assert wrong < page.text.index("5_left Grade 3 (Severe), predicted no DR , probability")
    assert page.every("alt").count("Heat map of photograph 0_left") == 1
    only_right = {"any": make_examples()["any"][:2]}
    assert "Most confident wrong predictions" not in report(tmp_path / "right.html", examples=only_right).text


def test_photographs_of_another_hospital_have_one_split(undrawn, tmp_path):
    metrics = make_metrics() | {"set": "photographs of elsewhere", "source": "photographs"}
    metrics["splits"] = {"test": metrics["splits"]["test"]}
    page = check_whole(report(tmp_path / "report.html", "any", metrics, balance={"test": BALANCE["test"]}))
    assert page.text.count("photographs of elsewhere") >= 4 and "training patients" not in page.text


def test_two_reports_are_the_same_bytes(page, tmp_path):
    assert page.source == report(tmp_path / "report.html").source


def with_auc(metrics, value, low, high):
    for unit in ("patient", "eye"):
        metrics["questions"]["any"][unit]["auc"] = {"value": value, "low": low, "high": high}
    return metrics


def test_the_verdict_is_in_words():
    metrics = make_metrics(patients=2000)
    asked = metrics["questions"]["any"]
    asked["patient"]["sensitivity"]["value"], asked["patient"]["specificity"]["value"] = 0.824, 0.937
    assert headline(asked) == (
        "It detects 82 of 100 patients with disease; of 100 without disease, 6 are false positives."
    )
    assert "chance" in headline(with_auc(metrics, 0.55, 0.5, 0.6)["questions"]["any"])
    asked["patient"]["specificity"] = NULL
    assert "one class" in headline(asked)


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("set is small: of 36 patients", lambda m: make_metrics()),
        ("no better than chance", lambda m: with_auc(m, 0.6, 0.45, 0.7)),
        (
            "shortcut baseline, a classifier that does not see the retina, is as good",
            lambda m: with_auc(m, 0.6, 0.58, 0.63),
        ),
        ("lies within the network's interval", lambda m: with_auc(m, 0.65, 0.6, 0.7)),
        (
            "always predicting the majority",
            lambda m: m["questions"]["any"]["eye"].update(accuracy=figure(0.3, 99)) or m,
        ),
        (
            "interval spans 38 percentage points",
            lambda m: m["questions"]["any"]["patient"].update(sensitivity=figure(0.5, 27)) or m,
        ),
        ("not compared", lambda m: m["questions"]["any"]["baselines"].update(not_retina=None) or m),
        ("are validation patients", lambda m: m["splits"].pop("test") and m),
        (
            "missed on these photographs: sensitivity of 90 %: 71.0 % (",
            lambda m: (
                m["questions"]["any"]["eye"]["operating_points"]["sensitivity_0.9"].update(
                    sensitivity=figure(0.71, 300)
                )
                or m
            ),
        ),
        (
            "probabilities worse here: expected calibration error (ECE) per patient 0.081 before and 0.120 after",
            lambda m: m["questions"]["any"]["patient"]["calibration"]["after"].update(ece=figure(0.12, 300)) or m,
        ),
    ],
)
def test_what_speaks_against_the_figures_is_said(words, change):
    plain = make_metrics(patients=3000, skill=2.0)
    for unit in ("patient", "eye"):
        for name, point in plain["questions"]["any"][unit]["operating_points"].items():
            rate, _, target = name.rpartition("_")
            point |= {rate: figure(float(target), 3000)} if rate else {}
    assert not cautions(plain, "any")
    said = cautions(change(copy.deepcopy(plain)), "any")
    assert [c for c in said if words in c.replace("\xa0", " ")], said


def test_patients_that_the_network_knows_are_told_first(undrawn, tmp_path):
    """Under the protocol of 2017 they are in training; in a folder of photographs, only their names may be equal."""
    metrics = make_metrics(patients=3000)
    assert not [c for c in cautions(metrics, "any") if "too high" in c]
    metrics["known_patients"] = 135
    told = cautions(metrics, "any")[0].replace("\xa0", " ")
    assert "has seen 135 of the 3,000 patients in training or validation" in told and "2017 protocol" in told
    page = report(tmp_path / "report.html", metrics=metrics).text
    assert "2017 protocol" in page and "Originals only" not in page
    assert "have the same name" in cautions(metrics | {"source": "photographs"}, "any")[0]
    alike = cautions(metrics | {"known_patients": 0, "alike_patients": 1}, "any")[0].replace("\xa0", " ")
    assert alike.startswith(
        "1 of the 3,000 patients may also be among the patients seen in training or validation, where another set"
    )


def test_figures_of_an_older_version_say_that_its_grades_were_changed(tmp_path):
    metrics = make_metrics("grade") | {"subgroups": None}
    del metrics["grade"]["shown"]["share"]
    page = check_whole(report(tmp_path / "report.html", "grade", metrics))
    write_model_card(tmp_path / "card.md", metrics, make_config("grade"))
    card = (tmp_path / "card.md").read_text()
    for text in (page.text, card):
        assert "limited by its answers" in text and LIMITED_GRADE in text and SHOWN_GRADE not in text
    line = next(line for line in figures_text(metrics).splitlines() if "that predict.py shows" in line)
    assert "of the photographs" not in line and "with a shown grade" not in card


def test_kappa_of_groups_is_named_as_what_it_is():
    metrics, undefined = make_metrics("grade"), dict.fromkeys(("value", "low", "high"))
    eye = metrics["questions"]["any"]["eye"]
    eye = {key: {**eye[key], "difference": None} for key in ("sensitivity", "specificity", "auc")}
    part = {"kappa": undefined, "questions": {"any": {"eye": eye | {"count": 9, "diseased": 4}, "patient": None}}}
    metrics["subgroups"] = {"columns": {"eye": {"left": part, "right": part}}}
    (table,) = group_tables(metrics, "any", "eye")
    assert table.columns[-1] == "kappa of the shown grade, per photograph"
    assert "no grade is shown" in table.rows[0][1][-1].why
    del metrics["grade"]["shown"]["share"]  # as in the metrics.json of an older version
    (table,) = group_tables(metrics, "any", "eye")
    assert table.columns[-1] == "kappa, per photograph" and table.rows[0][1][-1].why == "one class only"


def test_a_set_without_a_shown_grade_has_no_kappa_of_it(tmp_path):
    """Every answer refers, and the network gives grade 0 to each photograph."""
    count, cuts = 40, [0.5, 1.5, 2.5, 3.5]
    table = pd.DataFrame({"image": range(count), "patient": range(count), "level": np.arange(count) % 5, "gradable": 1})
    scored = Scored(table, np.tile([0.9, 0.1, 0, 0, 0], (count, 1)), np.zeros((count, 1)), None, "x", False, 0)
    decision = {"any": eye_decision(0.05), "referable": eye_decision(0), "grade": {"cuts": cuts}}
    config = {"task": "grade", "decision": decision}
    found = assess_grade(scored, config, 100, 0)
    assert found["accuracy"]["value"] == 0.2 and found["shown"]["share"]["value"] == 0
    assert found["shown"]["kappa"]["value"] is None and np.sum(found["shown"]["confusion"]) == 0
    metrics = make_metrics("grade") | {"subgroups": None, "grade": found}
    page = check_whole(report(tmp_path / "report.html", "grade", metrics))
    assert "no grade is shown" in page.text and "grade" in figures_text(metrics)


def eye_decision(threshold):
    return {"temperature": 1.0, "shift": 0.0, "eye": {"operating_points": {"balanced": threshold}}}


def unknown(metrics):
    """Return metrics of photographs whose patients are unknown, and whose labels are binary."""
    for asked in metrics["questions"].values():
        asked["patient"] = None
        asked["unsure"] = {}
        asked["eye"]["by_grade"] = []
    return metrics | {"patients": None, "unknown_patients": metrics["photographs"], "by_grade": None, "grade": None}


@pytest.mark.parametrize("source", ["array", "photographs"])
def test_without_patients_no_figure_is_per_patient(source, tmp_path):
    metrics = unknown(make_metrics("referable", 100)) | {"source": source}
    page = report(tmp_path / "report.html", "referable", metrics, balance={})
    check_whole(page)
    split = "Photographs, not patients, were split"
    assert (split in page.text) == (source == "array") and "no figure is per patient" in page.text
    assert "of 100 photographs with disease" in page.text and "200 photographs of unknown patients" in page.text
    for text in (
        "100 patients",
        "per patient,",
        "Per patient,",
        "of patients by grade",
        "by the worst",
        "Grade 0 to 4",
    ):
        assert text not in page.text, text
    assert "Positive predictions by grade" not in page.text
    path = tmp_path / "MODEL_CARD.md"
    write_model_card(path, metrics, make_config("referable") | {"unknown_patients": 1000})
    card = " ".join(path.read_text().split())
    assert "Photographs, not patients, were split into training" in card and "per patient**" not in card
    assert "config: referable, per patient" not in card and "config: referable, per photograph" in card


def test_the_card_of_a_model_of_2017_says_how_it_was_trained(tmp_path):
    config = make_config()
    config["settings"]["images"]["input"]["protocol"] = "2017"
    write_model_card(tmp_path / "MODEL_CARD.md", make_metrics(), config)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "as in the EyeNet of 2017" in card and "before any copy was made" not in card


def test_synthetic_photographs_are_named_first(page, undrawn, tmp_path):
    assert (
        page.text.index(SYNTHETIC_FIGURES) < page.text.index("How well") + 400
        and "on synthetic photographs" in page.text
    )
    assert "ynthetic" not in report(tmp_path / "2.html", metrics=make_metrics(synthetic=False)).text
    for name, synthetic in (("a", True), ("b", False)):
        write_model_card(tmp_path / name, make_metrics(synthetic=synthetic), make_config())
        assert ("ynthetic" in (tmp_path / name).read_text()) == synthetic


def test_operating_points_have_names():
    assert point_name("balanced") == "balanced"
    assert point_name("sensitivity_0.9").replace("\xa0", " ") == "sensitivity of 90 %"


def test_the_kept_epoch_is_the_first_of_the_best():
    history = [{"epoch": float(e), "val_auc": auc} for e, auc in enumerate([0.6, 0.8, 0.8, 0.7], 1)]
    assert best_epoch(history) == 2
    assert best_epoch([{"epoch": 1.0}, {"epoch": 2.0, "val_auc": float("nan")}]) is None


def test_charts_follow_the_scheme_of_the_page():
    svg = str(roc_chart("one", make_metrics()["questions"]["any"]))
    assert "var(--blue)" in svg and "var(--orange)" in svg and "var(--ink)" in svg
    colors = set(re.findall(r"#[0-9a-f]{6}", svg))
    assert not colors, f"colours that dark mode cannot change: {colors}"
    assert "<metadata" not in svg and "<style" not in svg and 'id="one-' in svg


def luminance(color):
    """Compute the relative luminance of #rrggbb (WCAG 2.2)."""
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_suffices_in_light_and_dark():
    css = (REPO / "eyenet" / "report" / "report.css").read_text()
    light, dark, _ = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{[^}]*\}", css)
    )
    for scheme in (light, dark):
        for back in ("paper", "card", "warn"):
            for text in ("ink", "muted", "link", "orange-text", "blue-text"):
                assert contrast(scheme[text], scheme[back]) >= 4.5, (text, back)
        for line in ("blue", "orange", "grey"):
            assert contrast(scheme[line], scheme["card"]) >= 2.9, line
        blue, card = ([int(scheme[c][i : i + 2], 16) for i in (1, 3, 5)] for c in ("blue", "card"))
        shade = "#" + "".join(f"{round(0.42 * b + 0.58 * c):02x}" for b, c in zip(blue, card))
        assert contrast(scheme["ink"], shade) >= 4.5


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH")
def test_it_fits_a_desktop_and_a_phone_in_a_browser(pages, tmp_path):
    (tmp_path / "report.html").write_text(pages["grade"].source)
    (tmp_path / "wrapper.html").write_text(
        """<!doctype html><body>
        <iframe src="report.html" style="width:1280px;height:900px;border:0"></iframe>
        <iframe src="report.html" style="width:390px;height:900px;border:0"></iframe>
        <script>
        const measure = frame => {
          const page = frame.contentDocument.documentElement;
          const count = (what, which) => [...page.querySelectorAll(what)].filter(which).length;
          page.querySelectorAll("details").forEach(d => d.open = true);
          return {
            wide: frame.clientWidth, page: page.scrollWidth,
            scrolling: count(".scroll", box => box.scrollWidth > box.clientWidth),
            charts: count(".chart svg", chart => chart.getBoundingClientRect().width > 250),
            pictures: count("img", image => image.naturalWidth == 64),
          };
        };
        const frames = [...document.querySelectorAll("iframe")];
        onload = () => document.body.textContent = JSON.stringify(frames.map(measure));
        </script>"""
    )
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --hide-scrollbars --virtual-time-budget=15000 --dump-dom"
    own = ["--allow-file-access-from-files", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}"]
    command = ["chromium", *flags.split(), *own, (tmp_path / "wrapper.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=True)
    desktop, phone = json.loads(re.search(r"<body>(\[.*?\])", done.stdout)[1])
    assert desktop["page"] == desktop["wide"] == 1280 and phone["page"] == phone["wide"] == 390
    assert desktop["charts"] == phone["charts"] == 19 and desktop["pictures"] == phone["pictures"] == 32
    assert phone["scrolling"] > 3 and desktop["scrolling"] < phone["scrolling"]
    assert "CONSOLE" not in done.stderr, done.stderr


def test_only_confident_predictions_are_shown_as_such():
    """With a threshold of 0.4, a missed eye with a probability of 0.3 is negative, but not confidently so."""
    truth = np.array([1, 1, 1, 0, 0, 0], bool)
    probability = np.array([0.95, 0.3, 0.02, 0.5, 0.85, 0.1])
    assert choose_examples(truth, probability, 0.4) == [0, 2, 4, 5]
    assert choose_examples(truth, np.full(6, 0.5), 0.4) == []
