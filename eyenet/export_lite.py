"""The network for LiteRT, on Android and everywhere else: one uint8 photograph in, the probabilities out.

`model.tflite` in the model's own folder gives the evidence too, in float32; here is the probability alone, smaller.
"""

import tempfile
import warnings

import numpy as np

from eyenet.backend import hidden_stderr
from eyenet.files import write_whole
from eyenet.stage import StageError

INPUT, OUTPUT = "photograph", "probability"


def traced(network):
    """Trace a network for one photograph; a tf.function."""
    import tensorflow as tf

    spec = [tf.TensorSpec((1, *network.input_shape[1:]), tf.uint8, INPUT)]
    return tf.function(lambda photograph: {OUTPUT: network(photograph, training=False)}, spec, autograph=False)


def convert(network, path, precision, description, calibration):
    """Convert a network to a .tflite file.

    Parameters
    ----------
    network : keras.Model
        On TensorFlow.
    path : path-like
    precision : {'float32', 'float16', 'dynamic', 'int8'}
        float16: of the weights. dynamic: weights in eight bits, activations as they come. int8: both, with the range
        of activations measured on `calibration`.
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
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            converter.representative_dataset = lambda: ({INPUT: photograph[None]} for photograph in calibration)
        data = converter.convert()
    write_whole(path, data)


def require_packages():
    """Raise a StageError if LiteRT, which runs the file, is not there."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise StageError(f"LiteRT is not there ({error}): pip install -r requirements.txt") from None


def run(path, photographs):
    """Compute the probabilities of photographs with a .tflite file; float32, shape (n, classes).

    Raises
    ------
    StageError
        If the file is damaged, or LiteRT is not there.
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
