"""The one place that knows which backend Keras runs on (KERAS_BACKEND: tensorflow, jax or torch)."""

import contextlib
import gc
import importlib.util
import os
import re
import sys
import tempfile
from pathlib import Path

from eyenet.run.errors import StageError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow leaves oneDNN off on AMD processors, where training then takes 1.6 times and inference 2.7 times as long.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def start(precision, seed):
    """Import Keras on the chosen backend and set precision, seed and determinism.

    Parameters
    ----------
    precision : {'float32', 'bfloat16', 'float16'}
    seed : int

    Returns
    -------
    module
        keras

    Raises
    ------
    StageError
        If the backend is unknown or not installed, or the device lacks the precision.
    """
    require_installed()
    name = os.environ["KERAS_BACKEND"]
    with hidden_stderr(), quick_import():
        import keras
        import tensorflow as tf  # TensorBoard's files are written by it on every backend

        gpu = has_gpu()
    keras.utils.set_random_seed(seed)
    if precision == "float16" and not gpu:
        raise StageError("float16 needs a GPU; on this machine use --precision bfloat16 or float32")
    keras.config.set_dtype_policy(POLICIES[precision])
    if name == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    else:
        tf.config.set_visible_devices([], "GPU")  # else it would take the memory that the backend needs
    return keras


def require_installed():
    """Raise a StageError if the backend is unknown or not installed."""
    name = os.environ["KERAS_BACKEND"]
    if name not in ("tensorflow", "jax", "torch"):
        raise StageError(f"KERAS_BACKEND is {name!r}; it can be tensorflow, jax or torch")
    if importlib.util.find_spec(name) is None:
        raise StageError(f"KERAS_BACKEND is {name!r}, which is not installed: pip install {name}")


@contextlib.contextmanager
def quick_import():
    """Spare an import of Keras and TensorFlow a quarter of its time.

    Python's garbage collector goes over the million objects that stay again and again, now and later; and TensorFlow's
    converter imports JAX wherever it is installed.
    """
    unused = os.environ["KERAS_BACKEND"] != "jax" and "jax" not in sys.modules
    if unused:
        sys.modules["jax"] = None  # cannot be imported
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if unused:
            del sys.modules["jax"]


@contextlib.contextmanager
def hidden_stderr():
    """Hold stderr back, and show it only on failure.

    TensorFlow's libraries write a dozen lines on instruction sets and absent GPUs while they are loaded,
    before any setting can quiet them.
    """
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


def has_gpu():
    """Tell whether the backend sees a GPU (`keras.distribution.list_devices` does not know torch's)."""
    match os.environ["KERAS_BACKEND"]:
        case "tensorflow":
            import tensorflow as tf

            return bool(tf.config.list_physical_devices("GPU"))
        case "jax":
            import jax

            return jax.default_backend() != "cpu"
        case "torch":
            import torch

            return torch.cuda.is_available() or torch.backends.mps.is_available()


def host_memory():
    """Tell how many bytes of memory are free here; None where it cannot be told (Linux tells)."""
    memory = Path("/proc/meminfo")
    free = re.search(r"MemAvailable:\s+(\d+) kB", memory.read_text()) if memory.is_file() else None
    return free and int(free[1]) * 1024


def device_memory():
    """Tell how many bytes of the first GPU's memory are free; None without one, or where it cannot be told."""
    match os.environ["KERAS_BACKEND"]:
        case "jax":
            import jax

            known = jax.local_devices()[0].memory_stats() or {}
            return known["bytes_limit"] - known["bytes_in_use"] if "bytes_limit" in known else None
        case "torch":
            import torch

            return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


@contextlib.contextmanager
def one_sentence(logs):
    """Turn TensorFlow's own errors, of a full disk under TensorBoard's files or of memory, into a StageError."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        why = str(error.message).splitlines()[0].split("}} ")[-1]  # what stands before names a node of the graph
        raise StageError(
            f"TensorFlow could not go on ({why}); look whether the disk of {logs} "
            "is full, or use a smaller --batch if memory is short, then run the same command again"
        ) from None
