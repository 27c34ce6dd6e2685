"""Watch the register for a shift: enter and report each new alarm."""

import datetime

from eyenet.model.reference import REFERENCE
from eyenet.run.errors import StageError, log
from eyenet.run.files import read_json
from eyenet.station.desk import Event
from eyenet.station.shift import recall
from eyenet.station.shift_data import read_photos
from eyenet.station.shift_words import say_alarm

NO_SUMMARY = (
    "note: the model has no summary of its validation photographs (reference.json), so photographs are compared with "
    "those of the days before only"
)


class ShiftWatch:
    """Check the photographs of the register as they arrive.

    Parameters
    ----------
    register : eyenet.station.register.Register
    screener : eyenet.model.screener.Screener
        Its model's folder may hold `reference.json`.
    """

    def __init__(self, register, screener):
        self.register, self.name, self.point = register, screener.name, screener.point
        self.thresholds, self.last, self.shift = screener.thresholds(), 0, None
        self.reference = read_reference(screener.made_of[0], screener.point)
        self.waiting = []  # alarms that could not be entered yet
        require_scipy()
        if self.reference is None:
            log(NO_SUMMARY)

    def look(self):
        """Enter the alarms of new photographs; list of Event.

        Raises
        ------
        StageError
            If the register cannot be read or written; the next look continues.
        """
        if self.shift is None:
            self.shift, self.waiting, self.last = recall(self.register, self.reference, self.name, self.thresholds)
        for photo in read_photos(self.register, self.last, datetime.date.min, self.name, self.thresholds):
            self.waiting += self.shift.add(photo)
            self.last = photo.id
        events = []
        while self.waiting:
            alarm, sentence = self.waiting[0], say_alarm(self.waiting[0])
            if self.register.add_alarm(self._facts(alarm, sentence)):
                events.append(Event("shift", alarm.camera, sentence))
            self.waiting.pop(0)
        return events

    def _facts(self, alarm, sentence):
        """Make the body of an alarm's entry."""
        found = {name: one._asdict() for name, one in alarm.found.items()}
        facts = {"day": alarm.day.isoformat(), "since": alarm.since.isoformat(), "camera": alarm.camera}
        facts |= {"against": alarm.against, "sentence": sentence, "found": found, "week": alarm.week}
        facts |= {"patients": alarm.patients, "photographs": alarm.photographs}
        return facts | {"network": self.name, "operating_point": self.point}


def require_scipy():
    """Import the tests now, since SciPy takes a second that no patient should wait for.

    Raises
    ------
    StageError
        If SciPy is not installed.
    """
    try:
        import eyenet.score.shift  # noqa: F401
    except ImportError as error:
        raise StageError(
            f"SciPy, which compares photographs, cannot be imported ({error}): pip install -r requirements-station.txt"
        ) from None


def read_reference(folder, point):
    """Read a model's summary of its validation photographs; None if it has none.

    The share called diseased holds for the operating point of the summary, so it is left out at another one.
    """
    found = read_json(folder / REFERENCE)
    if found is None or not {"photographs", "measures", "probabilities", "called"} <= found.keys():
        return None
    return found if found.get("operating_point") == point else found | {"called": {}}
