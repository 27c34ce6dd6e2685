"""What metrics.json and config.json say about the photographs, their labels and patients, for the checklists.

Each function takes both files, as dicts, and returns sentences; empty text if the files do not tell.
"""

from eyenet.data.names import SPLIT_NAMES
from eyenet.data.tables import GRADES
from eyenet.model.disclaimers import SYNTHETIC_FIGURES
from eyenet.model.settings import colours_of, setting, what_it_has_seen
from eyenet.report import words
from eyenet.report.chosen import chosen_on_validation, uses
from eyenet.report.words import cell, cell_text, defined, main_unit, percent, plural

COLOUR_WORDS = {"natural": "natural colours", "equalized": "the histogram of each colour channel equalised"}


def images_of(config):
    """Return the settings of the stages that made the images that a model was trained on; None if unknown."""
    return (config.get("settings") or {}).get("images")


def on_validation(metrics):
    """Tell whether the evaluated photographs are those of validation."""
    return metrics["splits"].keys() <= {"train", "val"}


def evaluated(metrics, config):
    """Say which photographs were evaluated."""
    synthetic = f" {SYNTHETIC_FIGURES}" if metrics["synthetic"] else ""
    return f"Evaluated: {words.counted(metrics)} ({metrics['set']}).{synthetic}"


def seen(metrics, config):
    """Say on what the network was trained; empty if the model does not tell more than that they were photographs."""
    told = what_it_has_seen(config) if images_of(config) else "photographs"
    return f"The network was trained on {told}." if told != "photographs" else ""


def labelled_before(metrics, config):
    """Say that the photographs and their labels existed before the network was applied."""
    return "The network was applied to photographs that had been taken and labelled before."


def left_out(metrics, config):
    """Count the photographs that were found and left out, and why."""
    flow = metrics.get("flow")
    if not flow:
        return ""
    out = ", ".join(f"{one['reason']} {one['count']:,}" for one in flow["left_out"])
    kept = f"{flow['kept']:,} were kept" if len(flow["splits"]) > 1 else ""
    used = f"{flow['evaluated']:,} were evaluated"
    return (
        f"Of {plural(flow['found'], 'photograph')} found, {sum(one['count'] for one in flow['left_out']):,} "
        f"were left out{f' ({out})' if out else ''}; {' and '.join(filter(None, (kept, used)))}."
    )


def exclusion(metrics, config):
    """Say which photographs are left out."""
    return "A photograph is left out if it cannot be read, is black, shows no retina or has no grade."


def missing(metrics, config):
    """Say how missing labels and photographs are handled."""
    return "No label and no photograph is imputed: those without the other are left out, counted and listed."


def ungradable(metrics, config):
    """Say how poor photographs count, and how many patients have them."""
    unit, noun = main_unit(next(iter(metrics["questions"].values())))
    again = (unit.get("workload") or {}).get("again")
    if not again or not defined(again["value"]):
        return ""
    judged, what = "", "no photograph of an eye"
    if metrics["ungradable"]:
        judged = "Photographs that the quality gate calls ungradable stay in the figures, by their probability. "
        what = "one, or no photograph of an eye," if noun == "patient" else "one"
    return (
        f"{judged}{cell_text(cell(again))} of the {noun}s have {what} and are not referred; predict.py asks for a new "
        "photograph and never calls them negative."
    )


def quality(metrics, config):
    """Say how poor photographs are recognised when the network is used."""
    return (
        "A quality gate judges each photograph: predict.py and the offline page ask for a poor one again, refer after "
        "the second, and never call it negative."
    )


def grades(metrics, config):
    """Count the evaluated photographs by grade."""
    if not metrics["by_grade"]:
        return ""
    counts = ", ".join(f"{name} {count:,}" for name, count in zip(GRADES.values(), metrics["by_grade"]))
    return f"Evaluated photographs by grade: {counts}."


def prevalence(metrics, config):
    """Say which share of the patients has the disease."""
    shares = []
    for asked in metrics["questions"].values():
        unit, noun = main_unit(asked)
        share = (unit.get("workload") or {}).get("diseased")
        share = f", {cell_text(cell(share))}" if share and defined(share["value"]) else ""
        shares.append(f"{asked['disease']} in {unit['diseased']:,} of {plural(unit['count'], noun)}{share}")
    return f"Frequency of disease: {'; '.join(shares)}."


def reference(metrics, config):
    """Say what the labels are."""
    if not metrics["by_grade"]:
        return "The reference standard is the label table's answer to whether there is disease."
    named = ", ".join(f"{grade} {name}" for grade, name in GRADES.items())
    return f"The reference standard is the grade of each photograph in the label table: {named}."


def diseased_from(metrics, config):
    """Say from which grade on there is disease; not known if the labels are binary."""
    if not metrics["by_grade"]:
        return ""
    diseases = " and ".join(asked["disease"] for asked in metrics["questions"].values())
    return f"Disease means {diseases}; of a patient, the worst photograph counts. This was set before the evaluation."


def split(metrics, config):
    """Say how photographs were assigned to training, validation and test."""
    if not config.get("settings"):
        return ""
    if words.of_2017(config):
        return (
            "Photographs were copied first and the copies split at random, as in the EyeNet of 2017: the same patients "
            "are in training and test, which makes figures too high."
        )
    if config.get("unknown_patients"):
        return (
            "Photographs, not patients, were split by a hash, before any copy was made: the patients of "
            f"{plural(config['unknown_patients'], 'photograph')} are unknown, so those of one may be in several splits."
        )
    return (
        "Patients, not photographs, were split into training, validation and test, by a hash of patient and seed and "
        "before any copy was made."
    )


def overlap(metrics, config):
    """Say whether the network has seen the evaluated patients; if some are unknown, not that it has not."""
    if on_validation(metrics):
        return f"The evaluated photographs are those of validation, on which {chosen_on_validation(metrics)}."
    if known := metrics["known_patients"] or metrics.get("alike_patients"):
        noun = "evaluated photograph" if metrics["unknown_patients"] else "evaluated patient"
        return f"{plural(known, noun)} may have been in {uses(metrics)}: the names or IDs are the same."
    if metrics["unknown_patients"]:
        return ""
    return f"No evaluated patient has the name of one in {uses(metrics)}."


def sizes(metrics, config):
    """Count the photographs of each split; not known if only one set was scored."""
    if len(metrics["splits"]) < 2:
        return ""
    disease = next(iter(metrics["questions"].values()))["disease"]
    counts = [
        f"{SPLIT_NAMES[name] if name in ('train', 'val') else metrics['set']} {part['photographs']:,} "
        f"({part['diseased']:,}, {percent(part['diseased'] / part['photographs'])})"
        for name, part in metrics["splits"].items()
        if part["photographs"]
    ]
    return f"Photographs, and those with {disease}: {'; '.join(counts)}."


def precision_reached(metrics, config):
    """Say how many patients there are and how wide the intervals are."""
    sizes = []
    for asked in metrics["questions"].values():
        unit, noun = main_unit(asked)
        wide = [
            f"{100 * (unit[key]['high'] - unit[key]['low']):.0f} points for {key}"
            for key in ("sensitivity", "specificity")
            if defined(unit[key]["low"]) and defined(unit[key]["high"])
        ]
        width = f"; the intervals span {' and '.join(wide)}" if wide else ""
        sizes.append(f"{plural(unit['count'], noun)}, {unit['diseased']:,} with {asked['disease']}{width}")
    return f"Number reached: {'. '.join(sizes)}."


def preparation(metrics, config):
    """Say how a photograph becomes the input of the network."""
    size, images = config.get("size"), images_of(config)
    version = setting(images, "preprocessing")
    if not size or version is None:
        return ""
    return (
        "Each photograph is decoded, cropped to the circle of the retina, made black outside it and averaged to "
        f"{size} x {size} pixels, with {COLOUR_WORDS[colours_of(images)]} (preprocessing version {version}). Training "
        "and evaluation use the same function."
    )


def pixels(metrics, config):
    """Say that the network is given the photograph and nothing else."""
    return (
        "The network is given the pixels of the photograph and nothing else: no label, no clinical information, no "
        "selection of features."
    )


FACTS = (
    evaluated,
    seen,
    labelled_before,
    left_out,
    exclusion,
    missing,
    ungradable,
    quality,
    grades,
    prevalence,
    reference,
    diseased_from,
    split,
    overlap,
    sizes,
    precision_reached,
    preparation,
    pixels,
)
