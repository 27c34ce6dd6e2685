"""Compare the training rate on a GPU from the array, in each --cache mode, with the same step on one resident batch.

    KERAS_BACKEND=jax python benchmarks/gpu.py [--array data/array] [--batches 32 128 512]
    KERAS_BACKEND=torch python benchmarks/gpu.py

Trains the three-layer network with augmentation, alternately on one repeated batch on the device (the reference) and as
`cnn.py --cache device`, `host` and `none` do; the median of the pairwise ratios is reported. Then trains with a
callback that reads each step's metrics, as Keras's TensorBoard callback does. On JAX, also measures the parts of a
step: the compiled step alone, without Keras's loop, the same without augmentation and without the gradient; the bus;
and the rate of gathering batches without training. A small array is repeated up to --images, so that it does not fit
into caches. JAX compiles with XLA; the other backends do not, as in cnn.py.
"""

import os
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import median

import keras
import numpy as np
import record
from feeds import Again, build_three_layers, gather

from eyenet.data.array import map_images
from eyenet.model import backend
from eyenet.model.batches import Batches, untuned
from eyenet.run.files import read_json
from eyenet.training.cache import Held, Resident

RESIDENT, ASKED = "resident batch", "device, asked at each step"
WAYS = (RESIDENT, "device", "host", "none", ASKED)


class Asking(keras.callbacks.Callback):
    """Copy each step's metrics from the device, and do nothing with them."""

    def on_train_batch_end(self, batch, logs=None):
        pass


def rates(images, labels, batch, repeat):
    """Train epochs in turn with every feed; return images per second of each, without the first, cold epoch."""
    count, side = len(images) // batch, images.shape[1]
    rows = np.arange(count * batch)
    resident = Resident(images, rows)
    kept = {"device": resident, "host": Held(images, rows), "none": images, ASKED: resident}
    feeds = {way: Batches(fed, labels, rows, batch, seed=0) for way, fed in kept.items()}
    feeds[RESIDENT] = Again((keras.ops.convert_to_tensor(images[:batch]), labels[:batch]), count)
    plain = build_three_layers(side, count)
    placed = build_three_layers(side, count, resident=resident)
    found = {way: [] for way in WAYS}
    for epoch in range(repeat + 1):
        for way in WAYS:
            if way in kept:
                feeds[way].set_epoch(epoch)
            trainer, callbacks = placed if "device" in way else plain, [Asking()] if way == ASKED else []
            begun = time.perf_counter()
            trainer.fit(untuned(feeds[way]), verbose=0, shuffle=False, callbacks=callbacks)
            found[way].append(len(rows) / (time.perf_counter() - begun))
    return {way: taken[1:] for way, taken in found.items()}


def steps(images, labels, batch, repeat):
    """Time the compiled step (JAX): complete, without augmentation, and forward only; milliseconds."""
    import jax

    images, labels = jax.numpy.asarray(images[:batch]), jax.numpy.asarray(labels[:batch])
    trainer = build_three_layers(images.shape[1], 100)
    forward = jax.jit(lambda learned, other: trainer.stateless_call(learned, other, images, training=False)[0])
    weights = [[v.value for v in part] for part in (trainer.trainable_variables, trainer.non_trainable_variables)]
    found = {"only forward": timed(lambda: forward(*weights), repeat)}
    found["whole"] = timed(step_of(trainer, images, labels), repeat)
    trainer = build_three_layers(images.shape[1], 100, augmented=False)
    return found | {"without augmentation": timed(step_of(trainer, images, labels), repeat)}


def step_of(trainer, images, labels):
    """Make a compiled function of Keras's training step on one batch, without the loop of `fit` (JAX)."""
    import jax

    step = jax.jit(trainer.train_step, donate_argnums=0)
    parts = (trainer.trainable_variables, trainer.non_trainable_variables)
    parts += (trainer.optimizer.variables, trainer.metrics_variables)
    state = tuple([jax.numpy.copy(v.value) for v in part] for part in parts)  # a step donates its buffers

    def once():
        nonlocal state
        logs, state = step(state, (images, labels))
        return logs

    return once


def timed(call, repeat, times=50):
    """Return the median milliseconds per call of asynchronous calls."""
    import jax

    taken = []
    for _ in range(repeat + 1):
        begun = time.perf_counter()
        for _ in range(times):
            out = call()
        jax.block_until_ready(out)
        taken.append((time.perf_counter() - begun) / times * 1e3)
    return median(taken[1:])


def others(images, labels, batch, repeat):
    """Measure the bus (GB/s) and gathering batches (images/s), each alone; return rows of the table (JAX)."""
    import jax

    one, rows, taken = np.ascontiguousarray(images[:batch]), np.arange(len(images)), []
    for _ in range(20 * repeat):
        begun = time.perf_counter()
        jax.device_put(one).block_until_ready()
        taken.append(time.perf_counter() - begun)
    yield f"batch {batch}: over the bus", f"{one.nbytes / median(taken) / 1e9:.1f}", "GB/s", ""
    for way, fed in (("host", Held(images, rows)), ("none", images)):
        feed = Batches(fed, labels, rows, batch, seed=0)
        yield f"batch {batch}: gathering alone, --cache {way}", f"{gather(feed):.0f}", "images/s", ""


def device_name():
    """Name the GPU."""
    if os.environ["KERAS_BACKEND"] == "jax":
        import jax

        return jax.devices()[0].device_kind
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def repeated(images, count, folder):
    """Repeat an array up to a number of images, in a temporary file that is deleted with the array."""
    with tempfile.NamedTemporaryFile(prefix=".tmp-", suffix=".npy", dir=folder) as file:
        longer = np.lib.format.open_memmap(file.name, "w+", np.uint8, (count, *images.shape[1:]))
        for first in range(0, count, len(images)):
            longer[first : first + len(images)] = images[: count - first]
        return np.load(file.name, mmap_mode="r")


def measure(images, labels, precision, batch, repeat):
    """Measure one combination; return its rows of the table."""
    compiled = os.environ["KERAS_BACKEND"] == "jax"
    name = f"{precision}{', compiled' if compiled else ''}, batch {batch}"
    found = rates(images, labels, batch, repeat)
    for way in WAYS:
        what = way if way == RESIDENT else f"--cache {way}"
        yield f"{name}: {what}", f"{median(found[way]):.0f}", "images/s", ""
    for way in WAYS[1:]:
        ratio = record.beside(found[way], found[RESIDENT])
        yield f"{name}: --cache {way} / {RESIDENT}", f"{ratio:.3f}", "ratio", ">= 0.95" if way == "device" else ""
    if os.environ["KERAS_BACKEND"] == "jax":
        for what, milliseconds in steps(images, labels, batch, repeat).items():
            yield f"{name}: the compiled step alone, {what}", f"{milliseconds:.3f}", "ms", ""
        yield from others(images, labels, batch, repeat)


def main():
    options = record.parse(__doc__)
    options.add_argument("--array", type=Path, default=record.REPO / "data" / "array", help="folder of the array")
    options.add_argument("--images", type=int, default=20_000, help="images per epoch, at least one batch")
    options.add_argument("--batches", type=int, nargs="+", default=[32, 128, 512])
    options.add_argument("--precisions", nargs="+", choices=list(backend.POLICIES), default=["float32", "bfloat16"])
    args = options.parse_args()
    name, rows = os.environ["KERAS_BACKEND"], []
    images = map_images(args.array, read_json(args.array / "X.json"))
    if len(images) < args.images:
        images = repeated(images, args.images, args.array)
    labels = np.arange(args.images) % 2
    for precision, batch in product(args.precisions, args.batches):
        keras.config.set_dtype_policy(backend.POLICIES[precision])
        for row in measure(images[: args.images], labels, precision, batch, args.repeat):
            print(record.line(row), file=sys.stderr)
            rows.append(row)
        keras.backend.clear_session()
    record.write(f"gpu-{name}", rows, ("jax", "torch"), device=device_name())


if __name__ == "__main__":
    main()
