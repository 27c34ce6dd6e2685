#!/usr/bin/env python3
"""Compute how many patients to photograph and grade, to measure how good a network is in your clinic.

Reads   nothing
Writes  nothing: the table is printed

    python plan_acceptance.py --prevalence 0.2
    python plan_acceptance.py --prevalence 0.2 --show-sensitivity 0.85 --power 0.9

--sensitivity and --specificity are what you expect of the network, such as the figures of its report. --width is the
largest width of their 95 % intervals. With --show-sensitivity or --show-specificity, the lower limit of the interval
will be at least that value with the probability --power. The study counts eyes, and the two eyes of one patient carry
less information than eyes of two patients: --correlation says how much, by default a cautious guess. --both is the
share of patients with the disease who have it in both eyes, by default Kaggle's for referable DR.

Then photograph that many consecutive patients, without choosing, let your graders grade them, and run evaluate.py on
them. The plan is for the figures per photograph, of the gradable ones; those per patient, which the report puts first,
have wider intervals where few patients have the disease. Formulas and sources: eyenet/score/sample_size.py;
benchmarks/sample_size.py checks them by simulation.
"""

import argparse

from eyenet.run.errors import StageError
from eyenet.run.options import fraction, parser
from eyenet.run.script import run_main
from eyenet.score.sample_size import (
    Population,
    eyes_for_limit,
    eyes_for_width,
    patients_for,
    with_disease,
    without_disease,
)

SOURCES = (
    "Formulas: Buderer 1996 (width), Flahault et al. 2005 (least value), Rao and Scott 1992 (two eyes), with Wilson's "
    "interval; eyenet/score/sample_size.py"
)


def share(text):
    """Parse a share above 0 and below 1."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def parse():
    """Parse the options."""
    options = parser(__doc__)
    options.add_argument(
        "--prevalence", type=share, required=True, help="share of patients with the disease in at least one eye"
    )
    options.add_argument("--sensitivity", type=share, default=0.9, help="expected sensitivity")
    options.add_argument("--specificity", type=share, default=0.8, help="expected specificity")
    options.add_argument("--width", type=share, default=0.1, help="largest width of the 95 %% intervals")
    options.add_argument("--show-sensitivity", type=share, metavar="LEAST", help="minimum sensitivity to demonstrate")
    options.add_argument("--show-specificity", type=share, metavar="LEAST", help="minimum specificity to demonstrate")
    options.add_argument("--power", type=share, default=0.9, help="probability of demonstrating them")
    options.add_argument(
        "--both",
        type=fraction,
        default=0.74,
        help="share of those with the disease who have it in both eyes (Kaggle's)",
    )
    options.add_argument(
        "--correlation", type=fraction, default=0.5, help="correlation of correct answers between a patient's eyes"
    )
    options.add_argument("--gradable", type=share, default=0.9, help="share of photographs that can be graded")
    return options.parse_args()


def plan(population, sensitivity, specificity, width, power):
    """Yield each aim, as text, and the number of patients that it takes.

    `sensitivity` and `specificity` are each a pair: the expected value, and the minimum to demonstrate or None.
    """
    rates = (
        ("sensitivity", *sensitivity, with_disease(population)),
        ("specificity", *specificity, without_disease(population)),
    )
    for name, expected, _, shares in rates:
        eyes = eyes_for_width(expected, width)
        yield f"{name} {expected:g}, interval at most {width:g} wide", patients_for(eyes, *shares, population)
    for name, expected, least, shares in rates:
        if least is not None:
            eyes = eyes_for_limit(expected, least, power)
            what = f"{name} {expected:g} shown to be at least {least:g}, power {power:g}"
            yield what, patients_for(eyes, *shares, population)


def main():
    args = parse()
    population = Population(args.prevalence, args.both, args.correlation, args.gradable)
    rates = (args.sensitivity, args.show_sensitivity), (args.specificity, args.show_specificity)
    try:
        rows = list(plan(population, *rates, args.width, args.power))
    except ValueError as error:
        raise StageError(str(error)) from None
    print(f"{'':62}{'patients to photograph':>24}{'of these with disease':>24}")
    for what, patients in rows:
        print(f"{what:62}{patients:24,}{round(patients * args.prevalence):24,}")
    print(f"\n{SOURCES}")
    most = max(patients for _, patients in rows)
    print(f"Photograph {most:,} consecutive patients, and let your graders grade both eyes of each.")


if __name__ == "__main__":
    run_main(main)
