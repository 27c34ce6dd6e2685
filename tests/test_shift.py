"""The shift alarm: its statistics by seeded simulation, its sentence, and what the station shows and keeps."""

import csv
import datetime
import io
from types import SimpleNamespace

import numpy as np
import pytest

from eyenet.model import pretrained
from eyenet.model.reference import summarise
from eyenet.model.screener import Screener
from eyenet.score.shift import Difference, compare_shares, compare_values, compare_with_quantiles, patient_means
from eyenet.station.desk import Desk
from eyenet.station.inbox import SETTLED, Inbox
from eyenet.station.register import Register
from eyenet.station.shift import ITSELF, OTHERS, VALIDATION, Alarm, Shift
from eyenet.station.shift_data import COLUMNS, Photo, values_of
from eyenet.station.shift_watch import ShiftWatch, read_reference
from eyenet.station.shift_words import say_alarm
from eyenet.station.view import Screen
from eyenet.station.watch import Watch
from make_sample import take_photograph

MONDAY = datetime.date(2026, 3, 2)
LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def eyes(rng, patients, moved=0.0, correlation=0.9):
    """Draw a measure of two alike eyes of each patient; values and patients."""
    shared, own = rng.normal(size=(patients, 1)), rng.normal(size=(patients, 2))
    values = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own + moved
    return values.ravel(), np.repeat(np.arange(patients), 2)


def p_values(draw, times=2000):
    return np.array([draw(np.random.default_rng(seed)).p for seed in range(times)])


@pytest.mark.parametrize("patients", [6, 24])
def test_two_groups_of_the_same_kind_differ_as_rarely_as_promised(patients):
    def draw(rng):
        return compare_values(patient_means(*eyes(rng, patients)), patient_means(*eyes(rng, 100)))

    p = p_values(draw)
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(p))


def test_the_quantiles_of_the_same_kind_differ_as_rarely_as_promised_with_two_alike_eyes():
    def draw(rng):
        known, (values, patients) = eyes(rng, 250)[0], eyes(rng, 24)
        quantiles = {str(level): value for level, value in zip(LEVELS, np.quantile(known, LEVELS))}
        return compare_with_quantiles(values, patients, quantiles, len(known))

    p = p_values(draw)
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(p))


def test_a_move_and_a_change_of_spread_are_found():
    rng = np.random.default_rng(0)
    before = patient_means(*eyes(rng, 250))
    darker = compare_values(patient_means(*eyes(rng, 24, -2)), before)
    assert darker.p < 1e-8 and darker.direction == -1 and darker.here < darker.others
    wider = compare_values(6 * patient_means(*eyes(rng, 96)), before)
    assert wider.p < 1e-6


def test_photographs_of_one_patient_count_once():
    values, patients = np.full(40, -3.0), np.zeros(40)
    quantiles = {"0.01": -2.3, "0.5": 0.0, "0.99": 2.3}
    assert compare_with_quantiles(values, patients, quantiles, 1000).p > 0.01
    assert compare_with_quantiles(values, np.arange(40), quantiles, 1000).p < 1e-9


def test_what_is_not_measured_or_always_equal_is_no_difference():
    nothing = np.full(10, np.nan)
    assert not len(patient_means(nothing, np.arange(10)))
    assert compare_values(patient_means(nothing, np.arange(10)), np.ones(30)).p == 1
    assert compare_values(np.ones(10), np.ones(30)).p == 1
    assert compare_with_quantiles(np.ones(20), np.arange(20), dict.fromkeys(map(str, LEVELS), 1.0), 500).p == 1
    assert compare_with_quantiles(nothing, np.arange(10), {"0.5": 0.0}, 500).p == 1


def test_a_constant_that_has_changed_is_found():
    quantiles = dict.fromkeys(map(str, LEVELS), 1.0)
    assert compare_with_quantiles(np.zeros(12), np.arange(12), quantiles, 500).p < 1e-8


def test_shares_are_compared_exactly():
    same = compare_shares(5, 20, 50, 200)
    assert same.p > 0.9 and same.here == same.others == 0.25
    assert compare_shares(18, 20, 50, 200).p < 1e-6
    assert compare_shares(0, 0, 50, 200).p == 1


def photos(rng, day, patients, camera="3592x2400", refer=0.3, start=0, **moved):
    """Draw the photographs of a day: light, contrast and vessels, and the share referred."""
    for patient in range(patients):
        shared = rng.normal(size=3)
        referred = float(rng.random() < refer)
        for _ in range(2):
            values = np.full(len(COLUMNS), np.nan, np.float32)
            for name, one in zip(("light", "contrast", "vessels"), shared):
                values[COLUMNS[f"photograph {name}"]] = one + 0.3 * rng.normal() + moved.get(name, 0)
            values[[COLUMNS["gradable"], COLUMNS["retina"]]] = 1
            values[COLUMNS["referred"]] = referred
            when = MONDAY + datetime.timedelta(day)
            yield Photo(0, when, camera, f"{day} {start + patient}", values)


def run(shift, *days):
    return [alarm for day in days for photo in day for alarm in shift.add(photo)]


def test_a_quiet_year_has_at_most_the_promised_false_alarms():
    rng, shift = np.random.default_rng(1), Shift()
    alarms = run(shift, *(photos(rng, day, 20) for day in range(150)))
    assert len(alarms) <= 1  # 0.01 a day at most, and rather less: most measures are missing here, and those count too


def test_a_change_is_found_within_the_day_and_until_it_ends():
    rng, shift = np.random.default_rng(2), Shift()
    assert not run(shift, *(photos(rng, day, 20) for day in range(8)))
    first, second = run(shift, photos(rng, 8, 25, light=-4, refer=0.95), photos(rng, 9, 25, light=-4, refer=0.95))
    assert (first.against, first.day, first.since) == (ITSELF, MONDAY + datetime.timedelta(8), first.day)
    assert (second.day, second.since) == (MONDAY + datetime.timedelta(9), first.day)
    assert first.found["photograph light"].direction == -1
    assert first.photographs <= 50
    assert "Since Tuesday photographs of 3592x2400 are darker" in say_alarm(second)
    assert not run(shift, photos(rng, 10, 25))  # the two days are no part of the past


def test_a_new_camera_is_compared_with_the_others_and_then_with_itself():
    rng, shift = np.random.default_rng(3), Shift()
    run(shift, *(photos(rng, day, 20) for day in range(5)))
    (alarm,) = run(shift, photos(rng, 5, 25, camera="new", light=5))
    assert alarm.against == OTHERS
    assert say_alarm(alarm) == "Today photographs of new are brighter, compared with those of the other cameras."
    assert not run(shift, photos(rng, 6, 25, camera="new", light=5))


def test_a_small_clinic_is_told_by_the_week():
    rng, shift = np.random.default_rng(4), Shift()
    assert not run(shift, *(photos(rng, day, 4) for day in range(30)))
    alarms = run(shift, *(photos(rng, day, 4, light=-3) for day in range(30, 38)))
    assert alarms and alarms[0].week and "over all days though not on any single one" in say_alarm(alarms[0])


def summary(rng):
    """Summarise drawn validation photographs."""
    shown = [{"light": float(value)} for value in eyes(rng, 250)[0]]
    asked = {"referable": rng.random(500)}
    return summarise(shown, asked, {"referable": 0.5}, rng.normal(size=(500, 4)))


def as_the_network_sees(rng, patients, light=0.0, retina=True):
    values, who = eyes(rng, patients, light)
    for value, patient in zip(values, who):
        found = {"measures": {"network": "n", "photograph": {}}}
        if retina:
            found["measures"] |= {"input": {"light": value}, "probabilities": {"referable": rng.random()}}
        yield Photo(0, MONDAY, "c", str(patient), values_of(found, "n", {"referable": 0.5}))


def test_the_first_day_is_compared_with_the_summary():
    rng = np.random.default_rng(5)
    assert not run(Shift(summary(rng)), as_the_network_sees(rng, 30))
    (alarm,) = run(Shift(summary(rng)), as_the_network_sees(rng, 30, light=-3))
    assert alarm.against == VALIDATION and "validation photographs" in say_alarm(alarm)
    (alarm,) = run(Shift(summary(rng)), as_the_network_sees(rng, 30, retina=False))
    assert "recognised as photographs of a retina" in say_alarm(alarm)
    assert not run(Shift(None), as_the_network_sees(rng, 30, light=-3))


def test_a_camera_that_is_not_as_the_summary_is_told_so_once_in_90_days():
    rng = np.random.default_rng(1)
    shift, dark = Shift(summary(rng)), dict.fromkeys((0, 1, 30, 91, 92))
    for day in dark:
        seen = as_the_network_sees(rng, 30, light=-3)
        dark[day] = run(shift, [one._replace(day=MONDAY + datetime.timedelta(day)) for one in seen])
    told = {day: [one for one in found if one.against == VALIDATION] for day, found in dark.items()}
    assert {day: len(found) for day, found in told.items()} == {0: 1, 1: 0, 30: 0, 91: 1, 92: 0}


def test_what_another_network_saw_is_not_compared():
    facts = {"gradable": True, "measures": {"network": "a", "input": {"light": 1.0}, "probabilities": {"any": 0.9}}}
    same, other = (values_of(facts, network, {"any": 0.5}) for network in "ab")
    assert same[COLUMNS["referred"]] == 1 and same[COLUMNS["input light"]] == 1
    assert np.isnan(other[[COLUMNS["referred"], COLUMNS["any"], COLUMNS["input light"]]]).all()
    assert other[COLUMNS["gradable"]] == 1


def alarm_of(since=MONDAY, against=ITSELF, **found):
    differences = {name.replace("__", " "): Difference(1e-9, *one) for name, one in found.items()}
    return Alarm(MONDAY + datetime.timedelta(2), since, "3592x2400", against, differences, 24, 48)


def test_one_sentence_says_what_has_changed():
    light, vessels = (-1, 4.0, 5.0), (-1, -2.0, -1.0)
    said = say_alarm(alarm_of(photograph__light=light, referred=(1, 0.42, 0.2)))
    assert said == "Since Monday photographs of 3592x2400 are darker, and 2.1 times as many are referred."
    said = say_alarm(alarm_of(photograph__light=light, photograph__vessels=vessels, photograph__lines=vessels))
    assert said == "Since Monday photographs of 3592x2400 are darker and less sharp."
    said = say_alarm(alarm_of(equalized=(-1, 0.0, 1.0), photograph__light=light))
    assert said == "Since Monday photographs of 3592x2400 are in natural colours instead of equalised."
    said = say_alarm(alarm_of(retina=(-1, 0.0, 1.0), gradable=(-1, 0.0, 0.8), photograph__light=light))
    assert said.startswith("Since Monday of the photographs of 3592x2400 none ")
    said = say_alarm(alarm_of(referable=(1, 0.8, 0.2)))
    assert said == "Since Monday photographs of 3592x2400 are called diseased with a higher probability."
    said = say_alarm(alarm_of(photograph__light=(0, 4.0, 4.0)))
    assert said == "Since Monday photographs of 3592x2400 differ in brightness."
    assert say_alarm(alarm_of(datetime.date(2026, 1, 5), photograph__light=light)).startswith("Since 2026-01-05")


def test_every_measure_has_words():
    for name in COLUMNS:
        for direction in (-1, 0, 1):
            said = say_alarm(alarm_of(**{name.replace(" ", "__"): (direction, 0.5, 0.25)}))
            assert said.endswith(".") and "  " not in said and len(said) > 45, (name, said)


def test_a_hostile_camera_is_harmless_in_the_sentence():
    alarm = alarm_of(photograph__light=(-1, 1.0, 2.0))._replace(camera="a\x1b[2Jb\n")
    assert "\x1b" not in say_alarm(alarm) and "\n" not in say_alarm(alarm)


class Clock:
    """The time of a station, in UTC; a test turns it by days."""

    def __init__(self):
        self.day = MONDAY

    def __call__(self):
        return datetime.datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def screener():
    return Screener(pretrained.folder(), measuring=True)


@pytest.fixture
def register(tmp_path):
    with Register.open(tmp_path / "register.sqlite", now=Clock()) as opened:
        opened.connection.execute("PRAGMA synchronous = OFF")
        yield opened


def enter(register, screener, day, patients, **moved):
    """Enter drawn facts of some patients on a day."""
    rng, register.now.day = np.random.default_rng(day), MONDAY + datetime.timedelta(day)
    for patient in range(patients):
        key = register.identify({"patient": f"{day} {patient}"})
        for eye in ("left", "right"):
            look = {name: rng.normal(moved.get(name, 5), 0.1) for name in ("light", "contrast", "vessels")}
            measures = {"network": screener.name, "size": "3592x2400", "photograph": look, "input": {}}
            facts = {"result": "no DR", "gradable": True, "measures": measures}
            register.add_photograph(f"{day} {patient} {eye}", "n.jpg", key, eye, None, facts)


def test_the_alarm_is_in_register_view_and_export_and_comes_once(register, screener, tmp_path):
    for day in range(3):
        enter(register, screener, day, 25)
    assert not ShiftWatch(register, screener).look()
    enter(register, screener, 3, 25, light=4)
    (event,) = ShiftWatch(register, screener).look()
    wanted = "Today photographs of 3592x2400 are darker."
    assert (event.kind, event.name, event.text) == ("shift", "3592x2400", wanted)
    assert not ShiftWatch(register, screener).look()  # a station that is started again
    assert [one["sentence"] for one in register.alarms()] == [wanted]
    assert register.verify() == []
    register.export(tmp_path / "report.csv")
    with open(tmp_path / "report.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    (row,) = [row for row in rows if row["figure"].startswith("shift alarm")]
    assert wanted in row["figure"] and (row["day"], row["camera"]) == ("2026-03-05", "3592x2400")
    from rich.console import Console

    console = Console(width=120, height=40, record=True, file=io.StringIO())
    screen = Screen(screener, register, console)
    screen.refresh([], {}, 0)
    console.print(screen.draw([], {}))
    assert wanted in console.export_text()


def test_an_alarm_that_a_stop_prevented_is_entered_later(register, screener, monkeypatch):
    for day in range(3):
        enter(register, screener, day, 25)
    enter(register, screener, 3, 25, light=4)
    monkeypatch.setattr(register, "add_alarm", lambda alarm: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        ShiftWatch(register, screener).look()
    monkeypatch.undo()
    assert len(ShiftWatch(register, screener).look()) == 1


def test_an_alarm_survives_erasure_and_a_changed_one_is_found(register, screener):
    for day in range(3):
        enter(register, screener, day, 25)
    enter(register, screener, 3, 25, light=4)
    ShiftWatch(register, screener).look()
    register.now.day += datetime.timedelta(400)
    assert len(register.retain(365)[0]) == 100 and len(register.alarms()) == 1
    assert register.looks(0, MONDAY)[0][3]["measures"]["photograph"]["light"] and register.verify() == []
    register.connection.execute("DROP TRIGGER entries_keep")
    register.connection.execute("UPDATE entries SET body = replace(body, 'darker', 'fine') WHERE kind = 'alarm'")
    assert any("(alarm of" in problem for problem in register.verify())


def test_the_station_keeps_the_measures_of_each_photograph(register, screener, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    time = SimpleNamespace(now=0.0)
    shown = []
    view = SimpleNamespace(show=shown.append, refresh=lambda *_: None)
    watch = Watch(
        Desk(inbox, screener, register),
        Inbox(inbox, lambda: time.now),
        view,
        lambda: time.now,
        shift=ShiftWatch(register, screener),
    )
    watch.begin()
    (inbox / "7_left.jpeg").write_bytes(take_photograph(1, 3, "left", 0))
    for _ in range(3):
        watch.step()
        time.now += SETTLED
    ((_, _, _, facts),) = register.looks(0, MONDAY)
    measures = facts["measures"]
    assert measures["network"] == screener.name and measures["size"].count("x") == 1
    assert measures["photograph"]["light"] and measures["input"]["equalized"] and measures["probabilities"]["referable"]
    assert "measures" not in Screener(pretrained.folder()).look(inbox / "7_left.jpeg")
    assert [event.kind for event in shown] == ["photograph", "patient"]


def test_a_model_without_a_summary_is_compared_with_the_past_only(tmp_path, capsys, register, screener):
    assert read_reference(tmp_path, "balanced") is None
    known = read_reference(pretrained.folder(), screener.point)
    assert known["called"] and not read_reference(pretrained.folder(), "balanced")["called"]
    bare = SimpleNamespace(made_of=[tmp_path], point="p", name="n", thresholds=lambda: {"any": 0.5})
    ShiftWatch(register, bare)
    assert "compared with those of the days before only" in capsys.readouterr().err
