"""Score a folder of graded photographs: another hospital's, or Kaggle's test."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from eyenet.data.tables import patient_known
from eyenet.data.tasks import require_answers
from eyenet.model.batches import Batches, predict
from eyenet.model.patients import known_patients
from eyenet.model.predictions import CHUNK, Scored, require_numbers
from eyenet.model.screener import crop_with_quality
from eyenet.model.settings import colours_of, field_of, uses_of_patients
from eyenet.photo.decode import is_synthetic
from eyenet.photo.retina import in_colours, photograph_to_input
from eyenet.run.errors import PhotoError, StageError, log, plural
from eyenet.run.folder import finish
from eyenet.run.workers import for_each
from eyenet.score.not_retina import border_features, geometry_features
from eyenet.sets.folders import list_sets, path_in_set
from eyenet.sets.groups import OWN
from eyenet.sets.labelled import NO_PHOTOGRAPH, describe_photographs, label_photographs


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


def warn_of_known(table, model, config):
    """Count the patients who have the name of one that the model was fitted to, and log a warning."""
    known = known_patients(table, model, one_set=True)
    if known:
        noun = "patient" if patient_known(table).all() else "photograph"
        uses = uses_of_patients("recalibrated" in config)
        log(
            f"WARNING: {len(known):,} of the {noun}s, such as {known[0]}, {'has' if len(known) == 1 else 'have'} "
            f"the same name as a {noun} that the network has seen in {uses}; if they are the "
            "same, these figures are too high"
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
            f"note: the quality gate calls {poor:,} of {plural(len(table), 'photograph')} ungradable, and predict.py "
            f"would let them refer, but never count as negative; the figures are of all{also} (column gradable of "
            "predictions.csv)"
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
    known = warn_of_known(table, model, config)
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
