#!/usr/bin/env python3
"""Run a screening station: grade photographs as they arrive in a folder, and keep the register of all answers.

Reads   a folder that the camera writes to     --inbox, with its subfolders; formats as predict.py
        a model                                only model.tflite and config.json; Keras is not needed
Writes  data/station/register.sqlite           photographs, answers, decisions and referrals (--register)
        data/station/register.sqlite.forms/    with --forms: letter, FHIR, DICOM report and JSON of each visit
        the current patients on the terminal, or one line for each event if stdout is no terminal

    pip install -r requirements-predict.txt -r requirements-station.txt
    python screen.py --inbox clinic/inbox
    python screen.py --inbox clinic/inbox --once
    python screen.py --inbox clinic/inbox --forms --clinic clinic.toml
    python screen.py --decide 1042 --by "Dr Roe" --why "drusen, no DR" --overrule
    python screen.py --decide 1042 --by "Dr Roe" --why "one microaneurysm" --answer 17
    python screen.py --refer 1042 --state referred
    python screen.py --overdue
    python screen.py --verify

A photograph is graded when its file has stopped growing, and the patient gets the answer that predict.py would give for
all photographs of the visit. The answer is updated when a further photograph of the visit arrives. Patients who must be
photographed again are listed first. Unreadable files are listed, and tried again when they change. Nothing is written
into the inbox. Stop the station at any moment: when started again, it grades what is still without an answer, and
nothing twice.

With --unsure RATE an answer may be 'unsure: a grader must look', as in predict.py. It is never negative: the patient
waits until a person decides with --decide and --call whether to refer. --overdue lists who has waited too long.

Entries are only ever added, and --verify checks that none was changed or removed. Whatever may name a patient is
stored apart, and --forget or --retain erases it for good (docs/station.md). Each command takes about a second;
--verify and --export read all entries and take longer.

Exit code 3: with --once, some files could not be read; all others are graded. Exit code 4: --overdue found patients who
have waited too long, or --verify found a change.
"""

from eyenet.run.options import parser
from eyenet.run.script import run_main
from eyenet.station.commands import COMMANDS, add_options, run_command
from eyenet.station.watch import add_options as add_station
from eyenet.station.watch import run_station


def main():
    options = parser(__doc__)
    add_station(options)
    add_options(options)
    args = options.parse_args()
    if args.inbox is None:
        code = run_command(options, args)
        if code is None:
            options.error(f"give --inbox, or one of --{', --'.join(COMMANDS)}")
        return code
    if any(getattr(args, name) is not None for name in COMMANDS):
        options.error("--inbox cannot be combined with a command of the register")
    return run_station(args)


if __name__ == "__main__":
    run_main(main)
