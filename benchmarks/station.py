"""A day of the screening station, undisturbed and with kills, and what is lost, changed or slow.

    python benchmarks/station.py --photographs 2000 --seconds 600 --kills 20

Drawings of the sample, each file with a comment of its own, are written into an inbox in pieces and at random times,
four for each patient; --seconds is the length of the day, so time is compressed. 2 % are damaged. The station runs as
it is started in a clinic: first for a whole day, then for the same day with --kills kills (SIGKILL) at random moments,
each followed by a start. It is an error if a photograph is not in the register exactly once, a damaged file is not
listed, a patient has not exactly one answer and one letter, an answer or a letter differs from that of the undisturbed
day, or `--verify` finds something. The resident memory is that of the undisturbed day.

The seconds from the end of a file to its answer are measured before, with --paced photographs, one a second; it is an
error if one of them, or a file of the undisturbed day, has no answer on the screen.
"""

import argparse
import contextlib
import io
import itertools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import record
from PIL import Image

from eyenet.run.errors import EXIT_REJECTED
from eyenet.run.files import sha256
from eyenet.run.options import between, positive, seed
from eyenet.station.register import Register
from make_sample import take_photograph

EACH = ("left", "right", "left (1)", "right (1)")  # photographs of a patient
DAMAGED, SICK = 0.02, 0.3  # shares of the files, and of the patients with drawn lesions
DAMAGES = (lambda data: data[:5000], lambda data: data[:3], lambda data: b"\xff\xd8\xff" + bytes(4000))
PIECES, PAUSE = 3, 0.05  # in which a camera writes a file, and seconds between two of them
QUIET = 300.0  # s after the last file, after which what is not answered is missing
READY = 5.0  # s in which the station starts
FORMS = ("--forms", "letter")
TIME = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d")  # when the first photograph came: not the same on both days
SHOWN = ("photograph", "not read", "left out")  # the events of a file
SHARES = {"median": 0.5, "95 %": 0.95, "longest": 1.0}


def draw(count, start):
    """Draw photographs of the sample that can be read, half of them without DR; a list of JPEG bytes for each half."""
    halves = []
    for grade in (0, 3):
        drawn = []
        for patient in itertools.count(1):
            if len(drawn) >= count // 2:
                break
            data = take_photograph(start, patient, "left", grade)
            with contextlib.suppress(OSError):  # some of the sample are cut off
                Image.open(io.BytesIO(data)).load()
                drawn.append(data)
        halves.append(drawn)
    return halves


def with_comment(data, text):
    """Add a comment to a JPEG, so that its hash is its own."""
    text = text.encode()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def plan(photographs, drawings, start):
    """Plan the files of a day in the order of their arrival; list of (share of the day, name, drawing, damage)."""
    dice = random.Random(start)
    sick = {patient: dice.random() < SICK for patient in range(1, 1 + photographs // len(EACH))}
    names = [(patient, f"{patient}_{eye}.jpeg") for patient in sick for eye in EACH]
    dice.shuffle(names)
    spoiled = set(dice.sample(range(len(names)), round(DAMAGED * len(names))))
    times, files = sorted(dice.random() for _ in names), []
    for i, (at, (patient, name)) in enumerate(zip(times, names)):
        damage = dice.choice(DAMAGES) if i in spoiled else None
        files.append((at, name, dice.choice(drawings[sick[patient]]), damage))
    return files


class Camera(threading.Thread):
    """Write the files of a day into an inbox, each in pieces; `ended` tells when each was complete."""

    def __init__(self, inbox, files, seconds):
        super().__init__(daemon=True)
        self.inbox, self.files, self.seconds, self.ended = inbox, files, seconds, {}

    def run(self):
        begun = time.monotonic()
        for at, name, drawing, damage in self.files:
            time.sleep(max(0.0, begun + at * self.seconds - time.monotonic()))
            data = with_comment(drawing, name)
            data = damage(data) if damage else data
            step = len(data) // PIECES + 1
            with open(self.inbox / name, "wb") as file:
                for place in range(0, len(data), step):
                    file.write(data[place : place + step])
                    file.flush()
                    time.sleep(PAUSE)
            self.ended[name] = time.monotonic()


class Station:
    """A running screen.py; `shown` tells when it showed each file first, and `memory` what it held then.

    `busy` is the processor time that it took until it was ended, in seconds.
    """

    def __init__(self, inbox, register, every=0):
        self.words = [
            sys.executable,
            str(record.REPO / "screen.py"),
            "--inbox",
            str(inbox),
            "--register",
            str(register),
            *FORMS,
        ]
        self.shown, self.memory, self.every, self.busy = {}, {}, every, 0.0
        self.start()

    def start(self):
        """Start the program, and read what it prints."""
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()

    def _read(self, process):
        for line in process.stdout:
            _, kind, told = line.split("  ", 2)
            if kind in SHOWN:
                self.shown.setdefault(told.split(": ")[0], time.monotonic())
                if self.every and len(self.shown) % self.every == 0:
                    self.memory.setdefault(len(self.shown), resident(process.pid))

    def kill(self):
        """Kill the program."""
        self.end(signal.SIGKILL)

    def end(self, number=signal.SIGINT):
        """End the program by a signal."""
        if self.process.poll() is None:
            self.busy += busy(self.process.pid)
        self.process.send_signal(number)
        self.process.wait()
        self.reader.join()


def resident(pid):
    """Return the resident memory of a process, in MB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def busy(pid):
    """Return the processor time of a process, in seconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # in user and kernel mode


def unshown(station, camera):
    """List the files that a station did not show; for a day without kills, since old answers are not shown again."""
    return [f"{name} is not shown" for name in sorted(camera.ended.keys() - station.shown.keys())]


def live(folder, files, seconds, args, kills=0):
    """Let a station live through a day; return the station, the camera and the number of kills."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    dice = random.Random(args.seed + 1)
    moments = sorted(dice.random() * seconds for _ in range(kills))
    station = Station(inbox, folder / "register.sqlite", args.every)
    camera = Camera(inbox, files, seconds)
    time.sleep(READY)
    camera.start()
    begun = time.monotonic()
    for moment in moments:
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        station.kill()
        time.sleep(dice.random())
        station.start()
    camera.join()
    until = time.monotonic() + QUIET
    while len(station.shown) < len(files) and time.monotonic() < until and station.process.poll() is None:
        time.sleep(0.1)
        if kills and time.monotonic() > until - QUIET + 20:  # what was answered before a kill is not shown again
            break
    station.end()
    record.say(f"{folder.name}: {len(files):,} files, {len(moments)} kills, {time.monotonic() - begun:.0f} s")
    return station, camera


def account(folder, files):
    """Run the station once more, and check files and register.

    Returns
    -------
    complaints : list of str
    answers : dict of str to list
        By patient, the newest answer of each visit, and the bytes of each letter.
    """
    inbox, path = folder / "inbox", folder / "register.sqlite"
    words = [sys.executable, str(record.REPO / "screen.py"), "--register", str(path)]
    words_once = [*words, "--inbox", inbox, "--once", *FORMS]
    once = subprocess.run(words_once, check=False, capture_output=True, text=True)
    spoiled = {name for _, name, _, damage in files if damage}
    listed = {line.split("  ", 2)[2].split(": ")[0] for line in once.stdout.splitlines() if "  not read  " in line}
    complaints = [f"{name} is damaged and not listed" for name in sorted(spoiled - listed)]
    complaints += [f"{name} is listed and not damaged" for name in sorted(listed - spoiled)]
    if once.returncode != (EXIT_REJECTED if spoiled else 0):
        complaints.append(f"screen.py --once ended with {once.returncode}: {once.stderr[-300:]}")
    verify = subprocess.run([*words, "--verify"], check=False, capture_output=True, text=True)
    if verify.returncode:
        complaints.append(f"--verify: {verify.stdout}")
    with Register.open(path, create=False) as register:
        known = Counter(one.sha256 for one in register.photographs())
        answers = {}
        for one in register.answers():
            answers.setdefault(one.answer["patient"], []).append(one.answer)
    letters = {}
    for letter in path.with_name(f"{path.name}.forms").glob("*/*/letter.html"):
        letters.setdefault(letter.parent.name.partition("_")[0], []).append(TIME.sub(b"", letter.read_bytes()))
    wanted = {sha256(inbox / name): name for _, name, _, damage in files if not damage}
    complaints += [
        f"{name} is {known[digest]} times in the register" for digest, name in wanted.items() if known[digest] != 1
    ]
    complaints += [f"{digest} is in the register only" for digest in known.keys() - wanted.keys()]
    patients = {name.partition("_")[0] for _, name, _, _ in files}
    for what, found in (("answers", answers), ("letters", letters)):
        counts = {one: len(found.get(one, [])) for one in patients}
        complaints += [f"patient {one}: {count} {what}" for one, count in counts.items() if count != 1]
    return complaints, {one: (answers.get(one), letters.get(one)) for one in patients}


def measure(work, args):
    """Live through both days; return the complaints and the rows."""
    drawings = draw(args.drawings, args.seed)
    record.say(f"{sum(map(len, drawings))} drawings")
    paced = plan(args.paced, drawings, args.seed + 1)
    paced = [(i / len(paced), *file[1:]) for i, file in enumerate(paced)]
    station, camera = live(work / "paced", paced, len(paced), args)
    waits = sorted(station.shown[name] - camera.ended[name] for name in camera.ended if name in station.shown)
    complaints = [f"one a second: {one}" for one in unshown(station, camera)]
    files = plan(args.photographs, drawings, args.seed)
    station, camera = live(work / "undisturbed", files, args.seconds, args)
    missing = unshown(station, camera)
    found, answers = account(work / "undisturbed", files)
    complaints += [f"undisturbed: {one}" for one in missing + found]
    live(work / "killed", files, args.seconds, args, args.kills)
    found, others = account(work / "killed", files)
    complaints += [f"killed: {one}" for one in found]
    differing = [patient for patient in answers if answers[patient] != others[patient]]
    complaints += [f"patient {patient}: another answer or letter after kills" for patient in sorted(differing)]
    return complaints, figures(args, files, waits, station, others, len(complaints))


def figures(args, files, waits, station, answers, complaints):
    """Convert what was measured into rows; `station` is that of the undisturbed day."""
    memory = station.memory
    results = Counter(told[0]["result"] for told, _ in answers.values() if told)
    held = list(memory.values())
    return [
        ("photographs", len(files), "", ""),
        ("patients", args.photographs // len(EACH), "", ""),
        ("damaged files", sum(damage is not None for *_, damage in files), "", ""),
        ("photographs a minute", round(60 * len(files) / args.seconds), "", ""),
        ("kills", args.kills, "", ""),
        ("unaccounted files, missing or differing answers and letters", complaints, "", "0"),
        *((f"patients: {result}", count, "", "") for result, count in sorted(results.items())),
        *(
            (
                f"from the end of a file to its answer, one a second, {name}",
                round(waits[round(share * (len(waits) - 1))], 2),
                "s",
                "<= 2",
            )
            for name, share in SHARES.items()
        ),
        *((f"resident memory after {count:,} photographs", round(value), "MB", "") for count, value in memory.items()),
        ("resident memory, last / first", round(held[-1] / held[0], 3) if held else "", "ratio", "flat"),
        ("processor time for each file of the undisturbed day", round(station.busy / len(files), 3), "s", ""),
        ("load of the machine, mean of the last 15 minutes", round(os.getloadavg()[2], 1), "processes", ""),
    ]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photographs", type=between(40, 10**6), default=2000)
    options.add_argument("--paced", type=between(len(EACH), 10**4), default=120, help="photographs, one a second")
    options.add_argument("--seconds", type=positive, default=600, help="length of a day")
    options.add_argument("--kills", type=between(0, 1000), default=20)
    options.add_argument("--drawings", type=positive, default=48, help="distinct drawings")
    options.add_argument("--every", type=positive, default=200, help="photographs between two looks at the memory")
    options.add_argument("--seed", type=seed, default=0)
    options.add_argument("--work", type=Path, help="folder for the temporary folder")
    options.add_argument("--keep", action="store_true", help="keep the work folder")
    args = options.parse_args()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # started in the background; the stations are ended by it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    work = Path(tempfile.mkdtemp(prefix="station-", dir=args.work))
    try:
        complaints, rows = measure(work, args)
    finally:
        if not args.keep:
            shutil.rmtree(work)
    record.write("station", rows, ("watchdog", "rich"))
    if complaints:
        sys.exit("\n".join([f"{len(complaints):,} complaints:", *complaints[:50]]))


if __name__ == "__main__":
    main()
