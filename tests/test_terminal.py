"""What evaluate.py prints: the five lines of its summary, and the mark of an exact bound."""

from pathlib import Path

from report_fixtures import make_metrics

from eyenet.report import terminal


def test_the_summary_has_five_lines_for_two_questions_and_explains_the_mark():
    metrics = make_metrics("grade")
    for asked in metrics["questions"].values():
        asked["patient"]["sensitivity"] = {"value": 1.0, "low": 0.61, "high": 1.0}
    lines = terminal.summary_text(metrics, Path("models/cnn")).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["found", "false alarms", "warning", "report", "more"]
    assert lines[0].count("patients with") == 2 and lines[0].count("interval 61.0 to 100.0\xa0%\xa0†") == 2
    assert "with any DR: " in lines[0] and "with referable DR: " in lines[0] and lines[1].count(" without ") == 2
    for text in (terminal.splits_text(metrics), terminal.figures_text(metrics | {"subgroups": None})):
        assert text.count("† 0 or 1 in this set") == 1
    assert terminal.show({"value": 0.0, "low": 0.0, "high": 0.2}) == "0.000 (0.000-0.200 †)"
    assert terminal.show({"value": 0.1, "low": 0.0, "high": 0.2}) == "0.100 (0.000-0.200)"
    assert terminal.explain_bound(["0.100 (0.000-0.200)"]) == []
