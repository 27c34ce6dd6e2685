"""Measure size, agreement with Keras and time of exported networks, by format and precision, on the test patients.

    python benchmarks/export.py --input data/array --model models/latest

Core ML is computed in NumPy on Linux, on 100 photographs, so its time is not reported. The others run on one thread of
this machine; their times are means over all photographs.
"""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import record

from eyenet.export import coreml, litert, onnx
from eyenet.export.description import describe
from eyenet.export.folder import size_of
from eyenet.export.proof import LIMITS, compare, exam_from_array
from eyenet.model import backend
from eyenet.model.folder import open_model
from eyenet.model.loading import load_network
from eyenet.photo.retina import photograph_to_input
from eyenet.run.errors import StageError

FORMATS = {
    "Core ML": ("EyeNet.mlpackage", coreml, 100),
    "LiteRT": ("EyeNet.tflite", litert, None),
    "ONNX": ("EyeNet.onnx", onnx, None),
}


def measure(name, precision, exam, config, network, description):
    """Convert a network and run it; return rows of the table."""
    file, how, most = FORMATS[name]
    exam = exam.take(most) if most else exam
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / file
        how.convert(network, path, precision, description, exam.calibration)
        size = size_of(path)
        start = time.perf_counter()
        found = how.run(path, exam.photographs)
        each = (time.perf_counter() - start) / len(found)
    figures, limit = compare(exam, found, config), LIMITS[precision]
    what = f"{name} {precision}"
    yield f"{what}: size", f"{size / 1e6:.2f}", "MB", ""
    yield f"{what}: largest difference of a probability", f"{figures['largest']:.1e}", "", f"<= {limit.probability:g}"
    for question, agreement in figures["questions"].items():
        allowed = int(limit.decisions * len(found))
        before, after = agreement["auc"]
        yield f"{what}: decisions changed, {question} DR", agreement["decisions"], f"of {len(found)}", f"<= {allowed}"
        if agreement["decisions"]:
            far = f"<= {limit.farthest:g}" if limit.farthest < 1 else ""
            yield (
                f"{what}: the farthest of these from the threshold, {question} DR",
                f"{agreement['farthest']:.4f}",
                "",
                far,
            )
        yield f"{what}: AUC lost, {question} DR, of {before:.4f}", f"{before - after:.4f}", "", f"<= {limit.auc:g}"
    if name != "Core ML":
        yield f"{what}: time per photograph", f"{each * 1e3:.1f}", "ms", ""


def ratios(repeat, model, paths):
    """Yield the ratio of each format's latency to that of Keras, in CPU time per photograph."""
    config = open_model(model)
    backend.start("float32", 0)
    network, crops = load_network(model, config), np.stack([photograph_to_input(path)[0] for path in paths])

    def keras(photographs):
        for photograph in photographs:
            network.predict_on_batch(photograph[None])

    keras(crops[:1])  # traces the network
    for name, (file, how, _) in FORMATS.items():
        if name == "Core ML":
            continue  # Core ML predicts only on a Mac
        try:
            how.require_packages()
        except StageError as error:
            record.left_out(f"export, {name}", error)
            continue
        for precision in LIMITS:
            with tempfile.TemporaryDirectory() as work:
                path = Path(work) / file
                how.convert(network, path, precision, describe(model, config), crops)
                taken = [(each(partial(how.run, path), crops), each(keras, crops)) for _ in range(repeat)]
            ratio = record.beside(*zip(*taken))
            yield record.Ratio(f"export: {name} {precision} / Keras, a photograph, CPU", ratio, "less")


def each(ask, crops):
    """Measure CPU seconds per photograph from the difference of two runs, so that loading a file is not counted."""
    few, more = (record.cpu_seconds(ask, photographs) for photographs in (crops, np.concatenate(4 * [crops])))
    return (more - few) / (3 * len(crops))


def main():
    options = record.parse(__doc__)
    options.add_argument("--input", type=Path, default=record.REPO / "data" / "array", help="array of the model")
    options.add_argument("--model", type=Path, default=record.REPO / "models" / "latest", help="folder of the model")
    args = options.parse_args()
    config = open_model(args.model)
    for _, how, _ in FORMATS.values():
        how.require_packages()
    backend.start("float32", 0)
    network = load_network(args.model, config)
    exam = exam_from_array(args.input, args.model, config, network, 1000)
    description = describe(args.model, config)
    ways = [(name, precision) for name in FORMATS for precision in LIMITS]
    rows = [row for way in ways for row in measure(*way, exam, config, network, description)]
    record.write(f"export-{config['options']['network']}", rows, ("coremltools", "onnx", "tf2onnx", "onnxruntime"))


if __name__ == "__main__":
    main()
