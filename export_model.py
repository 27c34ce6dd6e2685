#!/usr/bin/env python3
"""Export a model for phones and browsers, and verify each export against Keras.

Reads   a model                           of cnn.py, or the network that ships; see --model
        data/array/                       the array that it was trained on; the test photographs verify the exports
        app/dist-template/                --format app only: the page built by npm run build
Writes  MODEL/export/EyeNet.mlpackage     Core ML for Xcode and Vision: ML program, image in, class out
        MODEL/export/EyeNet.tflite        LiteRT for Android
        MODEL/export/EyeNet.onnx          ONNX for onnxruntime
        MODEL/export/model.json           what an app needs: size, colours, thresholds, calibration, quality gate
        MODEL/export/README.md            how to use the exports in Xcode or Android Studio, and what to do before
        app/dist/                         --format app only: the finished page; serve it with python -m http.server

    pip install -r requirements-export.txt
    python export_model.py                             Core ML, LiteRT and ONNX in float16
    python export_model.py --format litert --precision int8
    python export_model.py --format coreml --check     verify existing exports again; on a Mac with Core ML itself
    python export_model.py --format app
    python export_model.py --photos clinic/            verify on other photographs, without the array

The network that ships is verified on a retina of scikit-image, turned and mirrored, unless --photos is given.

Precisions: float32; float16 (half the size); dynamic (8-bit weights, a quarter of the size); int8 (8-bit weights and
activations, calibrated on training photographs; in Core ML only the weights). Each export predicts the test
photographs; if it differs from Keras by more than its precision allows, it is not written and the exit code is 1.
Core ML runs only on a Mac; elsewhere the package is read back and computed in NumPy, on 100 photographs.
Exporting all three formats of EfficientNet-Lite0 takes two minutes with 1,000 photographs on two cores.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # the only backend that all converters read

from eyenet.export import coreml, folder, litert, onnx
from eyenet.export.coreml import IN_NUMPY
from eyenet.export.description import describe
from eyenet.export.proof import (
    LIMITS,
    compare,
    exam_from_array,
    exam_from_photographs,
    exam_from_retina,
    line,
    require_parity,
)
from eyenet.model import backend
from eyenet.model.folder import NETWORK, open_model
from eyenet.model.loading import load_network
from eyenet.model.pretrained import DEFAULT, default_model, is_shipped, results_of
from eyenet.run.errors import log
from eyenet.run.files import sha256
from eyenet.run.folder import locked
from eyenet.run.options import local_path, model_path, parser, positive
from eyenet.run.script import run_main

FILES = {
    "coreml": ("EyeNet.mlpackage", coreml),
    "litert": ("EyeNet.tflite", litert),
    "onnx": ("EyeNet.onnx", onnx),
}
MOST_IN_NUMPY = 100  # test photographs; Core ML in NumPy is slow


def verify(path, run, precision, exam, config):
    """Compare an export with Keras; return the differences, or raise a StageError if they are too large."""
    figures = compare(exam, run(path, exam.photographs), config)
    require_parity(figures, precision, path.name)
    return figures


def export(target, how, precision, exam, config, network, description):
    """Convert, verify and write one export; return its entry of export.json."""
    log(f"converting to {target.name} in {precision}")
    with folder.proved_export(target) as path:
        how.convert(network, path, precision, description, exam.calibration)
        figures = verify(path, how.run, precision, exam, config)
        entry = {"precision": precision, "bytes": folder.size_of(path), "sha256": folder.hash_export(path)}
    return entry | {"parity": figures}


def check(target, how, exam, config, model):
    """Verify an existing export; return its updated entry of export.json."""
    known = folder.require_export(target.parent, target.name, model)
    return known | {"parity": verify(target, how.run, known["precision"], exam, config)}


def export_files(formats, source, output, precision, only_check, exam, config, network):
    """Write and verify exports of the model in `source`, or only verify them; update model.json and README.md."""
    description, model = describe(source, config), sha256(source / NETWORK)
    with locked(output):
        folder.remove_unfinished(output)
        files = folder.read_record(output, model)
        if not only_check:
            folder.remove_others(output, [name for name, _ in FILES.values()], files)
            folder.write_record(output, model, files, description)  # marks the folder as one of exports
        for name, how in (FILES[kind] for kind in formats):
            by = how.runner() if how is coreml else "its runtime"
            asked = exam.take(MOST_IN_NUMPY) if by == IN_NUMPY else exam
            if only_check:
                entry = check(output / name, how, asked, config, model)
            else:
                entry = export(output / name, how, precision, asked, config, network, description)
            files[name] = entry | {"by": by}
            folder.write_record(output, model, files, description)
            size = f"{entry['bytes'] / 1e6:.2f} MB, {entry['precision']}"
            print(f"{output / name}: {size}; {line(entry['parity'])}", flush=True)
    print(f"next: read {output / 'README.md'}")


def export_app(source, output, precision, exam, config, network):
    """Verify the network of the offline page, and write the page."""
    from eyenet.export import page

    data = page.convert(network, config["task"], precision)
    figures = verify(Path(page.NETWORK), lambda _, images: page.run(data, images), precision, exam, config)
    total = page.write_page(data, source, config, output)
    print(f"{output}: {total / 1e6:.1f} MB, {precision}; {line(figures)}")
    print(f"next: python -m http.server --directory {output}")


def parse():
    """Parse the options."""
    options = parser(__doc__, input="data/array")
    options.add_argument("--model", type=model_path, help=f"folder of the model; {DEFAULT}")
    options.add_argument("--format", choices=[*FILES, "app", "all"], default="all", help="all: all except app")
    options.add_argument("--precision", choices=list(LIMITS), default="float16", help="of the weights, see above")
    options.add_argument("--output", type=local_path, help="folder to write; default: in MODEL, for app: app/dist")
    options.add_argument("--photos", type=local_path, help="folder of photographs to verify on, instead of --input")
    options.add_argument("--most", type=positive, default=1000, help="verify on at most this many photographs")
    options.add_argument("--check", action="store_true", help="only verify existing exports")
    args = options.parse_args()
    if args.format == "app" and (args.check or args.precision == "int8"):
        options.error("--format app supports neither int8, which degrades the heat map, nor --check")
    args.model = args.model or default_model()
    without = args.photos is not None or is_shipped(args.model)
    if without and args.precision == "int8" and not args.check:
        options.error(
            "int8 is calibrated on training photographs: name a model of your own with --model, and its array with "
            "--input; neither --photos nor the network that ships has them"
        )
    page = Path(__file__).resolve().parent / "app" / "dist"
    args.output = args.output or (page if args.format == "app" else results_of(args.model) / "export")
    return args


def main():
    args = parse()
    config = open_model(args.model)
    formats = list(FILES) if args.format == "all" else [args.format]
    for how in [onnx] if args.format == "app" else [FILES[kind][1] for kind in formats]:
        how.require_packages()  # before Keras starts, which is slow
    if args.format == "app":
        from eyenet.export.page import require_template

        require_template(args.output)
    else:
        folder.require_own(args.output)
    backend.start("float32", 0)
    network = load_network(args.model, config)
    if args.photos is not None:
        exam = exam_from_photographs(args.photos, config, network, args.most)
    elif is_shipped(args.model):
        exam = exam_from_retina(config, network)
    else:
        exam = exam_from_array(args.input, args.model, config, network, args.most)
    if args.format == "app":
        export_app(args.model, args.output, args.precision, exam, config, network)
    else:
        export_files(formats, args.model, args.output, args.precision, args.check, exam, config, network)


if __name__ == "__main__":
    run_main(main)
