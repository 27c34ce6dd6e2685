"""Write and run `model.tflite`: the network for LiteRT, without Keras, with the heat map's evidence in its graph.

    python -m eyenet.model.lite models/latest       writes it for a model that an older version trained

LiteRT starts in a tenth of a second where TensorFlow takes three, and agrees with Keras to 1e-6 (tests/test_lite.py).
"""

import argparse
import contextlib
import os
import struct
import sys
import tempfile
from mmap import ACCESS_COPY, mmap
from pathlib import Path

import numpy as np

from eyenet.data.tasks import TASKS, first_disease
from eyenet.model.backend import hidden_stderr
from eyenet.model.folder import LITE_NETWORK, NETWORK, open_model
from eyenet.model.loading import load_network
from eyenet.model.overlay import Grid
from eyenet.run.errors import StageError, log
from eyenet.run.files import follow, sha256, write_json, write_whole
from eyenet.run.script import run_main

ANSWER, EXPLAIN = "answer", "explain"  # signatures of model.tflite: the probability, or the evidence as well
GRAPHS, SIGNATURES, KEY, GRAPH = (4 + 2 * field for field in (2, 7, 2, 4))  # fields of the file, see keep_one_signature


def write_lite(network, task, folder):
    """Write a network as `model.tflite`: one uint8 photograph in, `probability` and `evidence` out.

    Parameters
    ----------
    network : keras.Model
        As `eyenet.model.loading.load_network` gives it, on any backend.
    task : str
    folder : path-like

    Returns
    -------
    dict
        The entry `evidence` of config.json: `questions`, in the order of the evidence, and `start` and `step` of its
        cells in pixels.

    Raises
    ------
    StageError
        If TensorFlow, which does the conversion, is not installed.
    """
    from eyenet.model.evidence import explained

    parts = explained(network)
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        write_whole(Path(folder) / LITE_NETWORK, _convert(network, parts, task))
    else:
        _convert_elsewhere(network, task, folder)
    return {"questions": list(TASKS[task].questions), "start": parts.start, "step": parts.step}


def _convert_elsewhere(network, task, folder):
    """Convert in another process, where Keras runs on TensorFlow."""
    import subprocess  # slow, and not needed by predict.py

    with tempfile.TemporaryDirectory(dir=Path(folder).resolve(), prefix=".tmp-") as work:
        network.save(Path(work) / NETWORK)
        command = [sys.executable, "-m", "eyenet.model.lite", work, "--task", task]
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        here = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=here, env=environment)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise StageError(f"{LITE_NETWORK} could not be made with TensorFlow: {last}")
        write_whole(Path(folder) / LITE_NETWORK, (Path(work) / LITE_NETWORK).read_bytes())


def ways_to_ask(network, parts, task):
    """Trace a network and its evidence for one photograph; dict of tf.functions by signature.

    `answer` gives the probability, `explain` also the evidence, which takes twice as long, with the gradient in the
    graph. The probability of disease is a matrix product because LiteRT lacks the gradient of a slice.
    """
    import tensorflow as tf

    from eyenet.model.evidence import TINY, sum_evidence
    from eyenet.model.lite_gradients import replaced

    size, count = network.input_shape[1], network.output_shape[-1]
    starts = [first_disease(task, question) for question in TASKS[task].questions]
    disease = (np.arange(count)[:, None] >= starts).astype(np.float32)

    def log_odds_of(probability):
        sums = [tf.maximum(probability @ classes, TINY) for classes in (disease, 1 - disease)]
        return tf.unstack(tf.math.log(sums[0]) - tf.math.log(sums[1]), axis=1)

    def evidence_of(log_odds, cells):
        (gradient,) = tf.gradients(log_odds, cells)
        return sum_evidence(cells, gradient, parts.pooled)

    def answer(photograph):
        return {"probability": parts.back(parts.front(photograph, training=False), training=False)}

    def explain(photograph):
        cells = parts.front(photograph, training=False)
        with replaced():
            probability = parts.back(cells, training=False)
        evidence = tf.stack([evidence_of(odds, cells) for odds in log_odds_of(probability)], axis=1)
        return {"probability": probability, "evidence": evidence}

    photograph = [tf.TensorSpec((1, size, size, 3), tf.uint8, "photograph")]
    return {ANSWER: tf.function(answer, photograph, False), EXPLAIN: tf.function(explain, photograph, False)}


def _convert(network, parts, task):
    """Convert an explained network to LiteRT's format; bytes."""
    import tensorflow as tf

    from eyenet.model.lite_sharing import share_weights

    module = tf.Module()
    module.kept = [variable.value for variable in network.variables]
    signatures = ways_to_ask(network, parts, task)
    module.signatures_kept = list(signatures.values())
    with tempfile.TemporaryDirectory() as work, hidden_stderr():
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, work, signatures, options)
        converter = tf.lite.TFLiteConverter.from_saved_model(work, [*signatures])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return share_weights(converter.convert())


def keep_one_signature(data, name):
    """Remove all signatures of a .tflite file but one, and their graphs.

    LiteRT prepares every graph of a file before the first answer, and the evidence's takes longer than the answer's.
    Only offsets change (`Model` and `SignatureDef` in TensorFlow Lite's schema.fbs); an offset counts from its own
    place. No graph may call another one, as none of `write_lite` does.

    Parameters
    ----------
    data : bytearray or mmap
        Is changed.
    name : str

    Raises
    ------
    ValueError
        If the file has no such signature.
    """
    from flatbuffers import encode, packer
    from flatbuffers.table import Table

    model = Table(data, encode.Get(packer.uoffset, data, 0))
    graphs, signatures = (model.Vector(model.Offset(field)) for field in (GRAPHS, SIGNATURES))
    for place in range(signatures, signatures + 4 * model.VectorLen(model.Offset(SIGNATURES)), 4):
        signature = Table(data, model.Indirect(place))
        if signature.String(signature.Pos + signature.Offset(KEY)) == name.encode():
            break
    else:
        raise ValueError(f"it has no signature '{name}'")
    graph = graphs
    if number := signature.Offset(GRAPH):  # absent if it is 0
        graph += 4 * encode.Get(packer.uint32, data, signature.Pos + number)
        encode.Write(packer.uint32, data, signature.Pos + number, 0)
    for first, chosen in ((graphs, graph), (signatures, place)):
        encode.Write(packer.uoffset, data, first, model.Indirect(chosen) - first)
        encode.Write(packer.uoffset, data, first - 4, 1)  # the length of the vector


class LiteNetwork:
    """Run a network of `write_lite` with LiteRT; safe to call from several threads.

    Parameters
    ----------
    folder : path-like
        The model's folder, checked by `eyenet.model.folder.open_model(folder, LITE_NETWORK)`.
    config : dict
        Its config.json.

    Raises
    ------
    StageError
        If ai-edge-litert is not installed, or the file does not match config.json.
    """

    def __init__(self, folder, config):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise StageError(
                f"LiteRT, which runs the network, cannot be imported ({error}): pip install -r requirements-predict.txt"
            ) from None
        self.path, self.make, self.idle = Path(folder) / LITE_NETWORK, Interpreter, {ANSWER: [], EXPLAIN: []}
        self.content = {}  # of the file by signature, which all interpreters share
        self.asked = False
        size, classes = config["size"], len(config["classes"])
        try:
            self.questions = config["evidence"]["questions"]
            self.grid = Grid(float(config["evidence"]["start"]), float(config["evidence"]["step"]))
            interpreter, runner = self._open(ANSWER)
            given, answered = runner.get_input_details(), runner.get_output_details()
            photograph, probability = given["photograph"]["shape"].tolist(), answered["probability"]["shape"].tolist()
        except (ValueError, RuntimeError, KeyError, TypeError, struct.error) as error:
            raise self._damaged(error) from None
        if photograph != [1, size, size, 3]:
            raise self._damaged(f"it takes {photograph}, and config.json says {size} px")
        if probability != [1, classes] or self.questions != list(TASKS[config["task"]].questions):
            raise StageError(
                f"{self.path} answers other questions than config.json; the folder mixes files of different models"
            )
        self.idle[ANSWER].append((interpreter, runner))

    def _open(self, way):
        """Open the file for a signature; the weights are prepared in the first call."""
        if way not in self.content:
            with open(self.path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_COPY) as data:
                keep_one_signature(data, way)
                self.content[way] = data[:]
        interpreter = self.make(model_content=self.content[way], num_threads=1)
        return interpreter, interpreter.get_signature_runner(way)

    def _damaged(self, error):
        why = (str(error).splitlines() or [type(error).__name__])[0]
        return StageError(f"{self.path} is damaged, or not of this folder ({why}); copy the whole folder again")

    def __call__(self, photograph, explain=False):
        """Compute the probabilities of a photograph.

        Parameters
        ----------
        photograph : ndarray of uint8, shape (size, size, 3)
            In the colours that the network was trained on.
        explain : bool
            Compute the evidence as well, which takes about twice as long.

        Returns
        -------
        probability : ndarray of float32, shape (classes,)
        evidence : ndarray of float32, shape (questions, cells, cells), or None
            Evidence for disease, by question of the task; not negative.
        """
        way = EXPLAIN if explain else ANSWER
        try:
            interpreter, runner = self.idle[way].pop()
        except IndexError:  # as many interpreters as calls at once
            interpreter, runner = self._open(way)
        quiet = contextlib.nullcontext() if self.asked else hidden_stderr()  # LiteRT logs which delegate it uses
        with quiet:
            answers = runner(photograph=photograph[None])
        self.asked = True
        answer = answers["probability"][0].copy(), answers["evidence"][0].copy() if explain else None
        self.idle[way].append((interpreter, runner))
        return answer


def add_lite(folder, config, network):
    """Write `model.tflite` into a model folder; return config.json with evidence and checksums."""
    config = config | {"evidence": write_lite(network, config["task"], folder)}
    return config | {"files": {name: sha256(Path(folder) / name) for name in (NETWORK, LITE_NETWORK)}}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=follow, help="folder of a model")
    # For `_convert_elsewhere`: the folder holds nothing but a network.
    options.add_argument("--task", choices=list(TASKS), help=argparse.SUPPRESS)
    args = options.parse_args()
    from eyenet.model import backend

    if args.task is None:
        config = open_model(args.folder)
    backend.start("float32", 0)
    if args.task is not None:
        import keras

        write_lite(keras.models.load_model(args.folder / NETWORK, compile=False), args.task, args.folder)
        return
    write_json(args.folder / "config.json", add_lite(args.folder, config, load_network(args.folder, config)))
    log(f"wrote {args.folder / LITE_NETWORK}")


if __name__ == "__main__":
    run_main(main)
