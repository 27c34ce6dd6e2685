#!/usr/bin/env python3
"""Bring a model onto the phone: Core ML, LiteRT, ONNX and the offline page, each proved against Keras.

Reads   models/latest/                    a model of cnn.py
        data/array/                       the array that it was trained on: its test photographs are the proof
        app/dist-template/                for --format app: the page, as npm run build makes it
Writes  MODEL/export/EyeNet.mlpackage     Core ML: Xcode, Vision; ML program, image in, class out
        MODEL/export/EyeNet.tflite        LiteRT: Android
        MODEL/export/EyeNet.onnx          ONNX: onnxruntime
        MODEL/export/model.json           what an app must know: size, colours, thresholds, calibration, quality gate
        MODEL/export/README.md            how to drop it into Xcode or Android Studio, and what must come before
        app/dist/                         for --format app: the finished page; python -m http.server is enough

    pip install -r requirements-export.txt
    python export_model.py                             all but the page, in float16
    python export_model.py --format litert --precision int8
    python export_model.py --format coreml --check     prove again what is there; on a Mac with Core ML itself
    python export_model.py --format app
    python export_model.py --photos clinic/            without the array: proved on other photographs

--precision float32, float16 (half the size), dynamic (weights in eight bits: a quarter) or int8
(activations too, measured on training photographs; Core ML: weights alone). Each export is asked about the test
photographs and compared with Keras; what differs by more than its precision may is not written, and the exit code is
1. Core ML predicts on a Mac only: elsewhere the package is read back and computed in NumPy, on 100 of them. All three
take two minutes with EfficientNet-Lite0 and 1,000 photographs on two cores.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"  # which all converters read, whatever trained the model

from eyenet.export import coreml, folder, litert, onnx
from eyenet.export.coreml import IN_NUMPY
from eyenet.export.description import describe
from eyenet.export.exam import exam_from_array, exam_from_photographs
from eyenet.export.parity import LIMITS, compare, line, require_parity
from eyenet.model import backend
from eyenet.model.folder import NETWORK, load_network, open_model
from eyenet.run.errors import log
from eyenet.run.files import sha256
from eyenet.run.folder import locked
from eyenet.run.options import local_path, parser, positive
from eyenet.run.script import run_main

FILES = {
    "coreml": ("EyeNet.mlpackage", coreml),
    "litert": ("EyeNet.tflite", litert),
    "onnx": ("EyeNet.onnx", onnx),
}
SLOW = 100  # test photographs that are computed in NumPy


def prove(path, run, precision, exam, config):
    """Ask an export about the photographs; return how it differs from Keras, or raise a StageError."""
    figures = compare(exam, run(path, exam.photographs), config)
    require_parity(figures, precision, path.name)
    return figures


def export(name, how, args, exam, config, network, description):
    """Write and prove one export, or with --check prove the one that is there; return its entry of export.json."""
    target, model = args.output / name, sha256(args.model / NETWORK)
    by = how.runner() if how is coreml else "its runtime"
    exam = exam.take(SLOW) if by == IN_NUMPY else exam
    if args.check:
        known = folder.require_export(args.output, name, model)
        figures = prove(target, how.run, known["precision"], exam, config)
        return known | {"parity": figures, "by": by}
    log(f"converting to {name} in {args.precision}")
    with folder.proved_export(target) as path:
        how.convert(network, path, args.precision, description, exam.calibration)
        figures = prove(path, how.run, args.precision, exam, config)
        entry = {"precision": args.precision, "bytes": folder.size_of(path)}
        entry |= {"sha256": folder.hash_export(path)}
    return entry | {"parity": figures, "by": by}


def export_files(formats, args, exam, config, network):
    """Write and prove exports, and what is said of them."""
    description, model = describe(args.model, config), sha256(args.model / NETWORK)
    with locked(args.output):
        folder.remove_unfinished(args.output)
        files = folder.read_record(args.output, model)
        if not args.check:
            folder.remove_others(args.output, [name for name, _ in FILES.values()], files)
            folder.write_record(args.output, model, files, description)  # from now on the folder is ours
        for name, how in (FILES[kind] for kind in formats):
            files[name] = export(name, how, args, exam, config, network, description)
            folder.write_record(args.output, model, files, description)
            size = f"{files[name]['bytes'] / 1e6:.2f} MB, {files[name]['precision']}"
            print(f"{args.output / name}: {size}; {line(files[name]['parity'])}", flush=True)
    print(f"next: read {args.output / 'README.md'}")


def export_app(args, exam, config, network):
    """Write the offline page, after proving its network."""
    from eyenet.export import page as app

    data = app.convert(network, config["task"], args.precision)
    figures = prove(Path(app.NETWORK), lambda _, photographs: onnx.run(data, photographs), args.precision, exam, config)
    total = app.write_page(data, args.model, config, args.output)
    print(f"{args.output}: {total / 1e6:.1f} MB, {args.precision}; {line(figures)}")
    print(f"next: python -m http.server --directory {args.output}")


def parse():
    """Parse the options."""
    options = parser(__doc__, input="data/array")
    options.add_argument("--model", type=local_path, default="models/latest", help="folder of the model")
    options.add_argument("--format", choices=[*FILES, "app", "all"], default="all", help="all: all but app")
    options.add_argument("--precision", choices=list(LIMITS), default="float16", help="see above")
    options.add_argument("--output", type=local_path, help="folder to write; default: MODEL/export, for app: app/dist")
    options.add_argument("--photos", type=local_path, help="folder of photographs to prove it on, instead of --input")
    options.add_argument("--most", type=positive, default=1000, help="photographs of the proof, at most")
    options.add_argument("--check", action="store_true", help="convert nothing; prove again what is there")
    args = options.parse_args()
    if args.format == "app" and (args.check or args.precision == "int8"):
        options.error("the page is not made in int8, since its heat map would suffer, and --check is not for it")
    if args.photos is not None and args.precision == "int8" and not args.check:
        options.error("int8 measures its ranges on training photographs: give the array with --input, not --photos")
    args.output = args.output or (
        Path(__file__).resolve().parent / "app" / "dist" if args.format == "app" else args.model / "export"
    )
    return args


def main():
    args = parse()
    config = open_model(args.model)
    formats = list(FILES) if args.format == "all" else [args.format]
    for how in [onnx] if args.format == "app" else [FILES[kind][1] for kind in formats]:
        how.require_packages()  # before Keras starts, which takes a while
    if args.format == "app":
        from eyenet.export.page import require_template

        require_template(args.output)
    else:
        folder.require_own(args.output)
    backend.start("float32", 0)
    network = load_network(args.model, config)
    if args.photos is None:
        exam = exam_from_array(args.input, args.model, config, network, args.most)
    else:
        exam = exam_from_photographs(args.photos, config, network, args.most)
    if args.format == "app":
        export_app(args, exam, config, network)
    else:
        export_files(formats, args, exam, config, network)


if __name__ == "__main__":
    run_main(main)
