"""Training on one device, on all devices of a host, or on several hosts, by the engine of the backend.

JAX: Keras's DataParallel; every process runs the same program, so that sums, normalisation and random draws are those
of the whole batch, wherever its rows are. TensorFlow: MirroredStrategy, on one host. (Keras 3 cannot train on
TensorFlow's MultiWorkerMirroredStrategy: `fit` fails on its PerReplica batches.)
"""

import contextlib
import functools
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from eyenet.model import backend
from eyenet.model.loading import copy_weights
from eyenet.model.networks import leaves
from eyenet.run.errors import StageError, log, plural
from eyenet.training.hosts import connect, needed_rows, read_place, require_hosts, together
from eyenet.training.supervisor import supervise


class Distribution:
    """How a training is distributed: over `replicas` devices, in `processes` processes of which this is `process`.

    Every method also serves a training on one device, and then does next to nothing. With 'hosts' the process
    continues in a child (`eyenet.training.supervisor.supervise`), so create the object before any thread is started.

    Parameters
    ----------
    kind : {'none', 'devices', 'hosts'}

    Attributes
    ----------
    needed_rows : callable or None
        Of several hosts: which rows of the array this one reads, for `eyenet.data.array.open_array`.

    Raises
    ------
    StageError
        If the environment variables do not describe the hosts.
    """

    def __init__(self, kind="none"):
        self.kind, self.engine, self.replicas, self.process, self.processes = kind, None, 1, 0, 1
        self.needed_rows = None
        if kind == "hosts":
            supervise()
            _, self.processes, self.process = read_place()
            self.needed_rows = functools.partial(needed_rows, host=self.process, hosts=self.processes)

    def open_order(self, sidecar, batch):
        """Return the order of an epoch: 'blocks' for an array in shards, which a network disk reads in long stretches.

        Raises
        ------
        StageError
            If the hosts cannot share the blocks evenly.
        """
        if "shard_size" not in sidecar:
            return "full"
        require_hosts(self.processes, batch)
        return "blocks"

    def start(self, precision, seed, batch):
        """Start Keras on all devices; return the module.

        Raises
        ------
        StageError
            If the backend cannot do it, or the batch cannot be shared evenly.
        """
        if self.kind == "hosts":
            connect()
        keras = backend.start(precision, seed)
        if self.kind == "none":
            return keras
        match os.environ["KERAS_BACKEND"]:
            case "tensorflow":
                self.engine = mirrored_strategy()
                self.replicas = self.engine.num_replicas_in_sync
            case "jax":
                import jax

                self.engine = data_parallel()
                self.replicas = jax.device_count()
            case name:
                raise StageError(f"--distribute {self.kind} is not for {name}: use KERAS_BACKEND=tensorflow or jax")
        if self.replicas == 1:
            log("note: there is one device here, so --distribute changes nothing")
            self.engine = None
        if batch % self.replicas:
            raise StageError(f"--batch {batch} cannot be shared by {self.replicas} devices; use a multiple of them")
        return keras

    def require_images(self, count, batch):
        """Raise a StageError if several devices would have no full batch."""
        if self.replicas > 1 and batch > count:
            raise StageError(f"training has only {plural(count, 'image')}; several devices need a smaller --batch")

    def first(self, context):
        """Enter a context, such as an output folder, in the first process only; the others get None."""
        return contextlib.nullcontext() if self.process else context

    @property
    def mirrored(self):
        """Whether the engine is TensorFlow's: replicas that compute separately and sum their gradients."""
        return self.engine is not None and hasattr(self.engine, "num_replicas_in_sync")

    @property
    def sharded(self):
        """Whether the engine is JAX's: one computation on arrays that are spread over all devices."""
        return self.engine is not None and not self.mirrored

    def scope(self):
        """Build the trained model in this context, so that its variables get a copy on every device."""
        return self.engine.scope() if self.engine else contextlib.nullcontext()

    @contextlib.contextmanager
    def training(self, logs):
        """Call `fit` in this context; afterwards only the first process continues. `logs` is TensorBoard's folder.

        Raises
        ------
        StageError
            If another process was lost, or the backend ran out of memory or disk space.
        """
        with (
            together(self.process) if self.processes > 1 else contextlib.nullcontext(),
            self.scope() if self.sharded else contextlib.nullcontext(),
            backend.one_sentence(logs),
        ):
            yield
            self.tell(None)  # the others wait here for the first, which has more to do after the last epoch

    @contextlib.contextmanager
    def alone(self):
        """Compute on one device in one process what the others do not: validation and pictures."""
        if not self.sharded:
            yield
            return
        import keras

        before = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def copy(self, network):
        """Copy a network to all devices; `collect` brings the trained weights back."""
        if self.engine is None:
            self.network = self.replicated = network
            return network
        import keras

        with self.scope():
            self.network, self.replicated = network, keras.models.clone_model(network)
            copy_weights(self.replicated, network)
        if self.mirrored:  # otherwise each replica would normalise by its own part of the batch
            for layer in leaves(self.replicated):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.synchronized = True
        return self.replicated

    def collect(self):
        """Copy the trained weights into the network that was given to `copy`."""
        if self.engine is not None:
            copy_weights(self.network, self.replicated)

    def adapted(self, cls):
        """Adapt a Keras class, of models or of optimizers, to the devices; on one device it is the class itself."""
        import keras

        if self.sharded and issubclass(cls, keras.Model):
            return without_padding(cls)
        if self.mirrored and issubclass(cls, keras.optimizers.Optimizer):
            return summing(cls, self.replicas)
        return cls

    def share(self, rows):
        """Choose this process's share of a batch.

        The last batch of an epoch may not be a multiple of the replicas. On JAX its images are padded with the last
        one, and the step cuts the padding off again; labels are never padded. On TensorFlow every replica gets the
        whole batch: the mean of equal gradients is the gradient.

        Parameters
        ----------
        rows : ndarray of int
            Rows of the whole batch, in the order in which one process would take them.

        Returns
        -------
        images, labels : ndarray of int
            Rows whose images, and rows whose labels, this process provides.
        """
        left = -len(rows) % self.replicas
        if self.mirrored and left:
            rows = np.tile(rows, self.replicas)
        if not self.sharded:
            return rows, rows
        return np.split(np.pad(rows, (0, left), "edge"), self.processes)[self.process], rows

    def tell(self, value):
        """Return in every process the value of process 0: bytes, or anything that JSON can hold."""
        if self.processes == 1:
            return value
        from jax.experimental.multihost_utils import broadcast_one_to_all

        raw = isinstance(value, bytes)
        data = np.frombuffer(value if raw else json.dumps(value).encode(), np.uint8)
        length, raw = broadcast_one_to_all(np.array([len(data), raw]))
        data = broadcast_one_to_all(np.resize(data, int(length)))
        return bytes(data) if raw else json.loads(bytes(data))

    def require_same(self, settings):
        """Raise an error if the processes were started with different settings.

        Raises
        ------
        StageError
        """
        differing = [key for key, value in self.tell(settings).items() if settings.get(key) != value]
        if differing:
            raise StageError(f"process {self.process} was started with other {', '.join(differing)} than process 0")

    def load(self, trainer, path):
        """Load a file of weights of process 0 into the model of every process; elsewhere `path` is None."""
        if self.processes == 1:
            return trainer.load_weights(path)
        data = self.tell(Path(path).read_bytes() if path else b"")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "trainer.weights.h5"
            copy.write_bytes(data)
            trainer.load_weights(copy)


def mirrored_strategy():
    """Build TensorFlow's strategy over all GPUs of this host, or over its (virtual) CPUs where there is none."""
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def data_parallel():
    """Build Keras's distribution over all devices of all processes: images in parts, labels whole."""
    import keras

    class Images(keras.distribution.DataParallel):
        def get_data_layout(self, shape):
            if len(shape) > 1:
                return super().get_data_layout(shape)
            return keras.distribution.TensorLayout([None], self.device_mesh)

    return Images(auto_shard_dataset=False)


def without_padding(cls):
    """Derive a class of models that cuts off the padding of `Distribution.share`: as many images as labels."""

    class WithoutPadding(cls):
        def train_step(self, state, data):
            images, labels, *weights = data
            return super().train_step(state, (images[: labels.shape[0]], labels, *weights))

    return WithoutPadding


def summing(cls, replicas):
    """Derive a class of optimizers that sums the gradients before it clips: Keras would clip each replica's part."""
    import tensorflow as tf

    class Summing(cls):
        def __init__(self, *args, clipnorm, **options):
            super().__init__(*args, clipnorm=clipnorm / replicas, **options)

        def apply(self, grads, trainable_variables=None):
            total = tf.distribute.get_replica_context().all_reduce("sum", list(grads))
            return super().apply([part / replicas for part in total], trainable_variables)  # which sums these

    return Summing
