"""Several hosts that train together on JAX: how they find each other, what each reads, and how a lost one is reported.

Keras's own environment variables describe the processes (docs/distributed.md). The eight parts of a block-shuffled
epoch (eyenet/data/shuffling.py) are the same for any number of hosts: each of 1, 2, 4 or 8 hosts owns some of them and
reads nothing else, and the shares of all hosts together equal the batch of a single host. (In the last batch of an
epoch, a host with several devices may need a few images of its neighbour.)
"""

import atexit
import contextlib
import os
import sys

import numpy as np

from eyenet.data.shuffling import PARTS
from eyenet.model import backend
from eyenet.run.errors import EXIT_FAILED, EXIT_STOPPED, StageError
from eyenet.training.supervisor import HOST_LOST

WAIT = 300  # seconds that the hosts wait for each other at the start
SILENCE = 30  # seconds without a sign of life after which a host counts as lost
VARIABLES = "KERAS_DISTRIBUTION_JOB_ADDRESSES", "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"
NETWORK_WORDS = ("Gloo", "NCCL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "heartbeat")


def read_place():
    """Read from Keras's environment variables the address of process 0, their number, and which one this is.

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
    """Join the processes that Keras's environment variables describe; call it before Keras is imported.

    Raises
    ------
    StageError
        If the variables are wrong, or the other processes do not connect.
    """
    backend.require_installed()
    first, count, number = read_place()
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # As keras.distribution.initialize does, with a shorter limit than JAX's 100 seconds of silence.
    limits = {"initialization_timeout": WAIT, "heartbeat_timeout_seconds": SILENCE}
    try:
        jax.distributed.initialize(first, count, number, **limits)
    except RuntimeError as error:
        atexit.register(os._exit, EXIT_FAILED)  # otherwise JAX would wait for them again
        why = str(error).splitlines()[0]
        raise StageError(f"not all of {count} processes connected to {first} within {WAIT} s ({why})") from None


def require_hosts(hosts, batch):
    """Raise a StageError unless the hosts can share the parts and each batch evenly."""
    if PARTS % hosts:
        raise StageError(f"{hosts} hosts cannot share the {PARTS} parts of an array; use 1, 2, 4 or 8")
    if hosts > 1 and batch % PARTS:
        raise StageError(
            f"--batch {batch} cannot be divided evenly among the {PARTS} parts of an array; use a multiple of {PARTS}"
        )


def own_rows(rows, host, hosts):
    """Return the rows of a host's own parts, which are adjacent in the array; parts differ by one row at most.

    If a batch is sorted and divided into as many equal pieces as there are hosts, each piece holds a host's own rows.

    Parameters
    ----------
    rows : ndarray of int
        Ascending.
    host, hosts : int
        Number of the host, from 0, and number of hosts.
    """
    each = PARTS // hosts
    return np.concatenate(np.array_split(rows, PARTS)[host * each : (host + 1) * each])


def needed_rows(rows, host, hosts):
    """Return the rows of an array that a host reads: its own ones for training; host 0 reads the other splits too.

    Parameters
    ----------
    rows : dict of str to ndarray of int
        As `eyenet.data.array.rows_by_split` gives them.
    host, hosts : int
        As of `own_rows`.
    """
    others = [rows[split] for split in rows if split != "train" and host == 0]
    return np.concatenate([own_rows(rows["train"], host, hosts), *others])


@contextlib.contextmanager
def together(process):
    """Train together; afterwards the first process continues alone, and the others end.

    Raises
    ------
    StageError
        If another process was lost.
    """
    try:
        yield
    except BaseException as error:  # at the exit JAX would wait for the processes that are lost
        atexit.register(os._exit, EXIT_STOPPED if isinstance(error, KeyboardInterrupt) else EXIT_FAILED)
        if isinstance(error, ValueError | RuntimeError) and any(word in str(error) for word in NETWORK_WORDS):
            raise StageError(HOST_LOST) from None
        raise
    import jax

    jax.distributed.shutdown()
    if process:
        print(f"process {process} is done; process 0 writes the model")
        sys.exit()
