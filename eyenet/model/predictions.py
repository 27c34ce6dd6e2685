"""Score graded photographs with a network: from a packed array, or from a folder."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.data.array import map_blocks, open_array, rows_by_split
from eyenet.data.names import FITTED, SPLIT_NAMES, original_name
from eyenet.data.tables import patient_known
from eyenet.data.tasks import require_answers
from eyenet.model.batches import Batches, predict
from eyenet.model.patients import known_patients, split_hash
from eyenet.model.screener import crop_with_quality
from eyenet.model.settings import colours_of, field_of, setting
from eyenet.photo.decode import is_synthetic
from eyenet.photo.retina import in_colours, photograph_to_input
from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.files import from_cell
from eyenet.run.folder import finish
from eyenet.run.workers import for_each
from eyenet.score.not_retina import border_features, geometry_features
from eyenet.sets.folders import list_sets, path_in_set
from eyenet.sets.groups import OWN
from eyenet.sets.labelled import NO_PHOTOGRAPH, describe_photographs, label_photographs

CHUNK = 512  # crops in memory at a time: 100 MB at 256 px


@dataclass
class Scored:
    """Photographs with grades and predictions.

    `table` has the columns image, patient, eye, level, split (and Usage, quality, gradable, question, patient_known).
    Its rows match those of `probabilities` (n, classes) and of `features` (n, k), which describe file, geometry and rim
    but not the retina. `crops(rows)` reads photographs, uint8 (n, size, size, 3). `what` describes the set in words.
    `known` counts the patients that the network was trained or tuned on. Of a folder of photographs, `found` counts all
    of them, `left_out` has the reason of each that is not scored, and `without` counts labels without a photograph.
    """

    table: pd.DataFrame
    probabilities: np.ndarray
    features: np.ndarray
    crops: Callable
    what: str
    synthetic: bool
    known: int
    found: int = 0
    left_out: tuple = ()
    without: int = 0

    def take(self, rows):
        """Return the subset of photographs in some rows, an ndarray of int."""
        return replace(
            self,
            table=self.table.iloc[rows].reset_index(drop=True),
            probabilities=self.probabilities[rows],
            features=self.features[rows],
            crops=lambda i: self.crops(rows[i]),
        )


def require_numbers(probabilities, images):
    """Raise a StageError that names the first photograph for which the network predicts NaN or infinity."""
    wrong = ~np.isfinite(probabilities).all(axis=1)
    if wrong.any():
        name = np.asarray(images)[wrong][0]
        raise StageError(
            f"the network predicts NaN or infinity for {plural(wrong.sum(), 'photograph')}, such as {name}; "
            "its weights are damaged; train it again"
        )


def require_unseen(table, model, split, protocol):
    """Refuse photographs of patients that the model was trained or tuned on, except under the protocol of 2017.

    Returns
    -------
    int
        Number of such patients.
    """
    again = known_patients(table, model, ("train",) if split == "val" else FITTED)
    if again and protocol != "2017":
        raise StageError(
            f"{model} was trained or tuned on {len(again):,} of the patients to score, such as {again[0]}; use the "
            "array that it was trained on, or one of other patients"
        )
    return len(again)


def require_same_images(size, settings, config, folder, model):
    """Refuse an array whose images differ in size or colours from those that the model was trained on."""
    if size != config["size"]:
        raise StageError(f"the images in {folder} have {size} px, and {model} takes {config['size']} px")
    colours, known = colours_of(settings), colours_of(config["settings"]["images"])
    if colours != known:
        raise StageError(
            f"the images in {folder} have {colours} colours, and {model} was trained on {known} ones; make them again "
            f"with resize_images.py --colours {known}, or give the photographs themselves with --photos"
        )


def name_set(table, split, known):
    """Describe a split in words; `known` is the number of its patients that are also in training."""
    if known:
        return f"{split} rows drawn at random, the protocol of 2017: {known:,} of their patients were trained on"
    name = SPLIT_NAMES[split]
    return name if patient_known(table).all() else name.replace("patients", "photographs")


def score_array(folder, split, model, config, network, photographs, batch):
    """Score the splits of a packed array.

    Parameters
    ----------
    folder, model : path-like
    split : {'val', 'test', 'unseen'}
        The split to evaluate; training and validation are scored too if the model was trained on this array.
    config : dict
        Of the model.
    network : keras.Model
    photographs : path-like
        Table of the photographs' geometry, from resize_images.py; the file may be missing.
    batch : int

    Returns
    -------
    scored : dict of str to Scored
        By split.

    Raises
    ------
    StageError
        If size or colours of the array differ from the model's, the split is empty, or the model was trained on its
        patients.
    """
    images, table, sidecar = open_array(folder)
    settings, rows = sidecar["settings"], rows_by_split(table, sidecar["settings"])
    require_same_images(images.shape[1], settings, config, folder, model)
    if not len(rows.get(split, ())):
        raise StageError(f"{folder} has no photograph in the split '{split}'; preprocess_images.py makes the splits")
    evaluated = table.iloc[rows[split]]
    require_answers(evaluated, config["task"], folder)
    known = require_unseen(evaluated, model, split, setting(settings, "protocol"))
    what, geometry = name_set(evaluated, split, known), read_geometries(photographs, table)
    wanted = (*FITTED, split)
    if split_hash(table) != config["settings"]["split"]:
        log(f"note: {model} was not trained on {folder}; only its split '{split}' is scored")
        wanted = (split,)
    if not known:  # training is scored on originals, as validation and test are
        rows["train"] = rows["train"][(table["transform"].iloc[rows["train"]] == "original").to_numpy()]

    def score(name):
        chosen = rows[name]
        log(f"scoring {plural(len(chosen), 'photograph')} of the split '{name}'")
        probabilities = predict(network, Batches(images, None, chosen, batch))
        require_numbers(probabilities, table["image"].iloc[chosen])
        features = np.concatenate([map_blocks(border_features, images, chosen, None), geometry[chosen]], axis=1)
        of_name = table.iloc[chosen].drop(columns="transform").reset_index(drop=True)
        synthetic = bool(setting(settings, "synthetic"))
        return Scored(of_name, probabilities, features, lambda i: images[chosen[i]], what, synthetic, known)

    return {name: score(name) for name in dict.fromkeys(wanted) if len(rows[name])}


def read_geometries(path, table):
    """Read size and circle of each photograph of a table; no columns if the file is missing or incomplete."""
    if not Path(path).is_file():
        log(f"note: there is no {path}; the shortcut baseline will not use file and photograph size")
        return np.zeros((len(table), 0))
    try:
        known = pd.read_csv(path, dtype={"image": str})
        known = known.assign(image=known["image"].map(from_cell)).drop_duplicates("image").set_index("image")
        features = pd.DataFrame(geometry_features(known.reset_index()), index=known.index)
    except (ValueError, KeyError, ZeroDivisionError):  # pandas' own errors are ValueErrors
        features = pd.DataFrame([[np.nan]])
    if not np.isfinite(features.to_numpy()).all():
        raise StageError(f"{path} is damaged; run resize_images.py again")
    source = pd.Index([original_name(*row) for row in zip(table["image"], table["transform"])])
    if not source.isin(features.index).all():
        log(f"note: {path} lacks {(~source.isin(features.index)).sum():,} of the photographs and is not used")
        return np.zeros((len(table), 0))
    return features.loc[source].to_numpy()


def read_photograph_labels(path, photographs, columns=None, by=()):
    """Find the grades of a folder of photographs.

    Parameters
    ----------
    path : path-like
        The label table, or a folder that holds it, or whose folders are named by grades.
    photographs : path-like
    columns : dict of str to str, optional
        As in `eyenet.sets.labels.read_labels`.
    by : sequence of str
        Further columns of the table to keep, as from `eyenet.sets.groups.choose_columns`.

    Returns
    -------
    labels : DataFrame
        image, patient, eye, level, `path` and `file`, which is relative to the folder, `Usage` where the table has it
        (Kaggle's Public and Private), and the columns of `by`; `question` and `patient_known` as from `read_labels`.
    found : int
        Photographs.
    left_out : list of str
        The reason of each photograph without a grade or a usable name.
    without : int
        Labels without a photograph.
    """
    files, refused, _ = list_sets([photographs])
    for file, reason in refused:
        log(f"note: left out {file}: {reason}")
    tables, named = [path], [columns] if columns else []
    more = list(dict.fromkeys(["Usage", *(name for name in by if name not in OWN)]))
    told = describe_photographs(files, refused)
    labels, dropped = label_photographs(*told, tables, photographs, named, made_by=None, extra=more)
    for why, count in Counter(why for _, why in dropped).items():
        log(f"note: left out {count:,}: {why}, such as {next(name for name, other in dropped if other == why)}")
    place = {image: i for i, image in enumerate(files.images)}
    chosen = [files[place[image]] for image in labels["image"]]
    nameless = {path_in_set(file) for file, _ in refused}
    without = sum(why == NO_PHOTOGRAPH and name not in nameless for name, why in dropped)
    reasons = [reason for _, reason in refused] + [why for _, why in dropped if why != NO_PHOTOGRAPH]
    labels = labels.assign(path=[one.path for one in chosen], file=[one.file for one in chosen])
    return labels, len(files) + len(refused), reasons, without


def warn_of_known(table, model):
    """Count the patients who have the name of one that the model was trained or tuned on, and log a warning."""
    known = known_patients(table, model)
    if known:
        noun = "patient" if patient_known(table).all() else "photograph"
        log(
            f"WARNING: {len(known):,} of the {noun}s, such as {known[0]}, {'has' if len(known) == 1 else 'have'} "
            f"the same name as a {noun} that the network has seen in training or tuning; if they are the same, these "
            "figures are too high"
        )
    return len(known)


def read_crops(table, size, colours, field, workers, rejected):
    """Yield chunks of the photographs that can be used, as (rows, crops, geometry); list the others in `rejected`.

    `rows` are numbers of rows of the table, which has `path` and `file`; `geometry` is a DataFrame that also tells
    which photographs are `synthetic`, and their `quality` and whether they are `gradable`, as predict.py judges.
    """

    def work(row):
        path = table["path"][row]
        crop, geometry, quality = crop_with_quality(path, size, field)
        told = {"quality": round(float(quality.score), 3), "gradable": int(quality.gradable)}
        return in_colours(crop, colours, geometry), geometry | told | {"synthetic": is_synthetic(path)}

    def good():
        for row, result in for_each(work, range(len(table)), workers, "score"):
            if isinstance(result, PhotoError):
                rejected.append((table["file"][row], str(result)))
            else:
                yield row, *result

    results = good()
    while chunk := list(islice(results, CHUNK)):
        rows, crops, geometries = zip(*chunk)
        yield rows, np.stack(crops), pd.DataFrame(geometries)


def report_ungradable(table):
    """Report how many photographs the quality gate rejects."""
    poor = (table["gradable"] == 0).sum()
    if poor:
        also = "; the gradable ones are also a group of their own" if poor < len(table) else ""
        log(
            f"note: {poor:,} of {plural(len(table), 'photograph')} cannot be graded, and predict.py would let them "
            f"refer, but never count as negative; the figures are of all{also} (column gradable of predictions.csv)"
        )


def score_photographs(photographs, labels, model, config, network, output, workers, max_rejected, columns=None, by=()):
    """Score a folder of photographs that has a label table: another hospital's, or Kaggle's test.

    Parameters
    ----------
    photographs, labels, model : Path
        The folder of photographs, its label table, and the model's folder.
    config : dict
        config.json of the model.
    network : keras.Model
    output : path-like
        Receives rejected.csv, which lists the photographs that could not be used.
    workers : int
    max_rejected : float
        Share of rejected photographs above which the exit code is 3.
    columns, by
        As in `read_photograph_labels`.

    Returns
    -------
    scored : Scored
    code : int
        Exit code: 3 when more than `max_rejected` of the photographs cannot be used.
    """
    table, found, left_out, without = read_photograph_labels(labels, photographs, columns, by)
    require_answers(table, config["task"], labels)
    known = warn_of_known(table, model)
    rejected = []
    scored = score_labelled(table, photographs, config, network, workers, known, rejected)
    code = finish(rejected, len(table), max_rejected, output)
    if scored is None:
        count = plural(len(table), "photograph")
        raise StageError(f"none of {count} could be used; see {Path(output) / 'rejected.csv'}")
    report_ungradable(scored.table)
    reasons = (*left_out, *(reason for _, reason in rejected))
    return replace(scored, found=found, left_out=reasons, without=without), code


def score_labelled(table, photographs, config, network, workers, known, rejected):
    """Score photographs whose labels are known.

    Parameters
    ----------
    table : DataFrame
        From `read_photograph_labels`.
    photographs : Path
        Their folder.
    config : dict
        config.json of the model.
    network : keras.Model
    workers : int
    known : int
        Of `Scored`.
    rejected : list
        Receives name and reason of the photographs that could not be used.

    Returns
    -------
    Scored or None
        None if no photograph could be used.
    """
    images = config["settings"]["images"]
    size, colours, field = config["size"], colours_of(images), field_of(images)
    kept, predicted, features, judged, synthetic = [], [], [], [], False
    for rows, crops, geometry in read_crops(table, size, colours, field, workers, rejected):
        kept += rows
        synthetic |= geometry["synthetic"].any()
        judged.append(geometry[["quality", "gradable"]])
        predicted.append(predict(network, Batches(crops, None, np.arange(len(crops)), 64)))
        features.append(np.concatenate([border_features(crops), geometry_features(geometry)], axis=1))
    if not kept:
        return None
    table, probabilities = table.iloc[kept].reset_index(drop=True), np.concatenate(predicted)
    require_numbers(probabilities, table["image"])
    table[["quality", "gradable"]] = pd.concat(judged, ignore_index=True)

    def crops_of(rows):
        return np.stack([photograph_to_input(table["path"][row], size, colours, field)[0] for row in rows])

    what = f"photographs in {photographs.parent.name}/{photographs.name}"
    shown = table.drop(columns=["path", "file"]).assign(split="test")
    return Scored(shown, probabilities, np.concatenate(features), crops_of, what, bool(synthetic), known)
