"""The shift alarm: do the photographs of a day and camera still look like earlier ones, and like those of validation?

Each day's patients of a camera are compared with those of the days before (of other cameras, if this one is new) and
with the network's summary of its validation photographs. A look is taken when the number of complete patients is one of
`LOOKS`, and once a day at the last week, which finds what no single day shows.

The chance of a false alarm is at most `RATE` a day and kind of comparison, all cameras together, if the patients of a
day come from the same population as those before: the rate is divided equally among cameras, looks and measures
(Bonferroni). A look depends only on the register, so a station that is started again repeats it with the same result.
"""

import datetime
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from eyenet.station.shift_data import COLUMNS, OWN, PROBABILITIES, SEEN, SHARES, read_photos

RATE = 0.01  # false alarms a day: one in 100 days at most
LOOKS = (6, 9, 12, 17, 24, 34, 48, 68, 96, 136, 192, 272)  # patients of a day: steps by the square root of 2
SHARE = RATE / (len(LOOKS) + 1)  # of one look; the last look is that at the week
WEEK, MEMORY = 7, 90  # days
LEAST, MOST = 20, 500  # patients of the past: minimum for a comparison, and maximum used
ITSELF, OTHERS, VALIDATION = "the days before", "the other cameras", "the validation photographs of the network"


class Alarm(NamedTuple):
    """What has changed.

    Attributes
    ----------
    day : datetime.date
    since : datetime.date
        The first of consecutive days with an alarm.
    camera : str
    against : str
        `ITSELF`, `OTHERS` or `VALIDATION`.
    found : dict of str to eyenet.score.shift.Difference
        By name of `COLUMNS`, the clearest first.
    patients, photographs : int
        The numbers that were compared.
    week : bool
        Whether only the last week shows it, and no single day.
    """

    day: datetime.date
    since: datetime.date
    camera: str
    against: str
    found: dict
    patients: int
    photographs: int
    week: bool = False


class Shift:
    """Look for a shift as photographs arrive.

    Parameters
    ----------
    reference : dict or None
        As from `eyenet.model.reference.summarise`; without it, only the past is compared.
    question : str
        The question whose share of `called` is read from the summary.
    """

    def __init__(self, reference=None, question="referable"):
        self.reference, self.question = reference or None, question
        self.days = defaultdict(lambda: defaultdict(list))  # by camera and day: photographs
        self.alarms, self.today = {}, None  # by day, camera and kind of comparison

    def add(self, photo):
        """Add a photograph, the next of the register; return the new alarms.

        A look is taken before the photograph of a further patient counts, so that both eyes of the last patient do.
        """
        if self.today is None or photo.day > self.today:
            self.today = photo.day
            self._forget()
        mine, found = self.days[photo.camera][photo.day], []
        if not mine:
            found += self._look_at_week(photo)
        patients = {one.patient for one in mine}
        if photo.patient not in patients and len(patients) in LOOKS:
            found += self._look(photo, mine)
        mine.append(photo)
        return found

    def _forget(self):
        """Drop the days that are too old to count."""
        oldest = self.today - datetime.timedelta(MEMORY + WEEK)
        for days in self.days.values():
            for day in [day for day in days if day < oldest]:
                del days[day]

    def _quiet(self, camera, before, after=None):
        """List the photographs of the days that look like those before them, the newest first."""
        days = [
            day
            for day in sorted(self.days[camera], reverse=True)
            if (after or before - datetime.timedelta(MEMORY)) <= day < before
            and (day, camera, ITSELF) not in self.alarms
        ]
        return [one for day in days for one in reversed(self.days[camera][day])]

    def _past(self, camera, before):
        """Return the past that a camera is compared with, and its name; no photographs if there are too few."""
        for kind, cameras in ((ITSELF, [camera]), (OTHERS, [other for other in self.days if other != camera])):
            past = newest_patients([one for each in cameras for one in self._quiet(each, before)])
            if len({one.patient for one in past}) >= LEAST:
                return past, kind
        return [], None

    def _look_at_week(self, photo):
        """Compare the last week, without days that had an alarm, with the time before."""
        begin = photo.day - datetime.timedelta(WEEK)
        week = self._quiet(photo.camera, photo.day, begin)
        return self._look(photo, week, begin) if week else []

    def _look(self, photo, mine, begin=None):
        """Compare the photographs of a camera, of one day or of the week that began on a day."""
        past, kind = self._past(photo.camera, begin or photo.day)
        chance = SHARE / max(1, sum(any(days.values()) for days in self.days.values()))
        found = [(kind, compare_with_past(mine, past, chance))] if past else []
        if self.reference:
            found.append((VALIDATION, compare_with_summary(mine, self.reference, self.question, chance)))
        return [alarm for against, told in found if told and (alarm := self._enter(photo, mine, against, told, begin))]

    def _enter(self, photo, mine, against, told, begin):
        """Make an alarm; None if there is one of this camera and kind already, see `_is_known`."""
        key = (photo.day, photo.camera, against)
        if self._is_known(*key):
            return None
        since = begin or self._since(*key)
        patients = len({one.patient for one in mine})
        self.alarms[key] = Alarm(
            photo.day, since, photo.camera, against, told, patients, len(mine), week=begin is not None
        )
        return self.alarms[key]

    def _is_known(self, day, camera, against):
        """Return whether a day has an alarm; against the summary, which is fixed, one in `MEMORY` days is enough."""
        days = MEMORY if against == VALIDATION else 0
        return any(0 <= (day - one[0]).days <= days for one in self.alarms if one[1:] == (camera, against))

    def _since(self, day, camera, against):
        """Find the first of the consecutive days with an alarm of this kind that end on a day."""
        first = day
        for earlier in sorted((one for one in self.days[camera] if one < day), reverse=True):
            if (earlier, camera, against) not in self.alarms:
                break
            first = earlier
        return first


def newest_patients(photos):
    """Take the photographs of the newest `MOST` patients; `photos` are the newest first."""
    kept = set()
    for one in photos:
        if len(kept) < MOST:
            kept.add(one.patient)
    return [one for one in photos if one.patient in kept]


def compare_with_past(mine, past, chance):
    """Compare photographs with earlier ones; dict of name to Difference, of the significant ones."""
    from eyenet.score.shift import compare_shares, compare_values, patient_means

    found, (here, who), (before, they) = {}, columns(mine), columns(past)
    for name in (*OWN, *PROBABILITIES, *SHARES):
        groups = [patient_means(values[COLUMNS[name]], people) for values, people in ((here, who), (before, they))]
        if name in SHARES:
            found[name] = compare_shares(groups[0].sum(), len(groups[0]), groups[1].sum(), len(groups[1]))
        else:
            found[name] = compare_values(*groups)
    return clear(found, chance)


def compare_with_summary(mine, reference, question, chance):
    """Compare photographs with the network's summary; as `compare_with_past`."""
    from eyenet.score.shift import EYES, compare_shares, compare_with_quantiles, patient_means

    found, (values, who), count = {}, columns(mine), reference["photographs"]
    for name in (*SEEN, *PROBABILITIES):
        table = reference["probabilities" if name in PROBABILITIES else "measures"]
        known = table.get(name.removeprefix("input "), {})
        found[name] = compare_with_quantiles(values[COLUMNS[name]], who, known, count)
    whole, half = patient_means(values[COLUMNS["retina"]], who), count // EYES
    found["retina"] = compare_shares(whole.sum(), len(whole), half, half)  # all reference photographs count as retinas
    called, share = patient_means(values[COLUMNS["referred"]], who), reference["called"].get(question)
    if share is not None:
        found["referred"] = compare_shares(called.sum(), len(called), share * half, half)
    return clear(found, chance)


def columns(photos):
    """Stack photographs: measures by column, shape (columns, n), and the number of the patient, shape (n,)."""
    _, patients = np.unique([one.patient for one in photos], return_inverse=True)
    return np.array([one.values for one in photos], float).T, patients


def clear(found, chance):
    """Keep the differences that remain after the correction for their number, the clearest first."""
    kept = {name: one for name, one in found.items() if one.p <= chance / len(found)}
    return dict(sorted(kept.items(), key=lambda item: item[1].p))


def recall(register, reference, network, thresholds):
    """Make a Shift with the photographs of the register and the looks of the past.

    Returns
    -------
    shift : Shift
    new : list of Alarm
        Alarms that a stop kept out of the register.
    last : int
        Id of the last photograph.
    """
    question = next((one for one in ("referable", "any") if one in thresholds), "any")
    shift, since = Shift(reference, question), register.now().date() - datetime.timedelta(MEMORY + WEEK)
    entered = {(one["day"], one["camera"], one["against"]): one for one in register.alarms(since)}
    today = register.now().date()
    for (day, camera, against), one in entered.items():
        if (day := datetime.date.fromisoformat(day)) < today:
            began = datetime.date.fromisoformat(one["since"])
            shift.alarms[day, camera, against] = Alarm(day, began, camera, against, {}, 0, 0)
    new, last = [], 0
    for photo in read_photos(register, 0, since, network, thresholds):
        last = photo.id
        if photo.day < today:  # its looks were taken on its day
            shift.days[photo.camera][photo.day].append(photo)
        else:
            new += [alarm for alarm in shift.add(photo) if (str(alarm.day), alarm.camera, alarm.against) not in entered]
    return shift, new, last
