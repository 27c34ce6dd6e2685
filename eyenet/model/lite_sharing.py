"""Store the 1 x 1 kernels of a network once, for its answer and for the gradient of its evidence.

The gradient of such a convolution is a convolution with the same kernel, transposed. Where batch normalisation was
folded into the network's kernel, the two also differ by a factor for each channel.
"""

import warnings

import numpy as np

LARGE = 1000  # numbers in a kernel; smaller ones are not worth an operation


def source_of(kernel, kept):
    """Find the kernel that equals this one when it is transposed and its columns, and if need be its rows, are scaled.

    Columns of zeros are not compared: there the folded normalisation multiplies by zero, and so does its gradient.

    Parameters
    ----------
    kernel : ndarray of float32, shape (m, n)
    kept : dict
        Other kernels by name.

    Returns
    -------
    name, columns, rows : hashable, ndarray of float32, shapes (n,) and (m, 1)
        Such that `kept[name].T * columns * rows` is the kernel, apart from these columns; `rows` is None if all are 1,
        and all three are None if there is no such kernel.
    """
    for name, own in kept.items():
        if own.shape != kernel.shape[::-1]:
            continue
        for rows in (None, _rows_between(kernel, own.T)):
            turned = own.T if rows is None else own.T * rows
            largest = np.abs(turned).argmax(axis=0), np.arange(turned.shape[1])
            alive = turned[largest] != 0
            columns = np.divide(kernel[largest], turned[largest], out=np.zeros(len(alive), np.float32), where=alive)
            close = {"rtol": 1e-4, "atol": 1e-6 * np.abs(kernel).max()}
            if alive.mean() > 0.5 and np.allclose((turned * columns)[:, alive], kernel[:, alive], **close):
                return name, columns, rows
    return None, None, None


def _rows_between(kernel, other):
    """Compute the ratio of each row of a kernel to the other's, relative to the first's; float32, shape (m, 1)."""
    ratio = np.divide(kernel, other, out=np.full(kernel.shape, np.nan, np.float32), where=other != 0)
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings(action="ignore"):
        return np.nan_to_num(np.nanmedian(ratio / ratio[0], axis=1, keepdims=True)).astype(np.float32)


def share_weights(data):
    """Replace the convolutions of a .tflite file whose kernel is another's, transposed, by products with that kernel.

    This halves the file of EfficientNet.

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
        kept, replaced, operators = {}, set(), []
        for op in graph.operators:  # the network comes before its gradient
            kernel = _kernel(model, graph, op)
            source, columns, rows = (None, None, None) if kernel is None else source_of(kernel, kept)
            if source is not None and _is_product(model, graph, op):
                operators += _product(_Writer(model, graph), op, source, columns, rows)
                replaced.add(op.inputs[1])  # once for each question
                continue
            operators.append(op)
            kept |= {} if kernel is None else {op.inputs[1]: kernel}
        for place in replaced:
            graph.tensors[place].buffer = 0  # the empty one
        graph.operators = operators
    for place in before - {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}:
        model.buffers[place].data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _kernel(model, graph, op):
    """Return the large 1 x 1 kernel of a convolution, float32 (outputs, inputs); None for other operations."""
    from tensorflow.lite.python import schema_py_generated as schema

    if model.operatorCodes[op.opcodeIndex].builtinCode != schema.BuiltinOperator.CONV_2D:
        return None
    tensor = graph.tensors[op.inputs[1]]
    data = model.buffers[tensor.buffer].data
    if data is None or tensor.type != schema.TensorType.FLOAT32 or tuple(tensor.shape[1:3]) != (1, 1):
        return None
    values = np.frombuffer(bytes(data), np.float32)
    return values.reshape(tensor.shape[0], tensor.shape[3]) if values.size > LARGE else None


def _is_product(model, graph, op):
    """Tell whether a convolution is a product with its kernel alone: without bias, strides and activation."""
    from tensorflow.lite.python import schema_py_generated as schema

    how, bias = op.builtinOptions, op.inputs[2] if len(op.inputs) > 2 else -1
    if (how.strideH, how.strideW, how.fusedActivationFunction) != (1, 1, schema.ActivationFunctionType.NONE):
        return False
    data = None if bias < 0 else model.buffers[graph.tensors[bias].buffer].data
    return bias < 0 or (data is not None and not np.any(np.asarray(data)))


def _product(write, op, source, columns, rows):
    """Compute a convolution's output as a product with the kernel in tensor `source`; list of operations."""
    gradient, made = write.graph.tensors[op.inputs[0]], write.graph.tensors[op.outputs[0]]
    _, height, width, channels = gradient.shape
    matrix = write.tensor((1, channels, made.shape[3]), b"matrix", write.graph.tensors[source].buffer)
    scaled, flat = write.tensor(gradient.shape, b"scaled"), write.tensor((1, height * width, channels), b"flat")
    product = write.tensor((1, height * width, made.shape[3]), b"product")
    factor = write.constant(columns.reshape(1, 1, 1, -1), b"columns")
    last = op.outputs[0] if rows is None else write.tensor(made.shape, b"unscaled")
    operations = [
        write.operation("MUL", [op.inputs[0], factor], scaled, "MulOptions"),
        write.operation("RESHAPE", [scaled, write.shape(flat)], flat, "ReshapeOptions"),
        write.operation("BATCH_MATMUL", [flat, matrix], product, "BatchMatMulOptions"),
        write.operation("RESHAPE", [product, write.shape(op.outputs[0])], last, "ReshapeOptions"),
    ]
    if rows is not None:
        factor = write.constant(rows.reshape(1, 1, 1, -1), b"rows")
        operations.append(write.operation("MUL", [last, factor], op.outputs[0], "MulOptions"))
    return operations


class _Writer:
    """Adds tensors and operations to a graph of a .tflite file."""

    def __init__(self, model, graph):
        from tensorflow.lite.python import schema_py_generated

        self.model, self.graph, self.schema = model, graph, schema_py_generated

    def tensor(self, shape, name, buffer=0, kind="FLOAT32"):
        """Add a tensor; without a buffer it is computed."""
        shape, kind = [int(side) for side in shape], getattr(self.schema.TensorType, kind)
        self.graph.tensors.append(self.schema.TensorT(shape=shape, type=kind, buffer=buffer, name=b"shared/" + name))
        return len(self.graph.tensors) - 1

    def constant(self, values, name, kind="FLOAT32"):
        """Add a constant."""
        self.model.buffers.append(self.schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
        return self.tensor(values.shape, name, len(self.model.buffers) - 1, kind)

    def shape(self, place):
        """Add the shape of a tensor as a constant."""
        return self.constant(np.array(self.graph.tensors[place].shape, np.int32), b"shape", "INT32")

    def operation(self, name, inputs, output, options):
        """Make an operation; its kind is added to the model where it is missing."""
        kind, codes = getattr(self.schema.BuiltinOperator, name), self.model.operatorCodes
        code = next((number for number, known in enumerate(codes) if known.builtinCode == kind), len(codes))
        if code == len(codes):
            codes.append(self.schema.OperatorCodeT(builtinCode=kind, deprecatedBuiltinCode=min(kind, 127), version=1))
        return self.schema.OperatorT(
            opcodeIndex=code,
            inputs=inputs,
            outputs=[output],
            builtinOptionsType=getattr(self.schema.BuiltinOptions, options),
            builtinOptions=getattr(self.schema, f"{options}T")(),
        )
