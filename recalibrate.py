#!/usr/bin/env python3
"""Fit a model to a clinic: choose its calibration and thresholds again on the clinic's own graded photographs.

Reads   a model                           of cnn.py, or the network that ships; see --model
        --photos DIR --labels FILE        graded photographs, read as evaluate.py reads them
Writes  OUTPUT/                           a new model folder: the same network with another decision
        OUTPUT/recalibration.json         cross-fitted figures before and after, with their intervals
        OUTPUT/MODEL_CARD.md              the same in words: the parent, the set, what was chosen
        OUTPUT/patients.csv               the parent's patients and the clinic's

    python recalibrate.py --photos clinic/ --labels grades.csv --sensitivity 0.9 --output models/clinic
    python predict.py today/ --model models/clinic

The weights stay as they are. Shift and temperature of the probabilities are fitted to the set, and the thresholds
chosen on it: that of --sensitivity is the highest whose sensitivity on the set has a lower 95 % limit of at least the
aim, counting patients. Only gradable photographs count. The cuts between the grades are chosen again
if there are ten patients of each grade.

Patients are matched by ID. For a network that you have trained, those on whom it was trained or tuned are left out.
IDs from another source belong to other people, so for the network that ships nobody is left out. --same-source and
--no-same-source choose otherwise.

The figures "after" are cross-fitted: each tenth of the patients is measured with a decision that was chosen on the
other nine tenths. A set that is too small is refused with the numbers. An aim of 0.85 needs 26 patients with disease,
0.9 needs 40 and 0.95 needs 80, and any recalibration needs 20 patients with and 20 without.

A thousand photographs take about 20 s on two cores. Nothing is written until everything is chosen and measured.
"""

import shlex
from argparse import BooleanOptionalAction
from dataclasses import replace

import numpy as np

from eyenet.data.tables import patient_known
from eyenet.data.tasks import answerable, require_answers
from eyenet.model import backend
from eyenet.model.decision import LEVELS, own_point
from eyenet.model.disclaimers import SYNTHETIC_FIGURES
from eyenet.model.folder import LITE_NETWORK, open_model
from eyenet.model.loading import load_network
from eyenet.model.patients import ids_in_sets, shared_patients
from eyenet.model.pretrained import DEFAULT, default_model
from eyenet.recalibration.compare import compare
from eyenet.recalibration.decide import decide, notes_of
from eyenet.recalibration.enough import FOLDS, require_patients
from eyenet.recalibration.record import (
    describe_parent,
    hash_data,
    join_patients,
    new_config,
    seen_by_network,
    source_of,
    write_model,
)
from eyenet.report.terminal import align_columns, explain_bound, show
from eyenet.run.errors import StageError, log, plural
from eyenet.run.folder import finish, require_new, whole_folder
from eyenet.run.options import fraction, local_path, model_path, parser
from eyenet.run.script import run_main
from eyenet.score.intervals import LEVEL, count_patients
from eyenet.score.metrics import CALIBRATION, METRIC_NAMES
from eyenet.sets.columns import COLUMNS_HELP, parse_columns

PERFECT = {"slope": " (1 is perfect)", "intercept": " (0 is perfect)"}
FIGURES = {key: METRIC_NAMES[key][0] + PERFECT.get(key, "") for key in CALIBRATION}
FIGURES |= {key: METRIC_NAMES[key][1] for key in ("sensitivity", "specificity")} | {"referred": "predicted as diseased"}


def leave_out_seen(table, model, same_source):
    """Leave out patients on whom the network was trained or tuned, unless their IDs are from another source."""
    seen = same_ids(table, model)
    if not seen or not same_source:
        return table
    log(
        f"note: left out {plural(len(seen), 'patient')}, such as {seen[0]}: the network was trained or tuned on "
        "patients of the same names; if they are other people, give --no-same-source"
    )
    return table[~table["patient"].isin(seen)].reset_index(drop=True)


def same_ids(table, model):
    """List the patients who have the ID of one on whom the network was trained or tuned."""
    return shared_patients(table, ids_in_sets(seen_by_network(model)))


def note_same_ids(seen):
    """Report patients of another source whose IDs the network's patients also have, if there are any."""
    if seen:
        log(
            f"note: {plural(len(seen), 'patient')}, such as {seen[0]}, {'has' if len(seen) == 1 else 'have'} the ID of "
            "one on whom the network was trained or tuned. IDs from another source belong to other people, so nobody "
            "is left out; if the photographs are from the same source, give --same-source"
        )


def gradable_part(scored):
    """Return the gradable photographs."""
    rows = np.flatnonzero(scored.table["gradable"])
    if poor := len(scored.table) - len(rows):
        log(f"note: left out {plural(poor, 'ungradable photograph')}")
    return scored.take(rows)


def require_enough(table, task, point):
    """Refuse a set with too few patients; return the questions that its labels answer, and what is counted."""
    noun = "patient" if patient_known(table).all() else "patient or photograph"
    questions = answerable(table, task)
    require_patients(table["patient"].to_numpy(), table["level"].to_numpy(), questions, point, noun)
    return questions


def tables_of(figures):
    """Format the figures as rows of text, by heading."""
    tables = {}
    for asked in figures["questions"].values():
        before, after = asked["before"], asked["after"]
        for unit in ("photograph", "patient"):
            if before[unit] is None:
                continue
            head = [f"before, at {before['operating_point']}", f"after, at {after['operating_point']}"]
            rows = [["", *(text.replace("_", " ") for text in head)]]
            rows += [[words, show(before[unit][key]), show(after[unit][key])] for key, words in FIGURES.items()]
            tables[f"{asked['disease']}, per {unit}"] = rows
    return tables


def bound(tables):
    """Explain the † if one of the tables has it, as `explain_bound`."""
    return explain_bound([text for rows in tables.values() for row in rows for text in row])


def describe_set(table, scored, parent, chosen, decided, same_ids):
    """Describe what a recalibration was made on, for config.json."""
    unknown, patients = int((~patient_known(table)).sum()), count_patients(table["patient"], slice(None))
    known = patients - unknown
    counted = [f"of {plural(known, 'patient')}"] if known else []
    counted += [f"{plural(unknown, 'photograph')} of unknown patients"] if unknown else []
    return {
        "script": "recalibrate.py",
        "parent": parent,
        "set": ("synthetic " if scored.synthetic else "") + scored.what,
        "photographs": len(table),
        "patients": patients,
        "counted": ", ".join(counted),
        "same_ids": same_ids,
        "data": hash_data(table),
        "chosen": chosen,
        "decided": decided,
    }


def print_summary(made, tables, figures):
    """Print what was chosen, and the figures before and after."""
    print(f"{made['photographs']:,} gradable {made['set']}, {made['counted']}")
    print("\n".join(made["decided"]))
    for heading, rows in tables.items():
        print(f"\n{heading}")
        print("\n".join(align_columns(rows)))
    print(f"\nbefore: {made['parent']['name']}; after: cross-fitted by patient, {FOLDS} parts")
    print("in brackets: 95 % interval over patients; the ECE has none")
    print("".join(f"{note}\n" for note in [*bound(tables), *figures["notes"]]), end="")
    if figures["synthetic"]:
        print(SYNTHETIC_FIGURES)


def parse():
    """Parse the options."""
    options = parser(__doc__, workers=None)
    options.add_argument("--photos", type=local_path, required=True, help="folder of the clinic's photographs")
    options.add_argument("--labels", type=local_path, help="their table; default: found in --photos (labels/README.md)")
    options.add_argument("--columns", type=parse_columns, metavar="KEY=COLUMN,...", help=COLUMNS_HELP)
    options.add_argument("--output", type=local_path, required=True, help="folder of the new model")
    options.add_argument("--model", type=model_path, help=f"folder of the parent; {DEFAULT}")
    options.add_argument(
        "--sensitivity",
        type=float,
        choices=LEVELS,
        help="the new model answers at the threshold whose sensitivity has this lower 95 %% limit; default: at the "
        "parent's own operating point, chosen again",
    )
    options.add_argument(
        "--same-source",
        action=BooleanOptionalAction,
        help="whether equal patient IDs are the network's own patients, who are left out; default: yes for a network "
        "that was trained here, no for the one that ships",
    )
    options.add_argument("--max-rejected", type=fraction, default=0.05, help="fraction of --photos that may fail")
    args = options.parse_args()
    args.labels, args.photos = args.labels or args.photos, args.photos.resolve()
    args.model = args.model or default_model()
    return args


def score_set(model, config, photos, labels, *, columns, point, same_source, workers):
    """Score the clinic's photographs.

    Parameters
    ----------
    model : Path
        Folder of the model.
    config : dict
        Its config.json.
    photos, labels : Path
        Folder of the photographs, and their table or the folder in which it is looked for.
    columns : dict
        What the columns of the table mean, as given by --columns.
    point : str
        Operating point.
    same_source : bool
        Whether equal patient IDs are the network's own patients, who are left out.
    workers : int or None

    Returns
    -------
    scored : Scored
        The gradable ones of patients whom the network has not seen; its table has their `path` too. `found` counts all
        that were to be scored.
    questions : list of str
        What the labels answer.
    rejected : list of (str, str)
        Name and reason of the photographs that could not be used.
    """
    backend.start("float32", 0)
    from eyenet.model.scored_photographs import read_photograph_labels, score_labelled

    table, *_ = read_photograph_labels(labels, photos, columns)
    require_answers(table, config["task"], labels)
    table, rejected = leave_out_seen(table, model, same_source), []
    require_enough(table, config["task"], point)  # before minutes of work
    network = load_network(model, config)
    scored = score_labelled(table, photos, config, network, workers, 0, rejected)
    if scored is None:
        raise StageError(
            f"none of {plural(len(table), 'photograph')} could be used; the first: {': '.join(rejected[0])}"
        )
    scored = gradable_part(scored)
    questions = require_enough(scored.table, config["task"], point)
    used = scored.table.assign(path=scored.table["image"].map(table.set_index("image")["path"]))
    return replace(scored, table=used, found=len(table)), questions, rejected


def main():
    args = parse()
    require_new(args.output)
    open_model(args.model, LITE_NETWORK)  # predict.py will need it
    config = open_model(args.model)
    point = f"sensitivity_{args.sensitivity:g}" if args.sensitivity else own_point(config)
    same_source = args.same_source if args.same_source is not None else source_of(config) is None
    ways = {"columns": args.columns, "point": point, "same_source": same_source, "workers": args.workers}
    scored, questions, rejected = score_set(args.model, config, args.photos, args.labels, **ways)
    used, seen = scored.table, same_ids(scored.table, args.model)  # those of the same source are left out
    note_same_ids(seen)
    decision, chosen, decided = decide(used, scored.probabilities, config, questions, point)
    compared = compare(used, scored.probabilities, config, questions, point)
    made = describe_set(used, scored, describe_parent(args.model, config), chosen, decided, len(seen))
    figures = {
        "format": 1,
        "model": args.output.resolve().name,
        "set": f"{made['set']}, cross-fitted",
        "synthetic": scored.synthetic,
        "unknown_patients": int((~patient_known(used)).sum()),
        "level": LEVEL,
        "folds": FOLDS,
        "notes": notes_of(compared, point),
        "questions": compared,
    }
    tables, patients = tables_of(figures), join_patients(args.model, used, same_source)
    new = new_config(config, decision, point, made)
    with whole_folder(args.output) as work:
        write_model(work, args.model, new, patients, figures, tables, bound(tables))
    code = finish(rejected, scored.found, args.max_rejected, args.output)
    print_summary(made, tables, figures)
    print(f"next: python predict.py PHOTOGRAPHS --model {shlex.quote(str(args.output))}")
    return code


if __name__ == "__main__":
    run_main(main)
