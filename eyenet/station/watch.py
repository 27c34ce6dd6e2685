"""Watch the inbox: grade each file when it is complete, and continue if one of them fails."""

import time
from pathlib import Path

from eyenet.grading.options import add_model_options
from eyenet.grading.rows import LEFT_OUT
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE
from eyenet.model.pretrained import default_model
from eyenet.run.errors import EXIT_REJECTED, StageError, log, plural
from eyenet.run.files import plain
from eyenet.run.options import local_path
from eyenet.station.desk import Changed, Desk, Event
from eyenet.station.form_options import add_options as add_forms
from eyenet.station.form_options import start_forms
from eyenet.station.inbox import Inbox
from eyenet.station.lock import only_station
from eyenet.station.recall import OtherNetwork
from eyenet.station.register import Register
from eyenet.station.shift_watch import ShiftWatch
from eyenet.station.view import view_for

RETRY = 5.0  # s until a file that could not be opened, or an entry that could not be written, is tried again
TRIES = 3  # of such a file with --once
FORMS = "./forms"  # name of a problem; no file of the inbox has this name
TIDY = 600.0  # s between removals of visits that are over from memory; the register keeps them
REGISTER = "the register"  # stands for a file in the list of problems
SHIFT = "shift alarm"
GENERAL = {".", REGISTER, FORMS, SHIFT}  # problems of no single file


def add_options(options):
    """Add the options of the station to the parser of screen.py."""
    group = options.add_argument_group("the station")
    group.add_argument("--inbox", type=local_path, metavar="DIR", help="folder to watch, with its subfolders")
    group.add_argument("--once", action="store_true", help="grade the files that are there, and exit")
    add_model_options(group)
    group.add_argument("--one-clinic", action="store_true", help="equal IDs are one person in all subfolders")
    add_forms(group)


def run_station(args):
    """Run the station until Ctrl-C, or with --once until all files are answered; return the exit code."""
    from eyenet.model.screener import Screener  # the commands of the register need no network

    if not args.inbox.is_dir():
        raise StageError(f"there is no folder {args.inbox}; make it, or connect the drive")
    folder = Path(args.inbox).resolve()
    screener = Screener(
        args.model or default_model(), args.sensitivity, args.specificity, unsure=args.unsure, measuring=True
    )
    log(f"{NOT_A_DEVICE} {INTENDED_USE}")
    log(screener.describe())
    with only_station(folder, args.register), Register.open(args.register) as register:
        forms = start_forms(register, args.forms, args.clinic, args.anonymous)
        desk, inbox = Desk(folder, screener, register, args.one_clinic, forms=forms), Inbox(folder)
        with view_for(screener, register) as view:
            return Watch(desk, inbox, view, shift=ShiftWatch(register, screener)).run(args.once)


class Watch:
    """The loop of the station.

    Parameters
    ----------
    desk : Desk
    inbox : Inbox
    view : eyenet.station.view.Lines or eyenet.station.view.Screen
    now, sleep : callable
        As `time.monotonic` and `time.sleep`.
    shift : eyenet.station.shift_watch.ShiftWatch, optional
        Default: no shift alarm.
    """

    def __init__(self, desk, inbox, view, now=time.monotonic, sleep=time.sleep, shift=None):
        self.desk, self.inbox, self.view, self.now, self.sleep = desk, inbox, view, now, sleep
        self.problems, self.left_out, self.tried, self.again = {}, {}, {}, {}
        self.begun, self.tidied = False, now()
        self.is_writing = False  # whether more forms must be written: then the next look does not wait
        self.shift = shift

    def run(self, once=False):
        """Watch until Ctrl-C, or until every file is answered; return the exit code."""
        if not once:
            self.inbox.start()
        try:
            while True:
                found = self.step(once)
                if once and found and not self._open():
                    return self._end()
                if not self.is_writing:
                    self.inbox.wait()
        finally:
            self.inbox.stop()

    def begin(self):
        """Recall earlier answers; the inbox has been read."""
        known, events = self.desk.begin(self.inbox.present)
        self.begun = True
        for path, state in known.items():
            self.inbox.take(path, state)
        self._show(events)
        self.desk.forms.queue.postpone()  # photographs that wait come first
        self._look_for_shift()

    def step(self, once=False):
        """Look once, and grade complete files; return whether the folder and the register could be read."""
        self.is_writing = False
        try:
            ready = self.inbox.look()
        except OSError as error:
            if once:
                raise
            self._trouble(".", f"the inbox cannot be read ({error.strerror}: {error.filename}); waiting for it")
            self._redraw()
            return False
        self._solved(".")
        if self.again.get(REGISTER, 0) > self.now():
            return False
        try:
            self._go_on(ready, once)
        except OtherNetwork:
            raise
        except StageError as error:  # the register cannot be read or written
            if once:
                raise
            self.again[REGISTER] = self.now() + RETRY
            self._trouble(REGISTER, str(error))
            self._redraw()
            return False
        return True

    def _go_on(self, ready, once):
        """Do the work after a look; what fails is repeated after the next one."""
        if not self.begun:
            self.begin()
            ready = self.inbox.look()
        here = {self._name(path) for path in [*self.inbox.present, *self.inbox.closed]}
        for path, why in self.inbox.closed.items():
            self._trouble(self._name(path), f"this folder cannot be read ({why}), so its photographs are not graded")
        for name in [name for name in self.problems if name not in {*here, *GENERAL}]:
            events = self.desk.forget_unread(name)
            self._solved(name)
            self._show(events)
        self._forget_left_out(here)
        if self.now() - self.tidied >= TIDY:
            self.desk.memory.tidy()
            self.desk.forms.queue.is_behind = True
            self.tidied = self.now()
        self._refresh()
        idle = True
        for path in ready:
            if self.again.get(path, 0) <= self.now():
                self._take(path, once)
                self._refresh()
                self._write_forms(idle=False)
                idle = False
        self._write_forms(idle)
        self._solved(REGISTER)

    def _write_forms(self, idle):
        """Write the forms of new answers, and others if no photograph is ready; what fails is tried again later."""
        self.is_writing = False
        if self.again.get(FORMS, 0) > self.now():
            return
        try:
            self.desk.forms.write_some(idle)
        except StageError as error:
            self.again[FORMS] = self.now() + RETRY
            self._trouble(FORMS, str(error))
        else:
            self.is_writing = bool(self.desk.forms.queue.others)
            if not self.is_writing:
                self._solved(FORMS)

    def _take(self, path, once):
        name, state = self._name(path), self.inbox.present[path]
        try:
            events = self.desk.take(path)
        except Changed as error:
            self.tried[path] = self.tried.get(path, 0) + 1
            self.again[path] = self.now() + RETRY * (not once)
            self._trouble(name, str(error))
            return
        except OtherNetwork as error:  # trying again would not help
            self.inbox.take(path, state)
            self._trouble(name, str(error))
            return
        except StageError as error:  # the register cannot be written
            if once:
                raise
            self.again[path] = self.now() + RETRY
            self._trouble(name, str(error))
            return
        self.inbox.take(path, state)
        self.tried.pop(path, None)
        self.again.pop(path, None)
        self._solved(name)
        self.left_out.pop(plain(name), None)
        if name in self.desk.unread:
            self.problems[name] = "; ".join(event.text for event in events if event.kind == "not read")
        self._show(events)
        self._look_for_shift()

    def _look_for_shift(self):
        """Show the shift alarms that the photographs in the register give; a failure is shown and stops nothing."""
        if self.shift is None:
            return
        try:
            self._show(self.shift.look())
            self._solved(SHIFT)
        except StageError as error:
            self._trouble(SHIFT, str(error))

    def _open(self):
        """List the files that --once still waits for."""
        return [path for path in self.inbox.waiting() if self.tried.get(path, 0) < TRIES]

    def _end(self):
        self.desk.forms.write_all()
        self._solved(FORMS)
        unread = len(self.problems.keys() - GENERAL)
        if unread:
            log(f"error: {plural(unread, 'file')} could not be read; the reasons are in their lines")
        return EXIT_REJECTED if unread else 0

    def _name(self, path):
        return path.relative_to(self.inbox.folder).as_posix()

    def _trouble(self, name, text):
        """Show a problem, once until it changes."""
        if self.problems.get(name) != text:
            self.problems[name] = text
            self.view.show(Event("trouble", plain(name), plain(text)))

    def _solved(self, name):
        self.problems.pop(name, None)

    def _show(self, events):
        for event in events:
            if event.kind == LEFT_OUT:
                self.left_out[event.name] = event.text
            self.view.show(event)

    def _refresh(self):
        self.view.refresh(self._waiting(), self._problems(), self.desk.memory.since(), self.left_out)

    def _redraw(self):
        """Show the problems without the register, which may be one of them."""
        self.view.redraw(self._waiting(), self._problems())

    def _forget_left_out(self, here):
        """Forget files left out, as a whole or in part, that are gone."""
        shown = {plain(name) for name in here}
        for name in [name for name in self.left_out if not {name, name.rpartition("[")[0]} & shown]:
            del self.left_out[name]

    def _waiting(self):
        return [self._name(path) for path in self.inbox.waiting()]

    def _problems(self):
        """Return the problems, those of no single file first."""
        return dict(sorted(self.problems.items(), key=lambda one: (one[0] not in GENERAL, one)))
