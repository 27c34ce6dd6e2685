"""Export to Core ML: an ML program with an image as input and a class as output, which Xcode can preview.

coremltools is tested with TensorFlow up to 2.12 only, so every package is compared with Keras after writing.
"""

import contextlib
import io
import json
import sys
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from eyenet.data.tasks import QUESTIONS
from eyenet.export.coreml_numpy import Program
from eyenet.export.description import operating_points
from eyenet.model.backend import hidden_stderr
from eyenet.model.disclaimers import INTENDED_USE, NOT_A_DEVICE
from eyenet.run.errors import StageError
from eyenet.run.workers import cores, for_each

IN_NUMPY, ON_MAC = "Core ML in NumPy", "Core ML"  # what runs a package
PROBABILITY, LABEL = "classLabel_probs", "classLabel"  # names of coremltools, which Vision also uses


def convert(network, path, precision, description, calibration):
    """Convert a network to an .mlpackage.

    Parameters
    ----------
    network : keras.Model
        On the TensorFlow backend.
    path : path-like
    precision : {'float32', 'float16', 'dynamic', 'int8'}
        Of weights and arithmetic. The last two are the same here: weights in eight bits, arithmetic in float16,
        because coremltools measures the range of activations on a Mac only.
    description : dict
        From `eyenet.export.description.describe`.
    calibration : ndarray
        Not used.

    Raises
    ------
    StageError
        If coremltools is not installed.
    """
    ct = require_packages()
    size = network.input_shape[1]
    half = precision != "float32"
    with hidden_stderr(), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        model = ct.convert(
            [_floating(network)],
            source="tensorflow",
            convert_to="mlprogram",
            inputs=[ct.ImageType("photograph", shape=(1, size, size, 3), color_layout=ct.colorlayout.RGB)],
            classifier_config=ct.ClassifierConfig(list(description["classes"]), predicted_feature_name=LABEL),
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            minimum_deployment_target=ct.target.iOS16,
            skip_model_load=True,
        )
        if precision in ("dynamic", "int8"):
            how = ct.optimize.coreml.OpLinearQuantizerConfig(mode="linear_symmetric")
            model = ct.optimize.coreml.linear_quantize_weights(
                model, ct.optimize.coreml.OptimizationConfig(global_config=how)
            )
    _describe(model, description)
    model.save(str(path))


def require_packages():
    """Import coremltools without its version warnings; raise a StageError if it is not installed."""
    try:
        with hidden_stderr(), warnings.catch_warnings(action="ignore"):
            import coremltools
            import coremltools.optimize.coreml
    except ImportError as error:
        raise StageError(
            f"coremltools, which writes Core ML packages, is not installed ({error}): pip install -r "
            "requirements-export.txt"
        ) from None
    return coremltools


def _floating(network):
    """Trace a network on float32 photographs (0-255), as coremltools takes no uint8; return a concrete function."""
    import keras
    import tensorflow as tf

    scaling = network.layers[1]
    scaled = keras.Model(scaling.output, network.output)
    spec = [tf.TensorSpec((1, *network.input_shape[1:]), tf.float32, "photograph")]
    return tf.function(
        lambda photograph: scaled(scaling(photograph), training=False), spec, autograph=False
    ).get_concrete_function()


def _describe(model, description):
    """Write the texts that Xcode shows and the `userDefined` metadata for apps; nested values are JSON."""
    size, decision = description["size"], description["decision"]
    model.author = "EyeNet"
    model.license = "MIT"
    model.version = description["name"]
    asked = " and ".join(QUESTIONS[question] for question in decision if question in QUESTIONS)
    model.short_description = f"Grades a fundus photograph: {asked}. {NOT_A_DEVICE} {INTENDED_USE}"
    colours = "colours equalised over the retina" if description["colours"] == "equalized" else "natural colours"
    model.input_description["photograph"] = (
        f"The retina cropped to the square around its circle, {size} x {size} pixels RGB, black outside the circle, "
        f"{colours}; see README.md"
    )
    model.output_description[LABEL] = "The most probable class; the decision uses the threshold, see README.md"
    model.output_description[PROBABILITY] = (
        "Probability of each class, 0 to 1, not calibrated; the temperature and the shift are in the metadata"
    )
    points = operating_points(description)
    chosen = {"threshold": next(iter(points.values()))[description["operating_point"]], "operating_points": points}
    for key, value in (description | chosen).items():
        model.user_defined_metadata[f"eyenet.{key}"] = value if isinstance(value, str) else json.dumps(value)


def runner():
    """Return what runs a package on this machine: Core ML or NumPy."""
    return ON_MAC if sys.platform == "darwin" else IN_NUMPY


def run(path, photographs):
    """Compute the probabilities of photographs with a package; float32, shape (n, classes).

    Uses Core ML on a Mac, and NumPy elsewhere.
    """
    require_packages()
    if runner() == ON_MAC:
        return _run_on_mac(path, photographs)
    with threadpool_limits(1):  # each thread computes one photograph
        done = for_each(Program(path), list(photographs), cores(), IN_NUMPY)
        return np.stack([probability for _, probability in done])


def _run_on_mac(path, photographs):
    """Run a package with Apple's runtime; untested, because it was written on Linux."""
    import coremltools
    from PIL import Image

    model = coremltools.models.MLModel(str(path))
    classes = json.loads(model.user_defined_metadata["eyenet.classes"])
    answers = [model.predict({"photograph": Image.fromarray(photograph)}) for photograph in photographs]
    return np.array([[answer[PROBABILITY][name] for name in classes] for answer in answers], np.float32)
