"""The station's folder of forms: as the register is, whatever happens to disk, program and patient."""

import datetime
import json
import stat
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPO, run
from PIL import Image
from test_predict import as_dicom
from test_station import Seen, drawn, inbox, put, register, screener  # noqa: F401 (fixtures)

from eyenet.forms.clinic import Clinic
from eyenet.run.errors import StageError
from eyenet.run.options import parser
from eyenet.station import commands, form_files, watch
from eyenet.station.clock import Clock
from eyenet.station.desk import Desk
from eyenet.station.form_files import KINDS
from eyenet.station.form_folders import FormFolders
from eyenet.station.form_options import choose_kinds, require_packages
from eyenet.station.form_queue import BACK, DONE
from eyenet.station.forms import FEW, NOTE, Forms
from eyenet.station.inbox import SETTLED, Inbox

TEXTS = ("letter", "json")
ALL = (*TEXTS, "fhir")


@pytest.fixture
def start(inbox, screener, register):  # noqa: F811
    """Start a station with forms, and a clock that the test turns."""

    def begin(kinds=TEXTS, clinic=None, anonymous=False, boot="boot"):
        forms = Forms(register, kinds, clinic, anonymous)
        forms.begin()
        time = [0.0]
        clock = Clock(lambda: time[0], boot)
        desk, seen = Desk(inbox, screener, register, clock=clock, forms=forms), Seen()
        station = watch.Watch(desk, Inbox(inbox, lambda: time[0]), seen, lambda: time[0])
        station.step()

        def look(times=3, seconds=SETTLED):
            for _ in range(times):
                station.step()
                time[0] += seconds
            return {
                path.relative_to(forms.folder).as_posix(): path.read_bytes()
                for path in sorted(forms.folder.glob("*/*/*"))
            }

        look.view = seen
        return look

    return begin


def place(written, name="answer.json"):
    """The only folder with a file of this name."""
    (found,) = [path.rpartition("/")[0] for path in written if path.endswith(f"/{name}")]
    return found


def record(written):
    return json.loads(written[f"{place(written)}/answer.json"])


def test_the_forms_follow_the_answer(start, put, register):  # noqa: F811
    put("1042_left.jpeg", "good")
    look = start(ALL, Clinic("Augenklinik"))
    written = look()
    first = place(written)
    day, _, name = first.partition("/")
    assert day == register.now().date().isoformat() and name.startswith(f"1042_{register.find('1042')[0]}-")
    assert record(written)["answer"]["kind"] == "again"
    files = {path.rpartition("/")[2] for path in written}
    (picture,) = {name for name in files if name.endswith(".jpeg")}
    assert files == {"letter.html", "answer.json", "fhir.json", NOTE, picture}
    put("1042_right.jpeg", "sick")
    written = look()
    assert place(written) == first and record(written)["answer"]["kind"] == "refer"
    letter = written[f"{first}/letter.html"].decode()
    assert "Augenklinik" in letter and "Signs of referable" in letter and letter.count("data:image/jpeg") == 2
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in (Forms(register).folder, *glob(register, "*/*")))
    assert start(ALL, Clinic("Augenklinik"))() == written  # nothing is written again


def glob(register, pattern):  # noqa: F811
    return list(Forms(register).folder.glob(pattern))


@pytest.mark.parametrize("failing", range(4))
def test_a_full_disk_or_a_kill_loses_no_form(start, put, register, monkeypatch, failing):  # noqa: F811
    """At each file in turn: the answer is shown, the forms are written later, and are those of an undisturbed day."""
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "sick")
    write, count = form_files.write_whole, iter(range(99))

    def full(*args):
        if next(count) == failing:
            raise OSError(28, "No space left on device")
        return write(*args)

    monkeypatch.setattr(form_files, "write_whole", full)
    look = start()
    look(2, 0.1)
    look()
    told = [event.text for event in look.view.events if event.kind == "trouble"]
    assert len(told) == 1 and "No space left" in told[0] and look.view.kinds("1") != []
    assert list(look.view.problems) == [watch.FORMS]
    if failing % 2:
        look = start()  # another program goes on
    written = look(4, watch.RETRY)
    assert look.view.problems == {} and record(written)["answer"]["kind"] == "refer"
    for path in glob(register, "*/*/*"):
        path.unlink()
    assert start()() == written


def test_a_decision_and_an_erasure_reach_the_forms(start, put, register):  # noqa: F811
    for name in ("1_left", "1_right", "2_left"):
        put(f"{name}.jpeg", "sick")
    look = start(ALL)
    look()
    commands.decide(register, "1", "Dr Roe", "drusen", accepted=False)
    (path,) = glob(register, "*/1_*/fhir.json")
    told = json.loads(path.read_text())
    assert told["entry"][0]["resource"]["status"] == "amended"
    assert "drusen" in path.with_name("answer.json").read_text()
    other = len(glob(register, "*/2_*/*"))
    commands.forget(register, "1")
    assert glob(register, "*/1_*") == [] and len(glob(register, "*/2_*/*")) == other
    look()
    assert glob(register, "*/1_*") == []
    register.now = lambda: datetime.datetime.now().astimezone() + datetime.timedelta(400)
    register.decide(register.find("2")[0], "Dr Roe", "no DR", accepted=False)
    register.now = lambda: datetime.datetime.now().astimezone() + datetime.timedelta(800)
    commands.retain(register, 100)
    assert glob(register, "*/*") == []


def test_a_decision_without_the_packages_is_entered(start, put, register, monkeypatch):  # noqa: F811
    put("1_left.jpeg", "sick")
    start(ALL)()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "eyenet.forms.fhir", None)
        with pytest.raises(StageError, match="requirements-station.txt"):
            commands.decide(register, "1", "Dr Roe", "clear", accepted=True)
    assert record(start(ALL)())["decision"]["advice"] == "refer"


def test_a_patient_who_was_erased_while_nothing_ran_is_cleared_at_the_start(start, put, register):  # noqa: F811
    put("1_left.jpeg", "sick")
    start()()
    register.forget(register.find("1")[0])
    assert start()() == {}


def test_a_photograph_that_was_replaced_is_not_shown(start, put, register, inbox):  # noqa: F811
    put("1_left.jpeg", "good")
    start(())()
    (inbox / "1_left.jpeg").write_bytes((inbox / "1_left.jpeg").read_bytes() + b"another")
    forms = Forms(register, TEXTS)
    forms.update(register.find("1")[0])
    (letter,) = glob(register, "*/*/letter.html")
    assert "data:image" not in letter.read_text() and glob(register, "*/*/*.jpeg") == []


def test_a_letter_keeps_its_picture_when_the_photograph_has_left(start, put, inbox):  # noqa: F811
    put("1_left.jpeg", "good")
    look = start()
    look()
    (inbox / "1_left.jpeg").unlink()
    put("1_right.jpeg", "good")
    written = look()
    assert written[f"{place(written)}/letter.html"].count(b"data:image/jpeg") == 2


def test_anonymous_forms_lead_to_nobody(start, put, register):  # noqa: F811
    put("Jane Roe 1042_left.jpeg", "sick")
    put("6_right.jpeg", "good")
    named = start(ALL)()
    assert any("1042" in path for path in named)
    written = start(ALL, anonymous=True)()
    assert len([path for path in written if path.endswith(".html")]) == 2
    for path, data in written.items():
        assert not path.endswith(".jpeg") and "data:image" not in data.decode()
        assert not [
            text for text in ("1042", "Jane", "Roe", "_left", "_right", "6_") if text in f"{path}{data.decode()}"
        ]


def test_forms_that_are_no_longer_asked_for_go_and_old_ones_do_not_stay(start, put, register):  # noqa: F811
    put("1_left.jpeg", "good")
    start(ALL)()
    written = start(("json",))()
    assert {path.rpartition("/")[2] for path in written} == {"answer.json", NOTE}
    look = start(())
    assert look() == written  # still the newest answer
    put("1_right.jpeg", "sick")
    assert look() == {}


def test_answers_of_earlier_weeks_are_not_written_anew(start, put, register, inbox):  # noqa: F811
    today = register.now()
    register.now = lambda: today
    put("1_left.jpeg", "good")
    start(())()
    (inbox / "1_left.jpeg").unlink()
    register.now = lambda: today + datetime.timedelta(BACK)
    assert start(boot="a later one")() == {}
    register.now = lambda: today + datetime.timedelta(BACK - 1)
    assert len(start()()) == 3


def test_another_patients_photograph_is_in_no_form(start, put, inbox):  # noqa: F811
    put("1_left.jpeg", "sick")
    look = start(ALL)
    look()
    (inbox / "secret-2_left.jpeg").write_bytes((inbox / "1_left.jpeg").read_bytes())
    written = look()
    for path, data in written.items():
        assert ("1_left" not in data.decode(errors="replace")) or path.split("/")[1].startswith("1_")
        assert ("secret" not in data.decode(errors="replace")) or path.split("/")[1].startswith("secret")


def test_a_dicom_report_refers_to_the_photographs(start, put, inbox, drawn, register):  # noqa: F811
    pytest.importorskip("highdicom")
    import io

    import pydicom

    pixels = np.asarray(Image.open(io.BytesIO(drawn["sick"])))
    for eye in "LR":
        as_dicom(inbox / f"{eye}.dcm", pixels, "RGB", eye, StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.6")
    images = {pydicom.dcmread(path).SOPInstanceUID for path in inbox.iterdir()}
    written = start(tuple(KINDS))()
    report = pydicom.dcmread(io.BytesIO(written[f"{place(written)}/report.dcm"]))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    told = {
        one.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert told == images and str(report.PatientName) == "Doe^Jane" and report.StudyInstanceUID == "1.2.5"
    assert record(written)["patient"] == {"id": "MRN 77", "name": "Doe, Jane", "born": "1956-04-01"}
    assert "Doe, Jane, MRN 77" in written[f"{place(written)}/letter.html"].decode()
    assert start(ALL, anonymous=True)() and not glob(register, "*/*/report.dcm")
    register.forget(register.find("MRN 77")[0])
    assert not [text for text in (b"Doe", b"19560401", b"1.2.5") if text in register.path.read_bytes()]


def later(register, days):  # noqa: F811
    """Turn the clock of the register; return what `start` needs for a station whose visits are over."""
    now = register.now()
    register.now = lambda: now + datetime.timedelta(days)
    return {"boot": "later"}


def test_forms_that_a_stop_prevented_are_written_however_long_it_lasted(start, put, register, inbox, monkeypatch):  # noqa: F811
    put("1_left.jpeg", "sick")
    start(("json",))()
    put("2_left.jpeg", "sick")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setitem(form_files.DRAW, "json", full)
        look = start(("json",))
        look()
    assert list(look.view.problems) == [watch.FORMS] and glob(register, "*/2_*/answer.json") == []
    (inbox / "2_left.jpeg").unlink()
    assert any("/2_" in path for path in start(("json",), **later(register, 10 * BACK))())


def test_a_decision_whose_command_was_stopped_reaches_the_forms_of_an_old_answer(start, put, register, inbox):  # noqa: F811
    put("1_left.jpeg", "sick")
    start(("json",))()
    (inbox / "1_left.jpeg").unlink()
    told = later(register, 10 * BACK)
    register.decide(register.find("1")[0], "Dr Roe", "drusen", accepted=False)  # and the forms are not updated
    assert record(start(("json",), **told)())["decision"]["advice"] == "do not refer"


@pytest.mark.parametrize("accepted", [True, False])
def test_a_decision_to_refer_holds_after_a_further_photograph(start, put, register, accepted):  # noqa: F811
    put("1_left.jpeg", "good")
    put("1_right.jpeg", "good")
    look = start(TEXTS)
    assert record(look())["answer"]["kind"] == "clear"
    register.decide(register.find("1")[0], "Dr Roe", "haemorrhages", accepted=accepted)
    put("1_right (1).jpeg", "good")
    written = look()
    told = record(written).get("earlier_decision")
    assert record(written)["decision"] is None and (told or {}).get("by") == (None if accepted else "Dr Roe")
    letter = written[f"{place(written)}/letter.html"].decode()
    assert ("in this visit: Refer<" in letter) != accepted
    register.decide(register.find("1")[0], "Dr Roe", "clear after all", accepted=True)
    Forms.reopen(register).update(register.find("1")[0])
    assert "earlier_decision" not in record(look())


def test_what_cannot_be_found_at_the_start_is_looked_for_again(start, put, register, inbox, monkeypatch):  # noqa: F811
    put("1_left.jpeg", "sick")
    start(())()
    (inbox / "1_left.jpeg").unlink()
    erase, count = Forms.erase_forgotten, iter(range(99))

    def locked(forms):
        if next(count) == 0:
            raise StageError("the register is locked")
        erase(forms)

    monkeypatch.setattr(Forms, "erase_forgotten", locked)
    look = start(("json",), **later(register, 1))
    assert record(look(4, watch.RETRY))["answer"]["kind"] == "refer" and look.view.problems == {}


def test_a_register_that_cannot_be_read_is_one_sentence(register):  # noqa: F811
    """And so a problem that the station shows, not its end."""
    forms = Forms(register, ("json",))
    register.connection.execute("ALTER TABLE entries RENAME TO gone")
    for find in (forms.erase_forgotten, forms.queue.find):
        with pytest.raises(StageError, match="the register"):
            find()


def test_a_photograph_does_not_wait_for_the_forms_of_other_days(start, put, register):  # noqa: F811
    names = [f"{number}_left.jpeg" for number in range(1, 2 * FEW + 3)]
    for name in names:
        put(name, "good")
    start(())()
    look = start(("json",))  # steps once
    assert len(glob(register, "*/*/answer.json")) == FEW
    put("99_left.jpeg", "sick")
    look(1)
    written = look(1)  # the photograph has settled
    assert len(glob(register, "*/99_*/answer.json")) == 1 and len(glob(register, "*/*/answer.json")) == 2 * FEW + 1
    written = look()
    assert len([path for path in written if path.endswith("answer.json")]) == len(names) + 1
    look(2, watch.TIDY)
    assert json.loads((Forms(register).folder / DONE).read_text())["entry"] == register.last()[0]


def test_a_visit_has_one_folder_also_if_its_day_changes(start, put, register, inbox):  # noqa: F811
    put("1_left.jpeg", "good")
    look = start()
    look()
    (folder,) = glob(register, "*/1_*")
    (folder.parent.parent / "2020-01-01").mkdir()
    folder.rename(folder.parent.parent / "2020-01-01" / folder.name)
    (inbox / "1_left.jpeg").unlink()  # so that only the picture that is kept is left
    put("1_right.jpeg", "good")
    written = look()
    assert glob(register, "*/1_*") == [folder] and not (folder.parent.parent / "2020-01-01").exists()
    assert written[f"{place(written)}/letter.html"].count(b"data:image/jpeg") == 2


@pytest.mark.parametrize("problem", [OSError(5, "Input/output error"), MemoryError()])
def test_a_form_that_the_machine_cannot_write_is_tried_again(start, put, monkeypatch, problem):  # noqa: F811
    put("1_left.jpeg", "good")
    draw, count = form_files.DRAW["json"], iter(range(99))

    def fail(*args):
        if next(count) == 0:
            raise problem
        return draw(*args)

    monkeypatch.setitem(form_files.DRAW, "json", fail)
    look = start(("json",))
    look()
    assert list(look.view.problems) == [watch.FORMS] and place(look(4, watch.RETRY)) and look.view.problems == {}


def test_unfinished_forms_go_when_no_forms_are_asked_for(start, put, register):  # noqa: F811
    put("1_left.jpeg", "good")
    start(("json",))()
    (note,) = glob(register, f"*/*/{NOTE}")
    note.unlink()  # as after a kill while they were first written
    assert start(())() == {}


def test_no_names_stay_when_forms_become_anonymous(start, put, register, inbox):  # noqa: F811
    put("Roe 1042_left.jpeg", "sick")
    start(TEXTS)()
    own = Forms(register).folder / "mine" / "my_notes"
    own.mkdir(parents=True)
    (own / "a.txt").write_text("kept")
    (inbox / "Roe 1042_left.jpeg").unlink()
    written = start(TEXTS, anonymous=True, **later(register, 10 * BACK))()
    assert (own / "a.txt").exists() and len(written) == 1 + len((*TEXTS, NOTE))
    assert not [path for path, data in written.items() if "1042" in path or b"1042" in data]


def test_once_grades_everything_before_it_says_that_forms_cannot_be_written(inbox, put, tmp_path, register):  # noqa: F811
    for name in ("1_left", "2_left", "3_left"):
        put(f"{name}.jpeg", "good")
    forms = tmp_path / "r.sqlite.forms"
    forms.mkdir()
    (forms / register.now().date().isoformat()).write_text("in the way of the folder of this day")
    told = ["--register", tmp_path / "r.sqlite", "--forms", "json"]
    done = run("screen.py", "--inbox", inbox, "--once", *told, code=1)
    assert done.stdout.count("  patient  ") == 3 and "the forms in" in done.stderr


def test_the_options(tmp_path, inbox, monkeypatch):  # noqa: F811
    assert choose_kinds(None, False) == () and choose_kinds([], False) == tuple(KINDS)
    assert choose_kinds([], True) == ALL and choose_kinds(["json", "letter"], True) == TEXTS
    with pytest.raises(StageError, match="cannot be anonymous"):
        choose_kinds(["dicom"], True)
    for name in ("fhir.resources.R4B.bundle", "highdicom.sr"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StageError, match="fhir.resources and highdicom: pip install -r requirements-station.txt"):
        require_packages(["json", "fhir", "dicom"])
    require_packages(["json"])
    options = parser("")
    watch.add_options(options)
    args = options.parse_args(["--inbox", str(inbox), "--once", "--anonymous"])
    args.register = tmp_path / "register.sqlite"
    with pytest.raises(StageError, match="give --forms too"):
        watch.run_station(args)


def test_the_station_runs_without_the_packages_of_the_forms():
    code = "import sys\nfor name in ('jinja2', 'fhir', 'highdicom', 'pydicom'): sys.modules[name] = None\n"
    code += "import screen, eyenet.station.watch, eyenet.station.desk"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPO, timeout=1800)


def test_the_command(inbox, put, tmp_path):  # noqa: F811
    put("1_left.jpeg", "sick")
    (tmp_path / "clinic.toml").write_text('name = "서울 안과"\nlanguage = "ko"\n', encoding="utf-8")
    told = ["--register", tmp_path / "r.sqlite", "--forms", "letter", "json", "--clinic", tmp_path / "clinic.toml"]
    run("screen.py", "--inbox", inbox, "--once", *told)
    (letter,) = (tmp_path / "r.sqlite.forms").glob("*/*/letter.html")
    assert "서울 안과" in letter.read_text(encoding="utf-8") and '<html lang="ko">' in letter.read_text(
        encoding="utf-8"
    )
    run("screen.py", "--register", tmp_path / "r.sqlite", "--forget", "1")
    assert not letter.exists()


def test_the_forms_of_a_withdrawn_visit_go_and_those_of_others_stay(tmp_path):
    folders = FormFolders(tmp_path, anonymous=False)
    names = ("1_aa-11", "1_aa-22", "2_bb-11", "aa-33")
    for name in names:
        folders.make(tmp_path / "2026-03-31" / name)
    folders.keep("aa", {"aa-22"})
    assert [path.name for path in sorted(tmp_path.glob("*/*"))] == ["1_aa-22", "2_bb-11"]
