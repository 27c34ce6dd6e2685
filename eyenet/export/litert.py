"""Export to LiteRT, for Android and other systems: one uint8 photograph as input, the probabilities as output.

`model.tflite` in the model's folder also returns the evidence, in float32; this file is smaller.
"""

import tempfile
import warnings

import numpy as np

from eyenet.model.backend import hidden_stderr
from eyenet.run.errors import StageError
from eyenet.run.files import write_whole

INPUT, OUTPUT = "photograph", "probability"
LARGE = 1000  # only weights with more numbers are stored in fewer bits; ONNX too


def traced(network):
    """Return a tf.function that applies a network to one photograph."""
    import tensorflow as tf

    spec = [tf.TensorSpec((1, *network.input_shape[1:]), tf.uint8, INPUT)]
    return tf.function(lambda photograph: {OUTPUT: network(photograph, training=False)}, spec, autograph=False)


def convert(network, path, precision, description, calibration):
    """Convert a network to a .tflite file.

    Parameters
    ----------
    network : keras.Model
        On the TensorFlow backend.
    path : path-like
    precision : {'float32', 'float16', 'dynamic', 'int8'}
        float16: large weights in float16, arithmetic in float32. dynamic: weights in eight bits, activations quantized
        at run time. int8: weights and activations in eight bits, with the range measured on `calibration`.
    description : dict
        Not used.
    calibration : ndarray of uint8, shape (n, size, size, 3)
        Training photographs.
    """
    import tensorflow as tf

    module = tf.Module()
    module.kept = [variable.value for variable in network.variables]
    module.answer = traced(network)
    with tempfile.TemporaryDirectory() as work, hidden_stderr(), warnings.catch_warnings(action="ignore"):
        tf.saved_model.save(module, work, {"answer": module.answer})
        converter = tf.lite.TFLiteConverter.from_saved_model(work, ["answer"])
        if precision in ("dynamic", "int8"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "int8":
            converter.representative_dataset = lambda: ({INPUT: photograph[None]} for photograph in calibration)
        data = converter.convert()
    write_whole(path, halve_weights(data) if precision == "float16" else data)


def halve_weights(data):
    """Store large weights in float16; the runtime converts them to float32 when it loads them.

    TensorFlow's own conversion also rounds small weights and biases, which triples the difference of EfficientNet-Lite0
    and saves a thousandth of the file. It also permits the runtime to compute in float16; some phones would do so, and
    the comparison with Keras would not cover it.

    Parameters
    ----------
    data : bytes
        A .tflite file in float32.

    Returns
    -------
    bytes
    """
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    single = {t.buffer for graph in model.subgraphs for t in graph.tensors if t.type == schema.TensorType.FLOAT32}
    halves = {index: _half(model.buffers[index].data) for index in single}
    halves = {index: half for index, half in halves.items() if half is not None}
    for index, half in halves.items():
        model.buffers[index].data = half
    kind = schema.BuiltinOperator.DEQUANTIZE
    model.operatorCodes.append(schema.OperatorCodeT(builtinCode=kind, deprecatedBuiltinCode=kind, version=3))
    for graph in model.subgraphs:
        made = []
        for place, tensor in enumerate(list(graph.tensors)):
            if tensor.buffer not in halves:
                continue
            made.append(
                schema.OperatorT(
                    opcodeIndex=len(model.operatorCodes) - 1,
                    inputs=[len(graph.tensors)],
                    outputs=[place],
                    builtinOptionsType=schema.BuiltinOptions.DequantizeOptions,
                    builtinOptions=schema.DequantizeOptionsT(),
                )
            )
            stored = {"shape": tensor.shape, "type": schema.TensorType.FLOAT16, "buffer": tensor.buffer}
            graph.tensors.append(schema.TensorT(**stored, name=tensor.name + b"/half"))
            tensor.buffer = 0  # the empty buffer: this tensor is now computed
        graph.operators = made + graph.operators
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _half(data):
    """Convert the bytes of a float32 weight to float16; None if it is small or has numbers beyond float16."""
    values = np.frombuffer(b"" if data is None else bytes(data), np.float32)
    if values.size <= LARGE or np.abs(values).max() >= np.finfo(np.float16).max:
        return None
    return values.astype(np.float16).view(np.uint8)


def require_packages():
    """Raise a StageError if LiteRT, which runs the file, is not installed."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise StageError(f"LiteRT is not installed ({error}): pip install -r requirements.txt") from None


def run(path, photographs):
    """Compute the probabilities of photographs with a .tflite file; float32, shape (n, classes).

    Raises
    ------
    StageError
        If the file is damaged or LiteRT is not installed.
    """
    require_packages()
    from ai_edge_litert.interpreter import Interpreter

    try:
        with hidden_stderr():
            interpreter = Interpreter(model_path=str(path), num_threads=1)
            ask = interpreter.get_signature_runner("answer")
            return np.concatenate([ask(**{INPUT: photograph[None]})[OUTPUT] for photograph in photographs])
    except (ValueError, RuntimeError, KeyError) as error:
        raise StageError(f"{path} is damaged ({str(error).splitlines()[0][:120]}); export the model again") from None
