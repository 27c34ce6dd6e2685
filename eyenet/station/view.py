"""What the person at the camera sees: a screen on a terminal, one line for each event elsewhere.

Names and reasons come from files of others. They are never read as markup, and control characters are replaced before.
"""

import datetime
import sys

from eyenet.model.answers import AGAIN
from eyenet.model.disclaimers import NOT_A_DEVICE
from eyenet.run.errors import plural
from eyenet.run.files import plain
from eyenet.station.referrals import is_unsure, refers

STYLES = {"again": "bold black on yellow", "refer": "bold red", "unsure": "bold magenta", "other": ""}
FIXED = 22  # lines of the screen besides patients
SHIFTS = 3  # shift alarms of today that are shown, the newest
FEW = 4  # files that are listed by name


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

    def refresh(self, waiting, problems, since):
        """Print nothing: the events tell all."""


class Screen:
    """The whole terminal: who must be photographed again, files that wait or cannot be read, then the newest answers.

    Parameters
    ----------
    screener : eyenet.model.screener.Screener
    register : eyenet.station.register.Register
    console : rich.console.Console, optional
    """

    def __init__(self, screener, register, console=None):
        from rich.console import Console
        from rich.live import Live

        self.network = f"network {screener.name}, operating point {screener.point}, trained on {screener.trained_on}"
        self.register, self.console = register, console or Console()
        self.live = Live(console=self.console, screen=True, auto_refresh=False)
        self.answers, self.drawn, self.alarms = None, None, []

    def __enter__(self):
        self.live.__enter__()
        return self

    def __exit__(self, *problem):
        self.live.__exit__(*problem)

    def show(self, event):
        """Note an event: the next `refresh` shows it."""
        if event.kind in ("patient", "shift"):
            self.answers = None

    def refresh(self, waiting, problems, since):
        """Draw the screen, if something has changed.

        Parameters
        ----------
        waiting : list of str
            Names of files.
        problems : dict of str to str
            What cannot be read, and why.
        since : int
            Answers after this entry are shown, whatever the date (`eyenet.station.recall.Memory.since`).
        """
        state = (since, waiting, dict(problems), self.console.size)
        if self.answers is None or state != self.drawn:
            self.answers, self.drawn = self.register.answers(after=since), state
            self.alarms = self.register.alarms(self.register.now().date())
            self.live.update(self.draw(waiting, problems), refresh=True)

    def draw(self, waiting, problems):
        """Compose the screen."""
        from rich.console import Group
        from rich.text import Text

        again, others = _sort(self.answers)
        room = max(4, self.console.height - FIXED)
        parts = [Text(f"{plural(len(self.answers), 'visit')}, {len(again)} to photograph again", "bold")]
        parts.append(Text(f"{NOT_A_DEVICE} {self.network}", "dim"))  # at the top, where a low terminal shows it too
        parts += [self._table(again, max(2, room - FEW))] * bool(again)
        parts += [Text(plain(one["sentence"]), "bold yellow") for one in self.alarms[-SHIFTS:]]
        parts.append(Text(f"waiting: {_list(waiting)}" if waiting else "no file is waiting", "cyan" if waiting else ""))
        if problems:
            parts.append(Text(f"cannot be read, tried again when changed ({len(problems)}):", "bold red"))
            parts += [Text(plain(f"  {name}: {why}")) for name, why in sorted(problems.items())[:FEW]]
            if len(problems) > FEW:
                parts.append(Text(f"  and {len(problems) - FEW:,} more"))
        parts.append(self._table(others, max(2, room - len(again))))
        return Group(*parts)

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
    if is_unsure(answer):
        return "unsure"
    return "refer" if refers(answer) else "other"


def _list(names):
    few = ", ".join(plain(name) for name in names[:FEW])
    return few + (f" and {len(names) - FEW:,} more" if len(names) > FEW else "")
