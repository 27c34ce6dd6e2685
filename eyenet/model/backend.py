"""Everything that depends on Keras's backend (KERAS_BACKEND: tensorflow, jax or torch)."""

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

from eyenet.run.errors import StageError
from eyenet.run.script import without_collection

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow leaves oneDNN off on AMD processors; training is then about half as fast (benchmarks/results/onednn.csv).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
_HIDING = threading.RLock()
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def start(precision, seed):
    """Import Keras on the chosen backend and set everything that results depend on: layout, precision, seed ...

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
    with hidden_stderr(), quick_import(), no_settings():
        import keras
        import tensorflow as tf  # it writes TensorBoard's files on every backend

        gpu = has_gpu()
    keras.utils.set_random_seed(seed)
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    if precision == "float16" and not gpu:
        raise StageError("float16 needs a GPU; on this machine use --precision bfloat16 or float32")
    keras.config.set_dtype_policy(POLICIES[precision])
    if name == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    else:
        tf.config.set_visible_devices([], "GPU")  # otherwise it takes the memory that the backend needs
    return keras


def require_installed():
    """Raise a StageError if the backend is unknown or not installed."""
    name = os.environ["KERAS_BACKEND"]
    if name not in ("tensorflow", "jax", "torch"):
        raise StageError(f"KERAS_BACKEND is {name!r}; it can be tensorflow, jax or torch")
    if importlib.util.find_spec(name) is None:
        raise StageError(f"KERAS_BACKEND is {name!r}, which is not installed: pip install {name}")


@contextlib.contextmanager
def no_settings():
    """Keep Keras from reading, or writing, settings while it is imported; `start` sets what results depend on.

    Any program may have written ~/.keras/keras.json years ago, with another layout or precision, an epsilon of 0.01, or
    a value that Keras now refuses. The variables limit epochs and steps, to debug Keras itself.
    """
    names = ("KERAS_HOME", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ["KERAS_HOME"] = os.devnull  # a file, so Keras finds no keras.json in it
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update(before)


@contextlib.contextmanager
def quick_import():
    """Import Keras and TensorFlow faster: without garbage collection, and without JAX unless it is the backend.

    They make a million objects; and TensorFlow's converter imports JAX wherever it is installed. Measured with JAX
    installed: 5.1 instead of 7.3 s of processor time.
    """
    unused = os.environ["KERAS_BACKEND"] != "jax" and "jax" not in sys.modules
    if unused:
        sys.modules["jax"] = None  # makes `import jax` fail
    try:
        with without_collection():
            yield
    finally:
        if unused:
            del sys.modules["jax"]


class _OtherThreads:
    """Stand in for `sys.stderr` while one thread hides what it writes: the messages of other threads are shown."""

    def __init__(self, hidden, shown):
        self.hidden, self.shown, self.thread = hidden, shown, threading.get_ident()

    def __getattr__(self, name):  # write, flush, isatty, encoding ...
        return getattr(self.hidden if threading.get_ident() == self.thread else self.shown, name)


@contextlib.contextmanager
def hidden_stderr():
    """Hold back what this thread and native libraries write to stderr, and show it only on failure.

    TensorFlow's libraries write a dozen lines about instruction sets and missing GPUs while they are loaded, which no
    setting turns off. They write to descriptor 2, which is one for the whole process: so only one thread at a time may
    exchange it, and Python's messages from other threads go on to the real stderr.
    """
    if sys.stderr is None:  # closed; descriptor 2 may be any other file
        yield
        return
    with _HIDING, tempfile.TemporaryFile() as held:
        before = sys.stderr
        before.flush()
        real = os.dup(2)
        options = {"encoding": before.encoding, "errors": before.errors}
        sys.stderr = _OtherThreads(before, os.fdopen(os.dup(2), "w", 1, **options))
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            before.flush()
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            before.flush()
            sys.stderr = before
            os.dup2(real, 2)
            os.close(real)


def has_gpu():
    """Return whether the backend sees a GPU (`keras.distribution.list_devices` does not know torch's)."""
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
    """Return the free memory of this machine in bytes; None if unknown (outside Linux)."""
    memory = Path("/proc/meminfo")
    free = re.search(r"MemAvailable:\s+(\d+) kB", memory.read_text()) if memory.is_file() else None
    return free and int(free[1]) * 1024


def device_memory():
    """Return the free memory of the first GPU in bytes; None without a GPU, or if unknown (TensorFlow)."""
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
    """Turn TensorFlow's errors (disk full under TensorBoard's files, out of memory) into a StageError."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        why = str(error.message).splitlines()[0].split("}} ")[-1]  # the part before names a node of the graph
        raise StageError(
            f"TensorFlow stopped ({why}); check whether the disk of {logs} is full, "
            "or use a smaller --batch if memory is short, then run the same command again"
        ) from None
