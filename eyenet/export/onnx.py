"""Export to ONNX, for onnxruntime: one uint8 photograph as input, the probabilities as output."""

import tempfile
import warnings
from pathlib import Path

import numpy as np

from eyenet.export.litert import INPUT, LARGE, OUTPUT, traced
from eyenet.model.backend import hidden_stderr
from eyenet.run.errors import StageError
from eyenet.run.files import write_whole

OPSET = 17  # supported by onnxruntime since 2022, and by onnxruntime-web
KERNELS = ("Conv", "MatMul")


def convert(network, path, precision, description, calibration):
    """Convert a network to an .onnx file.

    Parameters
    ----------
    network : keras.Model
        On the TensorFlow backend.
    path : path-like
    precision : {'float32', 'float16', 'dynamic', 'int8'}
        float16, dynamic: weights in float16 or in eight bits, arithmetic in float32. int8: weights and activations in
        eight bits, with the range of activations measured on `calibration`. (onnxruntime's own dynamic quantization
        of activations changed 18 of EfficientNet-Lite0's decisions on 200 photographs.)
    description : dict
        Not used.
    calibration : ndarray of uint8, shape (n, size, size, 3)
        Training photographs.

    Raises
    ------
    StageError
        If tf2onnx or onnxruntime is not installed.
    """
    require_packages()
    model = to_onnx(traced(network), network.input_shape[1])
    if precision == "float16":
        halve_weights(model)
    if precision == "dynamic":
        quarter_weights(model)
    if precision == "int8":
        model = _quantize(model, calibration)
    write_whole(path, model.SerializeToString())


def require_packages():
    """Raise a StageError if tf2onnx or onnxruntime is not installed."""
    try:
        with hidden_stderr():
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
    except ImportError as error:
        raise StageError(
            f"tf2onnx or onnxruntime is not installed ({error}): pip install -r requirements-export.txt"
        ) from None


def to_onnx(function, size):
    """Convert a tf.function of one photograph to an onnx.ModelProto."""
    import tensorflow as tf
    import tf2onnx

    spec = (tf.TensorSpec((1, size, size, 3), tf.uint8, INPUT),)
    with hidden_stderr(), warnings.catch_warnings(action="ignore"):
        return tf2onnx.convert.from_function(function, input_signature=spec, opset=OPSET)[0]


def halve_weights(model):
    """Store large weights in float16; the runtime converts them to float32 when it loads them."""
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > LARGE and np.abs(values).max() < np.finfo(np.float16).max:
            graph.initializer.remove(tensor)
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{tensor.name}/half"))
            casts.append(helper.make_node("Cast", [f"{tensor.name}/half"], [tensor.name], to=TensorProto.FLOAT))
    put_first(graph, casts)


def quarter_weights(model):
    """Store weights of convolutions and dense layers in eight bits, with one step size per output channel."""
    from onnx import helper, numpy_helper

    graph, made = model.graph, []
    axes = {node.input[1]: {"Conv": 0, "MatMul": 1}[node.op_type] for node in graph.node if node.op_type in KERNELS}
    for tensor in list(graph.initializer):
        values, axis = numpy_helper.to_array(tensor), axes.get(tensor.name)
        if axis is None or values.size <= LARGE:
            continue
        others = tuple(side for side in range(values.ndim) if side != axis)
        step = np.maximum(np.abs(values).max(axis=others, keepdims=True), np.finfo(np.float32).tiny) / 127
        graph.initializer.remove(tensor)
        parts = {"eight": np.round(values / step).astype(np.int8), "step": step.ravel().astype(np.float32)}
        names = [f"{tensor.name}/{part}" for part in parts]
        graph.initializer.extend(numpy_helper.from_array(part, name) for name, part in zip(names, parts.values()))
        made.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
    put_first(graph, made)


def put_first(graph, nodes):
    """Put nodes before all others of a graph."""
    every = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(every)


def _quantize(model, calibration):
    """Quantize weights and activations to eight bits with onnxruntime's own tools, which read and write files."""
    import onnx
    from onnxruntime import quantization

    class Photographs(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(calibration)

        def get_next(self):
            photograph = next(self.left, None)
            return None if photograph is None else {INPUT: photograph[None]}

    with tempfile.TemporaryDirectory() as work, hidden_stderr(), warnings.catch_warnings(action="ignore"):
        source, ready, made = (Path(work) / f"{name}.onnx" for name in ("source", "ready", "made"))
        onnx.save(model, source)
        quantization.shape_inference.quant_pre_process(source, ready)
        quantization.quantize_static(ready, made, Photographs(), per_channel=True)
        return onnx.load(made)


def run(path, photographs):
    """Compute the probabilities of photographs with an .onnx file; float32, shape (n, classes).

    Raises
    ------
    StageError
        If the file is damaged.
    """
    require_packages()
    session = open_session(path)
    return np.concatenate([session.run([OUTPUT], {INPUT: photograph[None]})[0] for photograph in photographs])


def open_session(path):
    """Open an .onnx file, or its bytes, with onnxruntime; raise a StageError if it is damaged."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            path if isinstance(path, bytes) else str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its errors have no common class
        why = str(error).splitlines()[0][:120]
        raise StageError(f"{path} is damaged ({why}); export the model again") from None
