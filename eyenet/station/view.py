"""What the person at the camera sees: a screen on a terminal, one line for each event elsewhere.

Names and reasons come from files of others. They are never read as markup, and control characters are replaced before.
"""

import datetime
import sys

from eyenet.model.answers import AGAIN
from eyenet.model.disclaimers import NOT_A_DEVICE
from eyenet.run.errors import plural
from eyenet.run.files import plain
from eyenet.station.referrals import refers

STYLES = {"again": "bold black on yellow", "refer": "bold red", "other": ""}
FIXED = 18  # lines of the screen besides patients
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

    def refresh(self, waiting, problems):
        """Print nothing: the events tell all."""


class Screen:
    """The whole terminal: files that wait or cannot be read, and the patients of today, "photograph again" first.

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

    def refresh(self, waiting, problems):
        """Draw the screen, if something has changed.

        Parameters
        ----------
        waiting : list of str
            Names of files.
        problems : dict of str to str
            What cannot be read, and why.
        """
        today = self.register.now().date()
        state = (today, waiting, dict(problems), self.console.size)
        if self.answers is None or state != self.drawn:
            self.answers, self.drawn = self.register.answers(today), state
            self.alarms = self.register.alarms(today)
            self.live.update(self.draw(waiting, problems, today), refresh=True)

    def draw(self, waiting, problems, today):
        """Compose the screen."""
        from rich.console import Group
        from rich.text import Text

        parts = [Text(f"{plural(len(self.answers), 'visit')} on {today}", "bold"), self._table()]
        parts += [Text(plain(one["sentence"]), "bold yellow") for one in self.alarms[-SHIFTS:]]
        parts.append(Text(f"waiting: {_list(waiting)}" if waiting else "no file is waiting", "cyan" if waiting else ""))
        if problems:
            parts.append(Text(f"cannot be read, tried again when changed ({len(problems)}):", "bold red"))
            parts += [Text(plain(f"  {name}: {why}")) for name, why in sorted(problems.items())[:FEW]]
            if len(problems) > FEW:
                parts.append(Text(f"  and {len(problems) - FEW:,} more"))
        parts.append(Text(f"{NOT_A_DEVICE} {self.network}", "dim"))
        return Group(*parts)

    def _table(self):
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
        table.add_column("time", width=5)
        table.add_column("patient", ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column("result", ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column("why", ratio=6, no_wrap=True, overflow="ellipsis")
        rows = sorted(self.answers, key=lambda one: (_kind(one.answer) != "again", -one.id))
        room = max(3, self.console.height - FIXED)
        for one in rows[:room]:
            kind, style = _kind(one.answer), STYLES[_kind(one.answer)]
            result = Text(f" {one.answer['result']} " if kind == "again" else one.answer["result"], style)
            named = plain(one.answer.get("patient") or f"erased ({one.patient})")
            why = plain("; ".join(one.answer.get("reasons", ())))
            table.add_row(one.recorded[11:16], Text(named), result, Text(why))
        if len(rows) > room:
            table.add_row("", Text(f"and {len(rows) - room:,} earlier"), "", "")
        return table


def _kind(answer):
    if answer.get("result") == AGAIN:
        return "again"
    return "refer" if refers(answer) else "other"


def _list(names):
    few = ", ".join(plain(name) for name in names[:FEW])
    return few + (f" and {len(names) - FEW:,} more" if len(names) > FEW else "")
