"""Export the offline page: the built page, the network with the evidence in its graph, and model.json."""

import gzip
import shutil
from pathlib import Path

import numpy as np

from eyenet.export.description import describe
from eyenet.export.folder import proved_export
from eyenet.export.litert import INPUT, LARGE, OUTPUT
from eyenet.export.onnx import halve_weights, open_session, put_first, quarter_weights, require_packages, to_onnx
from eyenet.model.evidence import explained
from eyenet.model.lite import EXPLAIN, ways_to_ask
from eyenet.model.lite_sharing import source_of
from eyenet.run.errors import StageError
from eyenet.run.files import sha256_bytes, write_json, write_whole

APP = Path(__file__).resolve().parents[2] / "app"
EVIDENCE, ASKED = "evidence", "explain"  # output and input of the network
PAGE_FORMAT = 2  # of model.json; 2 since the network has the input `explain`
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
    defer_evidence(model)
    return model.SerializeToString()


def defer_evidence(model):
    """Move what only the evidence needs into a branch that runs if the input `explain` is true; else it is zeros.

    The runtime of the page computes a whole graph, whichever outputs are asked for, and the gradient takes longer than
    the answer. What depends on no photograph stays outside, so that it is computed once, when the file is loaded.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, inner = model.graph, f"{EVIDENCE}/asked"
    needed, constant = ancestors(graph, OUTPUT), {tensor.name for tensor in graph.initializer}
    before, after = [], []
    for node in graph.node:  # in the order of computation
        if constant.issuperset(node.input):
            constant.update(node.output)
        (before if constant.issuperset(node.output) or node.output[0] in needed else after).append(node)
    for node in after:
        node.output[:] = [inner if name == EVIDENCE else name for name in node.output]
    (asked,) = (output for output in graph.output if output.name == EVIDENCE)
    shape = [side.dim_value for side in asked.type.tensor_type.shape.dim]
    zeros = numpy_helper.from_array(np.zeros(shape, np.float32), "zeros")
    nothing = helper.make_node("Constant", [], ["zeros"], value=zeros)

    def branch(nodes, name):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)])

    branches = {"then_branch": branch(after, inner), "else_branch": branch([nothing], "zeros")}
    del graph.node[:]
    graph.node.extend([*before, helper.make_node("If", [ASKED], [EVIDENCE], **branches)])
    graph.input.append(helper.make_tensor_value_info(ASKED, TensorProto.BOOL, [1]))


def ancestors(graph, output):
    """Names of what a tensor of a graph is computed from, with the tensor itself."""
    makers = {name: node for node in graph.node for name in node.output}
    found, rest = set(), [output]
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest.extend(makers[name].input if name in makers else ())
    return found


def run(data, photographs):
    """Compute the probabilities of photographs with the bytes of `convert`; float32, shape (n, classes)."""
    session, asked = open_session(data), np.array([False])
    feeds = ({INPUT: photograph[None], ASKED: asked} for photograph in photographs)
    return np.concatenate([session.run([OUTPUT], feed)[0] for feed in feeds])


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
    described["format"] = PAGE_FORMAT
    described["model"] = {"file": NETWORK, "sha256": sha256_bytes(data)}  # of the unpacked file
    with proved_export(output) as page:
        shutil.copytree(APP / TEMPLATE, page)
        write_whole(page / NETWORK, gzip.compress(data, 9, mtime=0))
        write_json(page / "model.json", described)
    return sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
