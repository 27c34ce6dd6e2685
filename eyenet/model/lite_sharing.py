"""Store the 1 x 1 kernels of a network once, for its answer and for the gradient of its evidence.

The gradient of such a convolution is a convolution with the same kernel, turned: inputs become outputs. Where batch
normalisation was folded into the network's kernel, the two also differ by a factor for each channel.
"""

import numpy as np

LARGE = 1000  # numbers in a kernel; smaller ones are not worth an operation


def source_of(kernel, kept):
    """Find the kernel that equals this one when it is transposed and each of its columns scaled.

    Columns of zeros are not compared: there the folded normalisation multiplies by zero, and so does its gradient.

    Parameters
    ----------
    kernel : ndarray of float32, shape (m, n)
    kept : dict
        Other kernels by name.

    Returns
    -------
    name, scale : hashable, ndarray of float32, shape (n,)
        Such that `kept[name].T * scale` is the kernel, apart from these columns; (None, None) if there is none.
    """
    for name, own in kept.items():
        if own.shape != kernel.shape[::-1]:
            continue
        largest = np.abs(own.T).argmax(axis=0), np.arange(own.shape[0])
        alive = own.T[largest] != 0
        scale = np.divide(kernel[largest], own.T[largest], out=np.zeros(len(alive), np.float32), where=alive)
        close = {"rtol": 1e-4, "atol": 1e-6 * np.abs(kernel).max()}
        if alive.mean() > 0.5 and np.allclose((own.T * scale)[:, alive], kernel[:, alive], **close):
            return name, scale
    return None, None


def share_weights(data):
    """Compute the gradient's kernels of a .tflite file from the network's own; halves the file of EfficientNet.

    Parameters
    ----------
    data : bytes
        With weights in float32.

    Returns
    -------
    bytes
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(data)
    before = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    for graph in model.subgraphs:
        kernels = _kernels(model, graph)
        made, kept = [], {}
        for place, kernel in kernels.items():  # in the order of the graph: the network comes before its gradient
            source, scale = source_of(kernel, kept)
            if source is None:
                kept[place] = kernel
            else:
                made += _turned(model, graph, place, source, scale)
        graph.operators = made + graph.operators
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    for place in before - used:
        model.buffers[place].data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _kernels(model, graph):
    """Collect the large 1 x 1 kernels of a graph: by tensor, float32 (outputs, inputs)."""
    from tensorflow.lite.python import schema_py_generated as schema

    found = {}
    for op in graph.operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode != schema.BuiltinOperator.CONV_2D:
            continue
        tensor = graph.tensors[op.inputs[1]]
        data = model.buffers[tensor.buffer].data
        if data is None or tensor.type != schema.TensorType.FLOAT32 or tuple(tensor.shape[1:3]) != (1, 1):
            continue
        if np.prod(tensor.shape) > LARGE:
            found[op.inputs[1]] = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape[0], tensor.shape[3])
    return found


def _turned(model, graph, place, source, scale):
    """Make the operations that compute the kernel in tensor `place` from that in `source`."""
    from tensorflow.lite.python import schema_py_generated as schema

    def constant(values, kind, name):
        model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        return tensor(values.shape, kind, name, len(model.buffers) - 1)

    def tensor(shape, kind, name, buffer=0):
        graph.tensors.append(schema.TensorT(shape=list(shape), type=kind, buffer=buffer, name=name))
        return len(graph.tensors) - 1

    own, kinds = graph.tensors[place], schema.TensorType
    order = constant(np.array([3, 1, 2, 0], np.int32), kinds.INT32, own.name + b"/order")
    factor = constant(scale.reshape(1, 1, 1, -1), kinds.FLOAT32, own.name + b"/scale")
    turned = tensor(own.shape, kinds.FLOAT32, own.name + b"/turned")
    own.buffer = 0  # the empty buffer: this tensor is now computed
    return [
        _operation(model, "TRANSPOSE", [source, order], turned, "TransposeOptions", 2),
        _operation(model, "MUL", [turned, factor], place, "MulOptions", 1),
    ]


def _operation(model, name, inputs, output, options, version):
    """Make an operation of a graph; its kind is added to the model where it is missing."""
    from tensorflow.lite.python import schema_py_generated as schema

    kind = getattr(schema.BuiltinOperator, name)
    known = [code for code, row in enumerate(model.operatorCodes) if row.builtinCode == kind and row.version >= version]
    if not known:
        model.operatorCodes.append(schema.OperatorCodeT(builtinCode=kind, deprecatedBuiltinCode=kind, version=version))
        known = [len(model.operatorCodes) - 1]
    return schema.OperatorT(
        opcodeIndex=known[0],
        inputs=inputs,
        outputs=[output],
        builtinOptionsType=getattr(schema.BuiltinOptions, options),
        builtinOptions=getattr(schema, f"{options}T")(),
    )
