"""The content of TensorBoard, requested over HTTP from a running server, as its pages do."""

import io
import json
import shutil
import time
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode
from urllib.request import Request, urlopen

import keras
import numpy as np
import pytest
from conftest import draw_photograph
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_score, recall_score
from tensorboard import program
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import cnn
from eyenet.model.batches import Batches, predict
from eyenet.training.checkpoint import Checkpoint
from eyenet.training.dashboard import Curves, Dashboard, choose_watched, heat_sheet, plain_value
from eyenet.training.distribution import Distribution
from eyenet.training.progress import Progress
from eyenet.training.validation import Validation, of_disease

SIZE = 32
CARD = "| option | value |\n|---|---|\n| learning-rate | `0.001` |"
FIGURES = ("auc", "loss", "accuracy", "precision", "recall")
EPOCHS = range(1, 5)
RATE = 0.03


class StoppedError(Exception):
    """Raised to end a training early, like a kill."""


def build(classes):
    """Build a network and its trainer with augmentation, as cnn.py does."""
    keras.utils.set_random_seed(0)
    network = cnn.build_network("three_layers_2017", SIZE, classes, "none")
    augment = keras.Sequential([keras.Input((SIZE, SIZE, 3), dtype="uint8"), keras.layers.RandomFlip(dtype="float32")])
    trainer = keras.Sequential([keras.Input((SIZE, SIZE, 3), dtype="uint8"), augment, network])
    return network, augment, trainer


def train(root, run, epochs, *, rate=0.01, task="any", levels=None, fail_after=None, boards_first=True):
    """Train a tiny network as cnn.py does, or continue; raise `StoppedError` after the epoch `fail_after`."""
    levels = np.arange(60) % 2 if levels is None else levels
    images = np.stack(
        [draw_photograph(SIZE, SIZE, radius=SIZE / 2, seed=i, dots=5 * bool(n)) for i, n in enumerate(levels)]
    )
    network, augment, trainer = build(5 if task == "grade" else 2)
    auc = of_disease(keras.metrics.AUC, name="auc")
    trainer.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=[auc])
    trainer.optimizer.build(trainer.trainable_variables)
    feed = Batches(images, levels, np.arange(40), 8, seed=0)
    folder = root / "models" / run
    folder.mkdir(parents=True, exist_ok=True)
    val = Batches(images, levels, np.arange(40, len(images)), 8)
    distribution = Distribution()
    validation = Validation(network, task, val, cnn.ordinal_crossentropy, distribution)
    checkpoint = Checkpoint(network, feed, 99, 0, distribution, folder)
    logs = root / "logs" / run
    hparams = {"learning_rate": rate, "task": task, "xla": False}
    dashboard = Dashboard(validation, checkpoint, augment, logs, CARD, hparams, distribution)

    def fail(epoch, logs):
        if epoch + 1 == fail_after:
            raise StoppedError

    done = checkpoint.restore(trainer)
    stop = keras.callbacks.LambdaCallback(on_epoch_end=fail)
    boards, others = [dashboard, Curves(logs, distribution)], [Progress(len(feed.rows), 8), validation, checkpoint]
    callbacks = [*boards, *others] if boards_first else [*others, *reversed(boards)]
    trainer.fit(feed, initial_epoch=done, epochs=epochs, shuffle=False, callbacks=[*callbacks, stop], verbose=0)
    return SimpleNamespace(validation=validation, checkpoint=checkpoint)


class Browser:
    """A TensorBoard server in this process, which has imported TensorFlow, and the requests that its pages make."""

    def __init__(self, logs):
        board = program.TensorBoard()
        board.configure(logdir=str(logs), host="127.0.0.1", port=0, reload_interval=0)  # reads the logs once
        self.address = board.launch()

    def get(self, path, **query):
        with urlopen(f"{self.address}data/{path}?{urlencode(query)}", timeout=1800) as answer:
            return answer.read()

    def json(self, path, **query):
        return json.loads(self.get(path, **query))

    def image(self, tag, run, index=-1):
        shown = self.json("plugin/images/images", run=run, tag=tag, sample=0)
        data = self.get("plugin/images/individualImage", **dict(parse_qsl(shown[index]["query"])))
        return [s["step"] for s in shown], np.asarray(Image.open(io.BytesIO(data)))

    def rows(self):
        """Return the rows of HParams by name, each (options, figures, statuses of its sessions)."""
        statuses = [f"STATUS_{s}" for s in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
        question = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": statuses, "colParams": []}
        request = Request(f"{self.address}data/plugin/hparams/session_groups", json.dumps(question).encode())
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=1800) as answer:
            groups = json.load(answer)["sessionGroups"]
        return {
            g["name"]: (
                g["hparams"],
                {m["name"]["tag"]: m["value"] for m in g.get("metricValues", [])},
                [s["status"] for s in g["sessions"]],
            )
            for g in groups
        }

    def wait_for(self, question, condition):
        for _ in range(18_000):
            if condition(answer := question()):
                return answer
            time.sleep(0.1)
        raise AssertionError(f"TensorBoard shows no more than {answer}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a run that is killed and continued; `killed` is a copy of what the kill left."""
    root = tmp_path_factory.mktemp("trained")
    with pytest.raises(StoppedError):
        train(root, "whole", len(EPOCHS), rate=RATE, fail_after=3)  # epoch 3 was not saved: it is repeated
    for folder in (root / "models", root / "logs"):
        shutil.copytree(folder / "whole", folder / "killed")
    return SimpleNamespace(root=root, kept=train(root, "whole", len(EPOCHS), rate=RATE))


@pytest.fixture(scope="module")
def browser(trained):
    browser = Browser(trained.root / "logs")
    browser.wait_for(lambda: browser.json("runs"), lambda runs: len(runs) == 6)
    browser.wait_for(browser.rows, lambda rows: "STATUS_SUCCESS" in rows["whole/summary"][2])
    return browser


def test_runs_are_what_they_should_be(browser):
    parts = ("summary", "train", "validation")
    assert sorted(browser.json("runs")) == [f"{run}/{part}" for run in ("killed", "whole") for part in parts]


def test_hparams_has_a_row_for_each_run_with_the_figures_of_its_best_epoch(browser, trained):
    rows = browser.rows()
    assert sorted(rows) == ["killed/summary", "whole/summary"]
    options, figures, statuses = rows["whole/summary"]
    assert options == {"learning_rate": RATE, "task": "any", "xla": False}
    assert statuses == ["STATUS_SUCCESS"]
    state = trained.kept.checkpoint.state
    best = state["history"][state["best_epoch"] - 1]
    assert figures.pop("kept epoch/epoch") == state["best_epoch"]
    assert {"kept epoch/validation auc", "kept epoch/validation recall"} <= figures.keys()
    for name, value in figures.items():
        expected = best.get(name.replace("kept epoch/validation ", "val_"), "NaN")
        assert value == (expected if expected == "NaN" else pytest.approx(expected, abs=1e-6))


def test_hparams_knows_the_columns(browser):
    request = Request(f"{browser.address}data/plugin/hparams/experiment", b'{"hparamsLimit": 100}')
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=1800) as answer:
        experiment = json.load(answer)
    kinds = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    assert kinds == {"learning_rate": "DATA_TYPE_FLOAT64", "task": "DATA_TYPE_STRING", "xla": "DATA_TYPE_BOOL"}
    figures = {info["name"]["tag"] for info in experiment["metricInfos"]}
    assert figures == {f"kept epoch/{k}" for k in ("epoch", *(f"validation {k}" for k in FIGURES))}


def test_curves_count_epochs_from_1_also_after_a_stop(browser, trained):
    tags = browser.json("plugin/scalars/tags")
    assert {"AUC and loss/loss", "AUC and loss/auc", "speed/images per second"} <= tags["whole/train"].keys()
    assert {"AUC and loss/loss", "AUC and loss/auc", "more/recall"} <= tags["whole/validation"].keys()
    assert min(tag for run in tags.values() for tag in run).startswith("AUC and loss/")  # TensorBoard opens on it
    points = browser.json("plugin/scalars/scalars", run="whole/validation", tag="AUC and loss/auc")
    assert {step for _, step, _ in points} == set(EPOCHS)
    values = {step: value for _, step, value in points}
    assert [values[epoch] for epoch in EPOCHS] == pytest.approx(
        [row["val_auc"] for row in trained.kept.checkpoint.state["history"]], abs=1e-6
    )
    kept = browser.json("plugin/scalars/scalars", run="whole/summary", tag="kept epoch/epoch")
    assert len(kept) == 1  # no curve


def test_precision_recall_curves_are_right(browser, trained):
    tag = "precision-recall, validation/pr_curves"
    assert tag in browser.json("plugin/pr_curves/tags")["whole/summary"]
    curves = browser.json("plugin/pr_curves/pr_curves", run="whole/summary", tag=tag)["whole/summary"]
    assert [curve["step"] for curve in curves] == list(EPOCHS)
    kept, last = trained.kept, curves[-1]
    for i in (0, 60, 100, 101):
        if i < len(last["thresholds"]):
            called = kept.validation.probability >= last["thresholds"][i]
            assert last["precision"][i] == pytest.approx(precision_score(kept.validation.truth, called), abs=1e-6)
            assert last["recall"][i] == pytest.approx(recall_score(kept.validation.truth, called), abs=1e-6)
            counts = [last[k][i] for k in ("true_negatives", "false_positives", "false_negatives", "true_positives")]
            assert counts == confusion_matrix(kept.validation.truth, called).ravel().tolist()


def test_images_of_each_epoch_are_there(browser):
    tags = browser.json("plugin/images/tags")["whole/summary"]
    assert set(tags) == {
        "training batch, as the network sees it",
        "confusion matrix, validation",
        "ROC curve, validation",
        "heat maps, validation",
    }
    for tag in tags:
        steps, image = browser.image(tag, "whole/summary")
        assert steps == ([1] if "batch" in tag else list(EPOCHS))
        assert image.std() > 10
    _, sheet = browser.image("heat maps, validation", "whole/summary")
    assert sheet.shape == (4 * (SIZE + 8), 4 * (SIZE + 8), 3)


def test_the_sheet_of_a_training_batch_shows_the_first_batch_of_the_first_epoch(browser):
    rows = np.sort(np.random.default_rng([0, 0]).permutation(40)[:8])
    assert rows.tolist() != list(range(8))
    _, sheet = browser.image("training batch, as the network sees it", "whole/summary")
    cell, blue, orange = SIZE + 8, [59, 110, 165], [217, 130, 43]
    assert sheet.shape == (cell, 8 * cell, 3)
    for place, row in enumerate(rows):
        shown = sheet[:, place * cell : (place + 1) * cell]
        photograph = draw_photograph(SIZE, SIZE, radius=SIZE / 2, seed=row, dots=5 * (row % 2))
        assert shown[0, 0].tolist() == (orange if row % 2 else blue)
        assert np.array_equal(np.sort(shown[4:-4, 4:-4], axis=None), np.sort(photograph, axis=None))  # mirrored or not


def test_heat_maps_change_as_training_goes_on_and_photographs_do_not(browser):
    _, before = browser.image("heat maps, validation", "whole/summary", 0)
    _, after = browser.image("heat maps, validation", "whole/summary", -1)
    cell = SIZE + 8
    photograph, heat = (slice(20, cell - 4), slice(4, cell - 4)), (slice(20, cell - 4), slice(cell + 4, 2 * cell - 4))
    assert np.array_equal(before[photograph], after[photograph])
    assert any(
        not np.array_equal(np.roll(before, -2 * y * cell, 0)[heat], np.roll(after, -2 * y * cell, 0)[heat])
        for y in range(2)
    )


def test_text_card_is_a_table(browser):
    assert "options" in browser.json("plugin/text/tags")["whole/summary"]
    shown = browser.json("plugin/text/text", run="whole/summary", tag="options")
    assert len(shown) == 1
    assert "<table>" in shown[0]["text"] and "learning-rate" in shown[0]["text"]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has a graph")
def test_graph_has_the_networks_operations(browser):
    assert browser.json("plugin/graphs/info")["whole/summary"]["run_graph"]
    graph = browser.get("plugin/graphs/graph", run="whole/summary", conceptual="false").decode()
    assert "Conv2D" in graph and "Softmax" in graph


def test_row_of_a_killed_training_is_shown_and_not_called_done(browser):
    _, figures, statuses = browser.rows()["killed/summary"]
    assert not figures  # no network is kept yet
    assert statuses == ["STATUS_UNKNOWN"]


def events_of(folder):
    """Read a folder's event files: (kind of plugin or graph, tag, step) of each record."""
    records = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            if event.HasField("graph_def"):
                records.append(("graph", "", event.step))
            records += [(v.metadata.plugin_data.plugin_name, v.tag, event.step) for v in event.summary.value]
    return records


def test_going_on_adds_no_second_start(trained):
    kinds = [plugin for plugin, _, _ in events_of(trained.root / "logs" / "whole" / "summary")]
    assert (kinds.count("hparams"), kinds.count("text")) == (2, 1)  # the options at the start, the status at the end


def values_of(folder):
    """Map (part, tag, step) to the value in the event files of a run, without rate, times and names that differ."""
    found, differ = {}, ("hparams", "graphs")
    for part in ("train", "validation", "summary"):
        for path in (folder / part).glob("events.out.tfevents.*"):
            for event in EventFileLoader(str(path)).Load():
                for value in event.summary.value:
                    if "images per second" not in value.tag and value.metadata.plugin_data.plugin_name not in differ:
                        found[part, value.tag, event.step] = value.tensor.SerializeToString()
    return found


def test_the_order_of_the_callbacks_changes_nothing(tmp_path):
    """In what a training writes that nothing kills."""
    for first in (True, False):
        train(tmp_path, f"boards_first={first}", 2, boards_first=first)
    one, other = (values_of(tmp_path / "logs" / f"boards_first={first}") for first in (True, False))
    assert one == other and ("validation", "AUC and loss/auc", 2) in one


def test_run_whose_model_was_deleted_leaves_nothing_behind(trained, tmp_path):
    shutil.copytree(trained.root / "logs" / "killed", tmp_path / "logs" / "run")
    train(tmp_path, "run", 1, rate=0.01)
    records = events_of(tmp_path / "logs" / "run" / "summary")
    assert {step for _, _, step in records} == {0, 1}  # the options, and the first epoch
    assert sum(plugin == "hparams" for plugin, _, _ in records) == 2


def test_grades_of_one_class_in_validation(tmp_path):
    """Neither curve is defined; everything else is shown."""
    levels = np.r_[np.arange(40) % 5, np.zeros(10, int)]
    kept = train(tmp_path, "grades", 1, task="grade", levels=levels)
    tags = {tag for _, tag, _ in events_of(tmp_path / "logs" / "grades" / "summary")}
    assert {"heat maps, validation", "confusion matrix, validation", "kept epoch/validation loss"} <= tags
    assert not any("ROC" in tag or "recall, validation" in tag or tag == "kept epoch/validation auc" for tag in tags)
    assert predict(kept.validation.network, kept.validation.batches).shape == (10, 5)


def test_without_validation_photographs(tmp_path):
    train(tmp_path, "alone", 1, levels=np.arange(40) % 2)
    records = events_of(tmp_path / "logs" / "alone" / "summary")
    assert ("scalars", "kept epoch/epoch", 1) in records
    assert not any("validation" in tag for _, tag, _ in records)
    assert [tag for plugin, tag, _ in records if plugin == "hparams"][-1] == "_hparams_/session_end_info"


def test_logs_that_were_deleted_are_begun_anew_when_training_goes_on(trained, tmp_path):
    for part in ("models", "logs"):
        shutil.copytree(trained.root / part / "killed", tmp_path / part / "run")
    shutil.rmtree(tmp_path / "logs" / "run" / "summary")
    train(tmp_path, "run", 3, rate=RATE)
    kinds = [plugin for plugin, _, _ in events_of(tmp_path / "logs" / "run" / "summary")]
    assert kinds.count("graph") == (keras.backend.backend() == "tensorflow")
    assert kinds.count("text") == 1
    assert kinds.count("hparams") == 2  # start and end


def test_watched_photographs_are_of_both_classes_and_far_apart():
    diseased = np.zeros(100, bool)
    diseased[[10, 11, 12, 60, 61, 62]] = True
    watched = choose_watched(diseased)
    assert diseased[watched].tolist() == [False] * 4 + [True] * 4
    assert len(set(watched)) == 8
    assert {10, 62} <= set(watched)
    assert np.array_equal(watched, choose_watched(diseased))
    assert choose_watched(np.array([True])).tolist() == [0]
    assert choose_watched(np.zeros(0, bool)).tolist() == []


def test_sheet_tells_disease_and_probability():
    images = np.zeros((3, 64, 64, 3), np.uint8)
    sheet = heat_sheet(images, np.zeros((3, 64, 64)), np.array([False, True, True]), np.array([0.02, 0.5, 0.97]))
    assert sheet.shape == (2 * 72, 4 * 72, 3)
    blue, orange = (59, 110, 165), (217, 130, 43)
    assert tuple(sheet[0, 0]) == tuple(sheet[0, 72]) == blue
    assert tuple(sheet[0, 144]) == tuple(sheet[72, 0]) == orange
    cells = [sheet[4:68, 4:68], sheet[4:68, 148:212], sheet[76:140, 4:68]]
    assert all(cell.max() > 200 for cell in cells)
    assert not np.array_equal(cells[0], cells[1]) and not np.array_equal(cells[1], cells[2])


@pytest.mark.parametrize("value", [True, 3, 0.1, "any"])
def test_options_that_hparams_can_hold_stay_as_they_are(value):
    assert plain_value(value) is value


def test_other_options_become_text(tmp_path):
    assert plain_value(tmp_path) == str(tmp_path)
    assert plain_value(None) == "None"
