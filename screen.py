#!/usr/bin/env python3
"""Keep the register of a screening station: decisions, referrals, who waits too long, and a quality report.

Reads   data/station/register.sqlite      photographs, answers, decisions and referrals (--register)
Writes  the same, and a table with --export

    python screen.py --decide 1042 --by "Dr Roe" --why "drusen, no DR" --overrule
    python screen.py --refer 1042 --state referred
    python screen.py --overdue
    python screen.py --verify

Entries are only ever added, and --verify checks that none was changed or removed. What may name a patient lies apart,
and --forget or --retain erases it for good (docs/screening.md). Each command takes about a second;
--verify and --export read all entries, and take longer.

Exit code 4: --overdue found patients who wait too long, or --verify found a change.
"""

from eyenet.run.options import parser
from eyenet.run.script import run_main
from eyenet.station.commands import COMMANDS, add_options, run_command


def main():
    options = parser(__doc__)
    add_options(options)
    code = run_command(options, options.parse_args())
    if code is None:
        options.error(f"give one of --{', --'.join(COMMANDS)}")
    return code


if __name__ == "__main__":
    run_main(main)
