"""How long ago a photograph was entered, even if the clock of the computer is changed.

The time since the computer was started never jumps. The clock of the computer is used only for photographs that were
entered before that.
"""

import datetime
import secrets
import time
from pathlib import Path

PAUSE = 12 * 3600  # s without a photograph of the patient, after which the visit is over
TICKING = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)  # count while asleep
BOOT = Path("/proc/sys/kernel/random/boot_id")


def ticks():
    """Return the seconds since the computer was started, also those in which it was asleep."""
    return time.clock_gettime(TICKING) if TICKING is not None else time.monotonic()


def boot():
    """Identify the time from this start of the computer to the next; where it cannot, that of this process."""
    try:
        return BOOT.read_text().strip()
    except OSError:
        return secrets.token_hex(8)


class Clock:
    """Measure the age of photographs.

    Parameters
    ----------
    ticks : callable
        Returns seconds that never go back.
    boot : str
        Identifies the start of the computer; only ticks of the same start can be compared.
    """

    def __init__(self, ticks=ticks, boot=None):
        self.ticks, self.boot = ticks, globals()["boot"]() if boot is None else boot

    def stamp(self):
        """Return a stamp from which the age of a photograph that is entered now can be computed later."""
        return [self.boot, round(self.ticks(), 1)]

    def age(self, stamp, recorded, now):
        """Return the seconds since a photograph was entered.

        Parameters
        ----------
        stamp : list or None
            As from `stamp`.
        recorded : str
            When it was entered, ISO 8601, by the clock of the computer.
        now : datetime.datetime
            By the same clock. After a restart with a date too early or too late, the photograph counts as old.
        """
        if stamp and stamp[0] == self.boot:
            return self.ticks() - stamp[1]
        return abs((now - datetime.datetime.fromisoformat(recorded)).total_seconds())

    def is_over(self, stamp, recorded, now):
        """Return whether the visit of which this is the newest photograph is over."""
        return self.age(stamp, recorded, now) > PAUSE
