"""Training on several devices of one host, or on several hosts, by the engine that the backend brings.

JAX: Keras's DataParallel; every process computes the same program, so that sums, normalisation and random draws are
those of the whole batch, wherever its rows are. TensorFlow: MirroredStrategy, on one host. (Keras 3 cannot train on
TensorFlow's MultiWorkerMirroredStrategy: `fit` fails on its PerReplica batches.)
"""

import atexit
import contextlib
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from eyenet.model import backend
from eyenet.model.folder import copy_weights
from eyenet.model.networks import leaves
from eyenet.run.errors import EXIT_FAILED, EXIT_STOPPED, StageError, log
from eyenet.run.processes import LOST

WAIT = 300  # seconds that the hosts wait for each other at the start
SILENCE = 30  # seconds without a sign of life after which a host counts as lost
VARIABLES = "KERAS_DISTRIBUTION_JOB_ADDRESSES", "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"


def read_place():
    """Read from Keras's environment variables where process 0 is, how many there are, and which this is.

    Returns
    -------
    first, count, number : str, int, int

    Raises
    ------
    StageError
        If the backend is not JAX, or the variables are missing or contradict each other.
    """
    if os.environ["KERAS_BACKEND"] != "jax":
        raise StageError("--distribute hosts works with JAX: set KERAS_BACKEND=jax")
    addresses, count, number = (os.environ.get(name, "") for name in VARIABLES)
    first = addresses.split(",")[0]
    if not (first.rpartition(":")[2].isdigit() and count.isdigit() and number.isdigit() and int(number) < int(count)):
        raise StageError(
            f"--distribute hosts needs {VARIABLES[0]} (HOST:PORT of process 0, the same everywhere), {VARIABLES[1]} "
            f"(how many) and {VARIABLES[2]} (0, 1 ...; another on each host); they are {addresses!r}, {count!r}, "
            f"{number!r}"
        )
    return first, int(count), int(number)


def connect():
    """Join the processes that Keras's environment variables describe; to be called before Keras is imported.

    Raises
    ------
    StageError
        If the variables are wrong, or the other processes do not come.
    """
    backend.require_installed()
    first, count, number = read_place()
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # keras.distribution.initialize does the same with JAX's default of 100 seconds of silence.
    limits = {"initialization_timeout": WAIT, "heartbeat_timeout_seconds": SILENCE}
    try:
        jax.distributed.initialize(first, count, number, **limits)
    except RuntimeError as error:
        atexit.register(os._exit, EXIT_FAILED)  # else JAX would wait for them once more
        why = str(error).splitlines()[0]
        raise StageError(f"not all of {count} processes came to {first} within {WAIT} s ({why})") from None


class Distribution:
    """How a training is spread: over `replicas` devices, in `processes` processes of which this is `process`.

    Parameters
    ----------
    keras : module
    kind : {'none', 'devices', 'hosts'}
    batch : int
        Images a step, of all replicas together.

    Raises
    ------
    StageError
        If the backend cannot do it, or the batch cannot be shared out evenly.
    """

    def __init__(self, keras, kind="none", batch=1):
        self.keras, self.engine, self.replicas, self.process, self.processes = keras, None, 1, 0, 1
        if kind == "none":
            return
        match os.environ["KERAS_BACKEND"]:
            case "tensorflow":
                self.engine = mirrored_strategy()
                self.replicas = self.engine.num_replicas_in_sync
            case "jax":
                import jax

                self.engine = data_parallel(keras)
                self.replicas = jax.device_count()
                self.process, self.processes = jax.process_index(), jax.process_count()
            case name:
                raise StageError(f"--distribute {kind} is not for {name}: use KERAS_BACKEND=tensorflow or jax")
        if self.replicas == 1:
            log("note: there is one device here, so --distribute changes nothing")
            self.engine = None
        if batch % self.replicas:
            raise StageError(f"--batch {batch} cannot be shared by {self.replicas} devices; use a multiple of them")

    @property
    def mirrored(self):
        """Tell whether the engine is TensorFlow's: replicas that compute by themselves and add up their gradients."""
        return self.engine is not None and hasattr(self.engine, "num_replicas_in_sync")

    @property
    def sharded(self):
        """Tell whether the engine is JAX's: one computation on arrays that lie on all devices."""
        return self.engine is not None and not self.mirrored

    def scope(self):
        """Where the trained model is built: its variables get a copy on every device."""
        return self.engine.scope() if self.engine else contextlib.nullcontext()

    @contextlib.contextmanager
    def training(self):
        """Where `fit` is called; afterwards the processes go their own ways.

        Raises
        ------
        StageError
            If another process was lost.
        """
        try:
            with self.scope() if self.sharded else contextlib.nullcontext():
                yield
            self.tell(None)  # the first has more to do after the last epoch; JAX's own end would not wait so long
        except BaseException as error:
            if self.processes > 1:  # at the exit JAX would wait for those that are lost
                atexit.register(os._exit, EXIT_STOPPED if isinstance(error, KeyboardInterrupt) else EXIT_FAILED)
                if isinstance(error, ValueError | RuntimeError) and any(word in str(error) for word in NETWORK_WORDS):
                    raise StageError(LOST) from None
            raise
        if self.processes > 1:
            import jax

            jax.distributed.shutdown()

    @contextlib.contextmanager
    def alone(self):
        """Where one process computes by itself, on one device, what the others do not: validation and pictures."""
        before = self.keras.distribution.distribution() if self.sharded else None
        if before is not None:
            self.keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            if before is not None:
                self.keras.distribution.set_distribution(before)

    def copy(self, network):
        """Copy a network onto all devices; `collect` brings back what it has learned."""
        if self.engine is None:
            self.network = self.spread = network
            return network
        with self.scope():
            self.network, self.spread = network, self.keras.models.clone_model(network)
            copy_weights(self.spread, network)
        if self.mirrored:  # each replica would normalise by its own part of the batch
            for layer in leaves(self.spread):
                if isinstance(layer, self.keras.layers.BatchNormalization):
                    layer.synchronized = True
        return self.spread

    def collect(self):
        """Copy what was learned into the network that `copy` was given."""
        if self.engine is not None:
            copy_weights(self.network, self.spread)

    def model(self, layers):
        """Put layers one after the other into a model that can be trained on what `share` deals out."""
        if not self.sharded:
            return self.keras.Sequential(layers)

        class Cut(self.keras.Sequential):
            def train_step(self, state, data):  # as many images as there are labels
                images, labels, *weights = data
                return super().train_step(state, (images[: labels.shape[0]], labels, *weights))

        return Cut(layers)

    def optimizer(self, *options, clipnorm, **named):
        """Build AdamW, which clips the gradient of the whole batch, as on one device."""
        if not self.mirrored:
            from eyenet.training.optimizer import AdamW

            return AdamW(*options, clipnorm=clipnorm, **named)
        import tensorflow as tf

        count = self.replicas  # each in a thread of its own, for which eyenet.training.optimizer's AdamW is not made

        class Summed(self.keras.optimizers.AdamW):
            """Sums first: Keras would clip each replica's part, then sum."""

            def apply(self, grads, trainable_variables=None):
                total = tf.distribute.get_replica_context().all_reduce("sum", list(grads))
                return super().apply([part / count for part in total], trainable_variables)  # which sums these

        return Summed(*options, clipnorm=clipnorm / count, **named)

    def share(self, rows):
        """Deal out one batch.

        The last batch of an epoch may not divide by the replicas. On JAX its images are filled up with the last one,
        and the step cuts those off again: labels are never filled up. On TensorFlow every replica gets all of it: the
        mean of equal gradients is the gradient.

        Parameters
        ----------
        rows : ndarray of int
            Of the whole batch, in the order in which one process would take them.

        Returns
        -------
        images, labels : ndarray of int
            Rows of which this process gives the images, and those of which it gives the labels.
        """
        left = -len(rows) % self.replicas
        if self.mirrored and left:
            rows = np.tile(rows, self.replicas)
        if not self.sharded:
            return rows, rows
        return np.split(np.pad(rows, (0, left), "edge"), self.processes)[self.process], rows

    def tell(self, value):
        """Give every process what process 0 has: bytes, or whatever JSON can hold."""
        if self.processes == 1:
            return value
        from jax.experimental.multihost_utils import broadcast_one_to_all

        raw = isinstance(value, bytes)
        data = np.frombuffer(value if raw else json.dumps(value).encode(), np.uint8)
        length, raw = broadcast_one_to_all(np.array([len(data), raw]))
        data = broadcast_one_to_all(np.resize(data, int(length)))
        return bytes(data) if raw else json.loads(bytes(data))

    def require_same(self, settings):
        """Refuse to train together with processes that were started differently.

        Raises
        ------
        StageError
        """
        differing = [key for key, value in self.tell(settings).items() if settings.get(key) != value]
        if differing:
            raise StageError(f"process {self.process} was started with other {', '.join(differing)} than process 0")

    def load(self, trainer, path):
        """Load a file of weights that process 0 has into every process's model; `path` is None elsewhere."""
        if self.processes == 1:
            return trainer.load_weights(path)
        data = self.tell(Path(path).read_bytes() if path else b"")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "trainer.weights.h5"
            copy.write_bytes(data)
            trainer.load_weights(copy)


NETWORK_WORDS = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "heartbeat")


def mirrored_strategy():
    """Build TensorFlow's strategy over all GPUs of this host, or over its (virtual) CPUs where there is none."""
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def data_parallel(keras):
    """Build Keras's distribution over all devices of all processes: images in parts, labels whole."""

    class Images(keras.distribution.DataParallel):
        def get_data_layout(self, shape):
            if len(shape) > 1:
                return super().get_data_layout(shape)
            return keras.distribution.TensorLayout([None], self.device_mesh)

    return Images(auto_shard_dataset=False)
