"""The flow of photographs: how many were found, how many were left out and why, and how many were evaluated."""

from collections import Counter
from pathlib import Path

import pandas as pd

from eyenet.data.names import SPLITS
from eyenet.report.words import cell
from eyenet.run.errors import plural
from eyenet.run.files import from_cell
from eyenet.sets.folders import path_in_set
from eyenet.sets.labelled import NO_PHOTOGRAPH

SPLIT_VERBS = {"train": "for training", "val": "for validation", "test": "for the test"}
UNLISTED = "not in the label table of a later step"


def count_flow(found, left_out, splits, evaluated, without=0):
    """Make the flow of metrics.json.

    Parameters
    ----------
    found : int
        Photographs.
    left_out : iterable of str
        The reason of each photograph that was left out; details after a colon are not counted apart.
    splits : dict of str to int
        Photographs that were kept, by split.
    evaluated : int
    without : int
        Labels whose photograph was not found.
    """
    counts = Counter(reason.split(":")[0] for reason in left_out)
    reasons = [{"reason": reason, "count": count} for reason, count in counts.most_common()]
    flow = {"found": found, "left_out": reasons, "kept": sum(splits.values()), "splits": splits}
    return flow | {"evaluated": evaluated, "labels_without_photograph": without}


def flow_of_array(array, photographs, evaluated):
    """Count the flow through steps 2 to 5 by the lists that these leave; None if they do not belong to the array.

    Parameters
    ----------
    array : path-like
        The folder of the packed array; those of steps 3 and 4, `preprocessed` and `rotated`, are beside it.
    photographs : path-like
        photographs.csv of step 2.
    evaluated : int
        Photographs that are scored.

    Returns
    -------
    dict or None
        As from `count_flow`. A photograph that several lists name is counted once, by the first.
    """
    crops, beside = Path(photographs), Path(array).parent
    if not (crops.is_file() and (beside / "preprocessed" / "dropped.csv").is_file()):
        return None
    cropped, refused = set(_read(crops, "image")["image"]), _read(crops.with_name("rejected.csv"), "image", "reason")
    packed = _read(Path(array) / "labels.csv", "image", "split", "transform")
    packed = packed[packed["transform"] == "original"]
    if not cropped.issuperset(packed["image"]):  # an array of other photographs
        return None
    reasons, without = {}, 0
    names = {name for file in refused["image"] for name in (path_in_set(file), path_in_set(file.partition("/")[2]))}
    for folder in (beside / "preprocessed", beside / "rotated", Path(array)):
        for table in ("dropped.csv", "rejected.csv"):
            listed = _read(folder / table, "image", "reason")
            for image, reason in zip(listed["image"].str.removesuffix(".png"), listed["reason"]):
                if image in cropped:
                    reasons.setdefault(image, reason)
                without += reason == NO_PHOTOGRAPH and image not in names
    lost = [reasons.get(image, UNLISTED) for image in sorted(cropped.difference(packed["image"]))]
    counts = packed["split"].value_counts()
    splits = {split: int(counts[split]) for split in dict.fromkeys([*SPLITS, *counts.index]) if split in counts}
    return count_flow(len(cropped) + len(refused), [*refused["reason"], *lost], splits, evaluated, without)


def flow_steps(metrics):
    """List the steps of the flow for the report.

    Returns
    -------
    list of (int, str, list of str)
        The number of photographs, what they are, and what became of the others; empty if the flow is not known.
    """
    flow = metrics["flow"]
    if flow is None:
        return []
    out = [f"{one['count']:,} left out: {one['reason']}" for one in flow["left_out"]]
    if flow["labels_without_photograph"]:
        out.append(f"also {plural(flow['labels_without_photograph'], 'label')} without a photograph")
    steps = [(flow["found"], "found", out or ["none left out"])]
    if len(flow["splits"]) > 1:
        splits = [f"{count:,} {SPLIT_VERBS.get(split, split)}" for split, count in flow["splits"].items()]
        steps.append((flow["kept"], "kept", splits))
    return [*steps, (flow["evaluated"], "evaluated", [ungradable_text(metrics["ungradable"], flow["evaluated"])])]


def ungradable_text(share, count):
    """Say which share of the photographs is ungradable, with its interval."""
    if share is None or share["value"] is None:
        return "not judged whether they can be graded"
    shown = cell(share)
    return f"{round(share['value'] * count):,} of them ungradable: {shown.text} ({shown.interval})"


def _read(path, *columns):
    """Read columns of a table as text; no rows if it is missing."""
    if not path.is_file():
        return pd.DataFrame(columns=columns, dtype=str)
    return pd.read_csv(path, dtype=str, keep_default_na=False, usecols=columns).map(from_cell)
