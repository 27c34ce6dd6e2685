"""Measure the shift alarm of the station on real photographs: how often it is false, and how soon it comes.

    python benchmarks/shift.py --data ../shared/data --cache CACHE

--data holds eyepacs-256eq, eyepacs-1024 and diaretdb1. All simulated patients are new to the summary, which is that of
the validation patients. Only the test patients are compared with the summary or with changed photographs, since the
network knows the others; false alarms about the past are also counted on both together.
Patients are drawn at random, and each day has new ones as far as the set has enough.

False alarms: 100 days of 25 patients after 200 patients of the past. Alarms: a day of 200 patients in the past is
followed by one of changed photographs, in 100 random orders; the photographs until the alarm count those of the patient
who follows, whose arrival completes the last one. Haze, dirt, smear and a lost channel are made by hand. In DIARETDB1
the patients are not told, and each photograph counts as one. The photographs are measured once, in CACHE (5,000
photographs, ten minutes on one core); the simulation takes four minutes.
"""

import datetime
from pathlib import Path

import numpy as np
import record
from shift_data import load_all

from eyenet.model import pretrained
from eyenet.model.screener import Screener
from eyenet.run.files import read_json
from eyenet.score.intervals import share_with_interval
from eyenet.station.shift import Shift
from eyenet.station.shift_data import Photo, values_of

TRAINING = 2800  # photographs of training patients that are measured
DAY = datetime.date(2026, 1, 1)
DAYS, A_DAY, PAST = 100, 25, 200  # days, patients of a day, patients of the past
RUNS, WITHIN = 100, 50  # random orders, photographs until the alarm at most
CONTROL = "nothing changed"
QUIET_RUNS = 3  # random orders of 100 days


class Patients:
    """The measured photographs of a set, by patient.

    Parameters
    ----------
    rows : list of dict
        As from `shift_data.measure_set`.
    screener : eyenet.model.screener.Screener
    """

    def __init__(self, rows, screener):
        self.photos = {}
        for row in rows:
            facts = {"gradable": row["gradable"], "measures": row["measures"] or {}}
            facts["measures"]["network"] = screener.name
            values = values_of(facts, screener.name, screener.thresholds())
            self.photos.setdefault(row["patient"], []).append(values)

    def __len__(self):
        return len(self.photos)

    def order(self, rng):
        """List the patients in a random order."""
        return [sorted(self.photos)[i] for i in rng.permutation(len(self.photos))]

    def day(self, patients, day, camera="one"):
        """Yield the photographs of some patients on a day."""
        for patient in patients:
            for values in self.photos[patient]:
                yield Photo(0, DAY + datetime.timedelta(day), camera, f"{patient} {day}", values)


def quiet_days(people, reference, rng):
    """List the false alarms; the patients come in a random order, and again only when all have come."""
    shift, order, alarms = Shift(reference), [], []
    for day in range(DAYS + 1):
        wanted = A_DAY if day else PAST
        if len(order) < wanted:
            order = people.order(rng)
        today, order = order[:wanted], order[wanted:]
        for photo in people.day(today, day):
            alarms += [alarm for alarm in shift.add(photo) if day]
    return alarms


def false_alarms(name, people, reference):
    """Yield rows: false alarms in `QUIET_RUNS` times 100 days."""
    counts = [len(quiet_days(people, reference, np.random.default_rng(seed))) for seed in range(QUIET_RUNS)]
    said = f"no change, {name}, {len(people):,} patients: false alarms"
    yield f"{said} in 100 days, worst of {QUIET_RUNS} orders", max(counts), "alarms", f"<= {DAYS // 30}"
    yield f"{said} in {QUIET_RUNS * DAYS:,} days", sum(counts), "alarms", ""


def until_alarm(before, after, reference, rng, camera):
    """Count the photographs until the alarm; infinity if there is none on that day."""
    shift = Shift(reference)
    if before:
        shown = [patient for patient in before.order(rng) if patient not in after.photos][:PAST]
        for photo in before.day(shown, 0):
            shift.add(photo)
    for count, photo in enumerate(after.day(after.order(rng), 1, camera), 1):
        if shift.add(photo):
            return count
    return np.inf


def alarms(name, before, after, reference, camera):
    """Yield rows: the photographs until the alarm, and how often it comes within 50."""
    counts = np.array(
        [until_alarm(before, after, reference, np.random.default_rng(run), camera) for run in range(RUNS)]
    )
    middle, late = (np.quantile(counts, share, method="higher") for share in (0.5, 0.9))
    unit = "none within the day" if np.isinf(late) else "photographs"
    yield f"{name}: until the alarm, median", f"{middle:.0f}", unit, ""
    yield f"{name}: until the alarm, 90 %", f"{late:.0f}", unit, "" if name.startswith(CONTROL) else f"<= {WITHIN}"
    share = share_with_interval(counts <= WITHIN, np.arange(RUNS))
    limits = f"95 %: {share['low']:.3f} to {share['high']:.3f}, of {RUNS} orders"
    yield f"{name}: alarm within {WITHIN} photographs", f"{share['value']:.3f}", limits, ""


def main():
    options = record.parse(__doc__)
    options.add_argument("--cache", type=Path, required=True, help="folder for the measures of the photographs")
    options.add_argument("--model", type=Path, default=pretrained.folder(), help="folder of the model")
    args = options.parse_args()
    screener, reference = Screener(args.model, measuring=True), read_json(args.model / "reference.json")
    rows = load_all(screener, args.model, args.data, args.cache, TRAINING)
    every = Patients(rows["test"] + rows["train"], screener)
    test, changed = Patients(rows["test"], screener), set(rows) - {"test", "train"}
    table = [
        *false_alarms("its own past", every, None),
        *false_alarms("the network's summary", test, reference),
        *false_alarms("both", test, reference),
    ]
    rows[CONTROL] = [row for row in rows["test"] if row["name"] in {one["name"] for one in rows["dirt"]}]
    for name in [CONTROL, *sorted(changed)]:
        after = Patients(rows[name], screener)
        camera = "two" if name == "another camera" else "one"
        table += alarms(f"{name}, its own past", test, after, None, camera)
        table += alarms(f"{name}, the network's summary alone", None, after, reference, camera)
    natural = Patients(rows["natural colours"], screener)
    other = Patients(rows["another camera"], screener)
    table += alarms("another camera, the past in natural colours", natural, other, None, "two")
    record.write("shift", table, packages=("scipy",))


if __name__ == "__main__":
    main()
