"""Run a Core ML package in NumPy, operation by operation, as read back from the disk.

Apple's runtime exists on macOS only. This verifies the package (its operations, their order and options, and the
weights in its file), but not Apple's arithmetic. Each operation is computed in float32 and rounded to the type of its
output, so float16 has the same rounding errors as with Core ML, except for the order of sums.

References
----------
.. [1] https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html
"""

import contextlib
import io
from pathlib import Path

import numpy as np

from eyenet.model.backend import hidden_stderr
from eyenet.run.errors import StageError

HALF = "fp16"


class Program:
    """The program of a package; a call with a photograph returns the probabilities.

    Parameters
    ----------
    package : path-like
        An .mlpackage.

    Raises
    ------
    StageError
        If the package is damaged or has an operation that is not implemented here.
    """

    def __init__(self, package):
        self.path = Path(package)
        block = _read(self.path).functions["main"]
        (self.input,) = block.inputs
        self.operations = [op for op in block.operations if op.op_type != "const"]
        unknown = sorted({op.op_type for op in self.operations} - OPERATIONS.keys() - {"classify"})
        if unknown:
            raise StageError(
                f"{self.path} has operations that cannot be computed without Core ML ({', '.join(unknown)}); "
                "check it on a Mac with the same command"
            )

    def __call__(self, photograph):
        """Compute the probabilities of the classes; float32, shape (classes,).

        Parameters
        ----------
        photograph : ndarray of uint8, shape (size, size, 3)
        """
        values = {self.input: np.float32(photograph.transpose(2, 0, 1)[None])}
        for op in self.operations:
            inputs = {name: _value(given, values) for name, given in op.inputs.items()}
            if op.op_type == "classify":
                return np.float32(inputs["probabilities"]).ravel()
            (output,) = op.outputs
            values[output.name] = rounded(OPERATIONS[op.op_type](**inputs), output)
        raise StageError(f"{self.path} ends without a classification; export the model again")


def rounded(value, output):
    """Round a value to the type of an operation's output; float16 is stored as float32, which is faster in NumPy."""
    kind = output.dtype.__name__
    if kind == HALF:
        with np.errstate(over="ignore"):  # becomes infinity, as on a phone; the comparison reports it
            return value.astype(np.float16).astype(np.float32)
    return value if value.dtype.kind != "f" else value.astype(np.float32)


def _read(path):
    """Read a package as coremltools's program."""
    import coremltools
    from coremltools.converters.mil.frontend.milproto.load import load

    try:
        with hidden_stderr(), contextlib.redirect_stderr(io.StringIO()):
            model = coremltools.models.MLModel(str(path), skip_model_load=True)
            spec = model.get_spec()
            return load(spec, spec.specificationVersion, str(model.weights_dir))
    except Exception as error:  # a damaged file raises various exceptions in coremltools
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise StageError(f"{path} is damaged or incomplete ({why}); export the model again") from None


def _value(given, values):
    """Return the value of an operation's input: a computed value, a constant of the package, or a list of these."""
    if isinstance(given, (list, tuple)):
        return [_value(each, values) for each in given]
    if given is None:
        return None
    if given.name in values:
        return values[given.name]
    constant = given.val
    if isinstance(constant, np.ndarray) and constant.dtype == np.float16:
        constant = values[given.name] = constant.astype(np.float32)
    return constant


def around(size, window, stride, dilation, padding, given, side):
    """Count the zeros before and after a side of `size`; `given` has those of the padding `custom`, two per side."""
    match padding:
        case "valid":
            return 0, 0
        case "custom":
            return tuple(int(zeros) for zeros in given[2 * side : 2 * side + 2])
        case "same" | "same_lower":
            total = max(0, (-(-size // stride) - 1) * stride + dilation * (window - 1) + 1 - size)
            less, more = total // 2, total - total // 2
            return (less, more) if padding == "same" else (more, less)
    raise StageError(f"padding of the kind {padding!r} cannot be computed without Core ML")


def windows(x, shape, strides, dilations, padding, given, fill):
    """For each position in a window, yield the values of all windows at that position; padded with `fill`.

    Yields
    ------
    row, column, seen : int, int, ndarray of shape (1, channels, rows, columns)
    """
    sides = [
        around(x.shape[2 + side], shape[side], strides[side], dilations[side], padding, given, side) for side in (0, 1)
    ]
    x = np.pad(x, [(0, 0), (0, 0), *sides], constant_values=fill)
    reach = [dilations[side] * (shape[side] - 1) + 1 for side in (0, 1)]
    rows, columns = ((x.shape[2 + side] - reach[side]) // strides[side] + 1 for side in (0, 1))
    for row in range(shape[0]):
        for column in range(shape[1]):
            top, left = row * dilations[0], column * dilations[1]
            down, across = top + (rows - 1) * strides[0] + 1, left + (columns - 1) * strides[1] + 1
            yield row, column, x[:, :, top : down : strides[0], left : across : strides[1]]


def conv(x, weight, strides, pad_type, groups, dilations, pad=None, bias=None):
    """Convolve (1, channels, rows, columns), either depthwise or in one group."""
    depthwise = groups == x.shape[1] and weight.shape[1] == 1
    _require(groups == 1 or depthwise, f"a convolution in {groups} groups")
    places = list(windows(x, weight.shape[2:], strides, dilations, pad_type, pad, 0))
    if depthwise:
        total = 0
        for row, column, seen in places:
            many = np.repeat(seen, len(weight) // groups, axis=1) if len(weight) > groups else seen
            total = total + many * weight[None, :, :, row, column, None]
    else:
        seen = np.concatenate([seen.reshape(seen.shape[1], -1) for *_, seen in places])
        kernel = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)  # in the order of `places`
        total = (kernel @ seen).reshape(1, len(weight), *places[0][2].shape[2:])
    return total if bias is None else total + bias[None, :, None, None]


def max_pool(x, kernel_sizes, strides, pad_type, pad=None, ceil_mode=False):
    _require(not ceil_mode, "pooling with ceil_mode")
    return np.max([seen for *_, seen in windows(x, kernel_sizes, strides, (1, 1), pad_type, pad, -np.inf)], axis=0)


def avg_pool(x, kernel_sizes, strides, pad_type, pad=None, exclude_padding_from_average=False, ceil_mode=False):
    _require(not ceil_mode, "pooling with ceil_mode")

    def summed(values):
        return sum(seen for *_, seen in windows(values, kernel_sizes, strides, (1, 1), pad_type, pad, 0))

    count = summed(np.ones_like(x[:, :1])) if exclude_padding_from_average else np.prod(kernel_sizes)
    return summed(x) / count


def upsample_bilinear(x, scale_factor_height, scale_factor_width, align_corners=True, half_pixel_centers=None):
    _require(not align_corners and half_pixel_centers is not False, "bilinear scaling from corners")
    for axis, factor in ((2, scale_factor_height), (3, scale_factor_width)):
        size = x.shape[axis]
        place = ((np.arange(round(size * float(factor))) + 0.5) / float(factor) - 0.5).clip(0, size - 1)
        low = np.minimum(place.astype(int), size - 1)
        share = (place - low).astype(np.float32).reshape((-1, 1) if axis == 2 else (-1,))
        x = x.take(low, axis) * (1 - share) + x.take(np.minimum(low + 1, size - 1), axis) * share
    return x


def batch_norm(x, mean, variance, epsilon, gamma=None, beta=None):
    scale = (1 if gamma is None else gamma) / np.sqrt(variance + epsilon)
    shift = (0 if beta is None else beta) - mean * scale
    return x * scale[None, :, None, None] + shift[None, :, None, None]


def softmax(x, axis):
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def pad(x, pad, mode="constant", constant_val=0):
    _require(mode == "constant", f"padding by {mode}")
    sides = np.reshape(pad, (-1, 2)).tolist()
    return np.pad(x, [(0, 0)] * (x.ndim - len(sides)) + sides, constant_values=constant_val)


def slice_by_index(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    _require(squeeze_mask is None or not np.any(squeeze_mask), "slices that drop an axis")
    take = []
    for axis in range(x.ndim):
        first = None if begin_mask is not None and begin_mask[axis] else int(begin[axis])
        last = None if end_mask is not None and end_mask[axis] else int(end[axis])
        take.append(slice(first, last, None if stride is None else int(stride[axis])))
    return x[tuple(take)]


def dequantize(quantized_data, zero_point, scale, axis):
    """Return the float32 values of weights that are stored in eight bits."""
    shape = [1] * quantized_data.ndim
    shape[int(axis)] = -1
    zero, step = (np.float32(x).reshape(shape) if np.ndim(x) else np.float32(x) for x in (zero_point, scale))
    return (quantized_data.astype(np.float32) - zero) * step


def _require(known, what):
    if not known:
        raise StageError(f"{what} cannot be computed without Core ML; check the package on a Mac")


def _axes(axes):
    return None if axes is None else tuple(int(axis) for axis in axes)


KINDS = {"fp16": np.float32, "fp32": np.float32, "int32": np.int32, "uint8": np.uint8}
OPERATIONS = {
    "add": lambda x, y: x + y,
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "cast": lambda x, dtype: x.astype(KINDS[dtype]),
    "clip": lambda x, alpha, beta: np.clip(x, alpha, beta),
    "concat": lambda values, axis, interleave=False: np.concatenate(values, axis=int(axis)),
    "constexpr_affine_dequantize": dequantize,
    "conv": conv,
    "expand_dims": lambda x, axes: np.expand_dims(x, _axes(axes)),
    "linear": lambda x, weight, bias=None: x @ weight.T + (0 if bias is None else bias),
    "matmul": lambda x, y, transpose_x=False, transpose_y=False: (
        (np.swapaxes(x, -1, -2) if transpose_x else x) @ (np.swapaxes(y, -1, -2) if transpose_y else y)
    ),
    "max_pool": max_pool,
    "maximum": lambda x, y: np.maximum(x, y),
    "minimum": lambda x, y: np.minimum(x, y),
    "mul": lambda x, y: x * y,
    "pad": pad,
    "real_div": lambda x, y: x / y,
    "reduce_max": lambda x, axes=None, keep_dims=False: x.max(axis=_axes(axes), keepdims=bool(keep_dims)),
    "reduce_mean": lambda x, axes=None, keep_dims=False: x.mean(axis=_axes(axes), keepdims=bool(keep_dims)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "reshape": lambda x, shape: x.reshape(shape),
    "slice_by_index": slice_by_index,
    "softmax": softmax,
    "squeeze": lambda x, axes=None: np.squeeze(x, _axes(axes)),
    "sub": lambda x, y: x - y,
    "transpose": lambda x, perm: x.transpose(perm),
    "upsample_bilinear": upsample_bilinear,
}
