"""Export the offline page: the built page, the network with the evidence in its graph, and model.json."""

import gzip
import hashlib
import shutil
from pathlib import Path

from eyenet.export.description import describe
from eyenet.export.folder import proved_export
from eyenet.export.litert import LARGE
from eyenet.export.onnx import halve_weights, put_first, quarter_weights, require_packages, to_onnx
from eyenet.model.evidence import explained
from eyenet.model.lite import EXPLAIN, ways_to_ask
from eyenet.model.lite_sharing import source_of
from eyenet.run.errors import StageError
from eyenet.run.files import write_json, write_whole

APP = Path(__file__).resolve().parents[2] / "app"
TEMPLATE, NETWORK = "dist-template", "model.onnx.gz"  # what npm run build makes, and what the page loads


def require_template(output):
    """Check early that the page is built, and that `output` can be replaced.

    Raises
    ------
    StageError
    """
    if not (APP / TEMPLATE / "index.html").is_file():
        raise StageError(f"there is no {APP / TEMPLATE}; make it: cd {APP} && npm ci && npm run build")
    if output.exists() and not _is_page(output):
        raise StageError(f"{output} holds something other than the page; choose another --output, or empty it")


def _is_page(folder):
    return folder.is_dir() and (
        not any(folder.iterdir()) or all((folder / name).is_file() for name in ("index.html", "model.json"))
    )


def convert(network, task, precision):
    """Convert a network, with the evidence in its graph, to the bytes of an ONNX file.

    Parameters
    ----------
    network : keras.Model
        On the TensorFlow backend.
    task : str
    precision : {'float32', 'float16', 'dynamic'}
        Of the weights; the page computes in float32.
    """
    require_packages()
    model = to_onnx(ways_to_ask(network, explained(network), task)[EXPLAIN], network.input_shape[1])
    share_weights(model)
    if precision == "float16":
        halve_weights(model)
    if precision == "dynamic":
        quarter_weights(model)
    return model.SerializeToString()


def share_weights(model):
    """Compute the 1 x 1 kernels of the gradient from the network's own (transposed, scaled); halves EfficientNet."""
    from onnx import helper, numpy_helper

    graph = model.graph
    stored, kernels = {tensor.name: tensor for tensor in graph.initializer}, {}
    for node in graph.node:
        if node.op_type == "Conv" and node.input[1] in stored:
            kernel = numpy_helper.to_array(stored[node.input[1]])
            if kernel.shape[2:] == (1, 1) and kernel.size > LARGE:
                kernels[node.input[1]] = kernel[:, :, 0, 0]
    made, kept = [], {}
    for name, kernel in kernels.items():  # in the order of the graph: the network comes before its gradient
        source, columns, rows = source_of(kernel, kept)
        if source is None:
            kept[name] = kernel
            continue
        graph.initializer.remove(stored[name])
        made.append(helper.make_node("Transpose", [source], [f"{name}/turned"], perm=[1, 0, 2, 3]))
        factors = {"columns": columns.reshape(1, -1, 1, 1)}
        factors |= {} if rows is None else {"rows": rows.reshape(-1, 1, 1, 1)}
        ends = [f"{name}/turned", *(f"{name}/{part}/turned" for part in [*factors][:-1]), name]
        for (part, factor), before, after in zip(factors.items(), ends, ends[1:]):
            graph.initializer.append(numpy_helper.from_array(factor, f"{name}/{part}"))
            made.append(helper.make_node("Mul", [before, f"{name}/{part}"], [after]))
    put_first(graph, made)


def write_page(data, folder, config, output):
    """Put the page, the network and model.json into a folder.

    Parameters
    ----------
    data : bytes
        From `convert`.
    folder : Path
        Of the model.
    config : dict
        Its config.json.
    output : Path
        Replaced when the page is complete.

    Returns
    -------
    int
        Total size of the files in bytes.
    """
    described = describe(folder, config)
    described["model"] = {"file": NETWORK, "sha256": hashlib.sha256(data).hexdigest()}  # of the unpacked file
    with proved_export(output) as page:
        shutil.copytree(APP / TEMPLATE, page)
        write_whole(page / NETWORK, gzip.compress(data, 9, mtime=0))
        write_json(page / "model.json", described)
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
