"""What the person at the camera sees: a screen on a terminal, one line for each event elsewhere.

Names and reasons come from foreign files. They are never read as markup, and their control characters are replaced.
"""

import datetime
import sys

from eyenet.model.answers import AGAIN
from eyenet.model.decided import needs_grader, refers
from eyenet.model.disclaimers import NOT_A_DEVICE
from eyenet.run.errors import plural
from eyenet.run.files import plain

STYLES = {"again": "bold black on yellow", "refer": "bold red", "unsure": "bold magenta", "other": ""}
FIXED = 22  # lines of the screen besides patients
SHIFTS = 3  # shift alarms of today that are shown, the newest
FEW = 4  # files that are listed by name
LONG = 400  # characters of a problem


def view_for(screener, register):
    """Return the view that fits stdout."""
    if sys.stdout is not None and sys.stdout.isatty():
        return Screen(screener, register)
    return Lines()


class Lines:
    """One line for each event. Use it as a context manager, as Screen."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def show(self, event):
        """Print an event."""
        print(f"{datetime.datetime.now():%H:%M:%S}  {event.kind}  {event.name}: {event.text}", flush=True)

    def refresh(self, waiting, problems, since, left_out=()):
        """Print nothing: the events report everything."""

    def redraw(self, waiting, problems):
        """Print nothing, as `refresh`."""


class Screen:
    """The whole terminal: who must be photographed again, problems and unused files, then the newest answers.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
    register : eyenet.station.register.Register
    console : rich.console.Console, optional
    """

    def __init__(self, screener, register, console=None):
        from rich.console import Console
        from rich.live import Live

        self.network = f"Network {screener.name}, operating point {screener.point}, trained on {screener.trained_on}"
        self.register, self.console = register, console or Console()
        self.live = Live(console=self.console, screen=True, auto_refresh=False)
        self.answers, self.drawn, self.alarms, self.unassigned = None, None, [], []
        self.left_out, self.shown = {}, []  # the answers drawn last; there may be newer ones

    def __enter__(self):
        self.live.__enter__()
        return self

    def __exit__(self, *problem):
        self.live.__exit__(*problem)

    def show(self, event):
        """Note an event: the next `refresh` shows it."""
        if event.kind in ("patient", "shift", "photograph"):
            self.answers = None

    def refresh(self, waiting, problems, since, left_out=()):
        """Draw the screen, if something has changed.

        Parameters
        ----------
        waiting : list of str
            Names of files.
        problems : dict of str to str
            What cannot be read or written, and why; the first ones are named.
        since : int
            Answers after this entry are shown, whatever the date (`eyenet.station.recall.Memory.since`).
        left_out : dict of str to str, optional
            Files that are not used, and why.
        """
        state = (since, waiting, dict(problems), self.console.size, dict(left_out))
        if self.answers is None or state != self.drawn:
            answers, unassigned = self.register.answers(after=since), self.register.unassigned(since)
            self.alarms = self.register.alarms(self.register.now().date())
            self.answers, self.unassigned, self.drawn, self.left_out = answers, unassigned, state, dict(left_out)
            self._update(waiting, problems)

    def redraw(self, waiting, problems):
        """Draw the last answers again with other problems, such as a register that cannot be read."""
        state = (waiting, dict(problems), self.console.size)
        if state != self.drawn:
            self.drawn = state
            self._update(waiting, problems)

    def _update(self, waiting, problems):
        self.live.update(self.draw(waiting, problems), refresh=True)

    def draw(self, waiting, problems):
        """Compose the screen."""
        from rich.console import Group
        from rich.text import Text

        if self.answers is not None:
            self.shown = self.answers
        again, others = _sort(self.shown)
        room = max(4, self.console.height - FIXED)
        parts = [Text(f"{plural(len(self.shown), 'visit')}, {len(again)} to photograph again", "bold")]
        parts.append(Text(f"{NOT_A_DEVICE} {self.network}", "dim"))  # at the top, where a low terminal shows it too
        parts += [self._table(again, max(2, room - FEW))] * bool(again)
        parts += [Text(plain(one["sentence"]), "bold yellow") for one in self.alarms[-SHIFTS:]]
        parts.append(Text(f"waiting: {_list(waiting)}" if waiting else "no file is waiting", "cyan" if waiting else ""))
        told = [f"{name}: {why}" for name, why in problems.items()]
        lines = self._lines(
            f"cannot be read or written, tried again ({len(told)}):", "bold red", told, room, wraps=True
        )
        told = [
            f"{one.name}: {say_photograph(one)}" for one in sorted(self.unassigned, key=lambda one: not _refers(one))
        ]
        style = STYLES["refer"] if any(map(_refers, self.unassigned)) else "bold"
        lines += self._lines(f"patient or eye unknown: not used in any answer ({len(told)}):", style, told, room)
        told = [f"{name}: {why}" for name, why in self.left_out.items()]
        left_out = self._lines(f"left out, not used ({len(told)}):", "bold", told, room)
        used = min(len(again), room - FEW) + len(lines) + len(left_out)
        return Group(*parts, *lines, self._table(others, max(FEW, room - used)), *left_out)

    def _lines(self, title, style, told, room, wraps=False):
        """List some lines under a title, and the names of those without room; nothing if there are none."""
        from rich.text import Text

        few = max(FEW, room // 3)
        lines = [Text(title, style)] * bool(told)
        lines += [Text(plain(f"  {line}")[:LONG], no_wrap=not wraps, overflow="ellipsis") for line in told[:few]]
        if len(told) > few:
            names = ", ".join(line.partition(": ")[0] for line in told[few:])
            more = plain(f"  and {len(told) - few:,} more: {names}")
            lines.append(Text(more, no_wrap=True, overflow="ellipsis"))
        return lines

    def _table(self, rows, room):
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        table.add_column("time", width=5)
        table.add_column("patient", ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column("result", ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column("why", ratio=6, no_wrap=True, overflow="ellipsis")
        for one in rows[:room]:
            kind, style = _kind(one.answer), STYLES[_kind(one.answer)]
            result = Text(f" {one.answer['result']} " if kind == "again" else one.answer["result"], style)
            named = plain(one.answer.get("patient") or f"erased ({one.patient})")
            why = plain("; ".join(one.answer.get("reasons", ())))
            table.add_row(one.recorded[11:16], Text(named), result, Text(why))
        if len(rows) > room:
            table.add_row("", Text(f"and {len(rows) - room:,} earlier"), "", "")
        return table


def _sort(answers):
    """Separate the visits to photograph again from the others, the newest first."""
    kinds = {True: [], False: []}
    for one in sorted(answers, key=lambda one: -one.id):
        kinds[_kind(one.answer) == "again"].append(one)
    return kinds[True], kinds[False]


def _kind(answer):
    if answer.get("result") == AGAIN:
        return "again"
    if needs_grader(answer):
        return "unsure"
    return "refer" if refers(answer) else "other"


def say_photograph(photograph):
    """Describe the result of a photograph, with its reasons."""
    reasons = "; ".join(photograph.facts.get("reasons", ()))
    return photograph.facts.get("result", "") + (f": {reasons}" if reasons else "")


def _refers(photograph):
    return refers(photograph.facts)


def _list(names):
    few = ", ".join(plain(name) for name in names[:FEW])
    return few + (f" and {len(names) - FEW:,} more" if len(names) > FEW else "")
