"""Save a Keras network with its kernels in float16, for a repository; Keras reads the file like any other."""

import io
import json
import re
import zipfile

import numpy as np


def save_halved(network, path):
    """Save a network as a .keras file whose kernels and matrices are stored in float16.

    Keras converts them to the type of its variables when it loads them. The bytes depend on the network and on the
    version of Keras alone: the date is left out, and objects are numbered instead of named by their place in memory.

    Parameters
    ----------
    network : keras.Model
    path : Path
    """
    import h5py

    whole = path.with_name(f"whole-{path.name}")
    network.save(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith(".h5"):
                with h5py.File(io.BytesIO(data), "r") as read, h5py.File(made := io.BytesIO(), "w") as written:
                    _copy(read, written)
                data = made.getvalue()
            if name == "config.json":
                data = _numbered(data.decode()).encode()
            if name == "metadata.json":
                data = json.dumps({"keras_version": json.loads(data)["keras_version"]}).encode()
            target.writestr(zipfile.ZipInfo(name), data)
    whole.unlink()


def _numbered(text):
    """Number the objects that layers share in the order in which they come."""
    numbers = {}
    return re.sub(
        r'(?<="shared_object_id": )\d+', lambda found: str(numbers.setdefault(found[0], len(numbers) + 1)), text
    )


def _copy(source, target):
    """Copy an HDF5 group; arrays of more than one dimension in float16."""
    target.attrs.update(source.attrs)
    for name, item in source.items():
        if hasattr(item, "items"):
            _copy(item, target.create_group(name))
            continue
        values = item[()]
        target[name] = values.astype(np.float16) if values.dtype == np.float32 and values.ndim > 1 else values
        target[name].attrs.update(item.attrs)
