"""EfficientNet-Lite and the augmentation of cnn.py, written once more in PyTorch for pretrained/train.py.

The network starts from the weights of `cnn.build_network` and gives them back under the same names. Its frozen batch
normalisation is folded into the convolution before it; on a GPU the convolutions compute in bfloat16, pooling, head and
loss in float32. tests/test_pretrained_training.py compares both with cnn.py.

Photographs are uint8 (n, side, side, 3) where they come in, and float32 (n, 3, size, size) in 0-255 from then on.
"""

import math

import numpy as np
import torch
from torch.nn import functional

import cnn
from eyenet.model.efficientnet_lite import STOCHASTIC_DEPTH, scaled_stages
from eyenet.model.networks import NETWORKS

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PRECISION = torch.bfloat16 if DEVICE == "cuda" else torch.float32
LAYOUT = torch.channels_last  # faster than the other one on an H100
EPSILON = 1e-3  # of the batch normalisation

# Degradations: each is applied to half of the photographs, with a strength drawn between these ends.
BLUR = 0.3, 1.2  # sigma in pixels of the crop, before it is enlarged
REACH = 3  # pixels to each side that the blur adds up
STEP = 4, 24  # grey levels; step of the lowest cosine, as of JPEG's tables: the highest one's is 4.5 times as large
NOISE = 0, 8  # grey levels; standard deviation


class Network:
    """EfficientNet-Lite with the head of `cnn.build_network`, as a function of its weights.

    Parameters
    ----------
    name : str
        Key of `eyenet.model.efficientnet_lite.SCALES`.
    arrays : dict of str to ndarray
        Every weight of the Keras network by the path of its variable.

    Attributes
    ----------
    weights : dict of str to Tensor
        The same in PyTorch's order of axes. `learned` names those that training changes.
    """

    def __init__(self, name, arrays):
        self.stages, self.spec = list(scaled_stages(name)), NETWORKS[name]
        self.weights = {path: to_torch(path, array) for path, array in arrays.items()}
        self.learned = [path for path in arrays if "_norm/" not in path]
        for path in self.learned:
            self.weights[path].requires_grad_()
        self.norms = dict(map(self.fold, {path.split("/")[0] for path in arrays if "_norm/" in path}))

    def fold(self, norm):
        """Return the name of a normalisation with the factor (filters, 1, 1, 1) and the bias (filters,) that it is."""
        gamma, beta, mean, variance = (
            self.weights[f"{norm}/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / torch.sqrt(variance + EPSILON)
        return norm, (factor.view(-1, 1, 1, 1), (beta - mean * factor).to(PRECISION))

    def __call__(self, images, weights=None, training=False):
        """Compute probabilities (n, classes) of photographs; `weights` replaces the network's own."""
        weights = weights or self.weights
        x = images.contiguous(memory_format=LAYOUT) * self.spec.scale + self.spec.offset
        x = self.features(x.to(PRECISION), weights, training)
        x = torch.cat([x.float().mean((2, 3)), x.amax((2, 3)).float()], 1)
        x = functional.dropout(x, self.spec.dropout, training)
        return torch.softmax(x @ weights["probability/kernel"] + weights["probability/bias"], 1)

    def features(self, x, weights, training):
        """Compute the feature map; the layers are those of `build_efficientnet_lite`."""
        x = self.convolve(x, weights, "stem", 2)
        total, number = sum(stage.repeats for stage in self.stages), 0
        for stage in self.stages:
            for repeat in range(stage.repeats):
                name, before, stride = f"block{number:02d}", x, 1 if repeat else stage.stride
                if stage.expansion > 1:
                    x = self.convolve(x, weights, f"{name}_expand")
                x = self.convolve(x, weights, f"{name}_depthwise", stride)
                x = self.convolve(x, weights, f"{name}_project", activate=False)
                if before.shape == x.shape:
                    rate = STOCHASTIC_DEPTH * number / total
                    if rate and training:
                        x = x * ((torch.rand(len(x), 1, 1, 1, device=x.device) >= rate).to(x.dtype) / (1 - rate))
                    x = before + x
                number += 1
        return self.convolve(x, weights, "head")

    def convolve(self, x, weights, name, stride=1, activate=True):
        factor, bias = self.norms[f"{name}_norm"]
        kernel = (weights[f"{name}/kernel"] * factor).to(PRECISION).contiguous(memory_format=LAYOUT)
        x, padding = pad(x, kernel.shape[2], stride)
        groups = len(kernel) if name.endswith("depthwise") else 1
        x = functional.conv2d(x, kernel, bias, stride, padding, groups=groups)
        return functional.hardtanh_(x, 0.0, 6.0) if activate else x  # ReLU6

    def arrays(self, weights):
        """Return weights as `arrays` was: float32 in Keras's order of axes."""
        return {path: from_torch(path, weights[path]) for path in self.weights}


def to_torch(path, array):
    """Copy a weight: kernels (h, w, in, out) become (out, in, h, w), depthwise ones (channels, 1, h, w)."""
    tensor = torch.tensor(np.asarray(array, np.float32), device=DEVICE)
    if tensor.ndim < 4:
        return tensor
    return tensor.permute(*((2, 3, 0, 1) if "depthwise" in path else (3, 2, 0, 1))).contiguous()


def from_torch(path, tensor):
    """Undo `to_torch`."""
    tensor = tensor.detach().float().cpu()
    if tensor.ndim == 4:
        tensor = tensor.permute(*((2, 3, 0, 1) if "depthwise" in path else (2, 3, 1, 0)))
    return tensor.numpy()


def pad(x, kernel, stride):
    """Pad as TensorFlow does; return the photographs and the padding that is left to the convolution."""
    total = max((-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2], 0)
    if total % 2 == 0:
        return x, total // 2
    return functional.pad(x, 2 * (total // 2, total - total // 2)), 0


def later(p):
    """Turn probabilities (n, classes) into those of class 1, 2, ... or a later one: (n, classes - 1)."""
    return p[:, 1:].flip(1).cumsum(1).flip(1)


def ordinal_crossentropy(p, target):
    """Compute the mean of `cnn.ordinal_crossentropy`; the targets are probabilities (n, classes) too."""
    p, target = later(p).clamp(1e-7, 1 - 1e-7), later(target)
    return -(target * p.log() + (1 - target) * (1 - p).log()).mean()


def channels_first(images):
    """Turn uint8 (n, side, side, 3) into float32 (n, 3, side, side)."""
    return images.permute(0, 3, 1, 2).float()


def uniform(*shape):
    """Draw uniform numbers from -1 to 1."""
    return torch.rand(shape, device=DEVICE) * 2 - 1


def augment(images, size, degraded):
    """Augment as cnn.py does, and enlarge to `size`; `degraded` changes the light once more and then degrades."""
    x = light(turn(images, size))
    return degrade(light(x), images.shape[1]) if degraded else x


def turn(images, size, draw=uniform):
    """Do `cnn.turn`, and enlarge to `size` in the same bilinear interpolation, since a second one would blur."""
    n, side = images.shape[:2]
    angle, zoom, stretch, right, down, mirror = draw(6, n)
    middle = (side - 1) / 2
    angle, zoom, stretch = math.pi * angle, torch.exp(cnn.ZOOM * zoom), torch.exp(cnn.STRETCH * stretch)
    right, down = 2 * middle * cnn.SHIFT * right, 2 * middle * cnn.SHIFT * down
    mirror = torch.where(mirror < 0, -1.0, 1.0)
    xx, xy = torch.cos(angle) * zoom * stretch * mirror, -torch.sin(angle) * zoom
    yx, yy = torch.sin(angle) * zoom * stretch * mirror, torch.cos(angle) * zoom
    x0, y0 = middle * (1 - xx - xy) + right, middle * (1 - yx - yy) + down
    xx, xy, x0, yx, yy, y0 = (value[:, None, None] for value in (xx, xy, x0, yx, yy, y0))
    place = (torch.arange(size, device=DEVICE) + 0.5) * side / size - 0.5  # of each result pixel in the crop
    x, y = place[None, None, :], place[None, :, None]
    shown = torch.stack([xx * x + xy * y + x0, yx * x + yy * y + y0], -1)
    shown = (shown + 0.5) * 2 / side - 1  # -1 and 1 are the borders of the crop
    return functional.grid_sample(channels_first(images), shown, "bilinear", "zeros", align_corners=False)


def light(images, draw=uniform):
    """Do `cnn.light`."""
    n = len(images)
    curve, contrast, brightness = draw(3, n, 3, 1, 1) + draw(3, n, 1, 1, 1)
    curve, contrast = cnn.CURVE * curve, torch.exp(cnn.CONTRAST * contrast)
    square, linear = -contrast * curve / 255, contrast * (1 + curve)
    constant = 255 * (0.5 - 0.5 * contrast + cnn.BRIGHTNESS * brightness)
    retina = (images.amax(1, keepdim=True) > 0).float()
    return torch.round(((square * images + linear) * images + constant).clamp_(0, 255)) * retina


def degrade(images, side):
    """Blur, compress and add noise, each to half of the photographs; `side` is that of the crop, before enlarging."""
    n, size = len(images), images.shape[2]
    retina = (images.amax(1, keepdim=True) > 0).float()
    on = (torch.rand(3, n, device=DEVICE) < 0.5).float()
    sigma, step, noise = (
        chosen * (least + (most - least) * torch.rand(n, device=DEVICE))
        for chosen, (least, most) in zip(on, (BLUR, STEP, NOISE))
    )
    x = compress(blur(images, sigma * size / side + 1e-3), step + 1e-2)
    x = x + noise[:, None, None, None] * torch.randn_like(x)
    return torch.round(x.clamp(0, 255)) * retina


def blur(images, sigma):
    """Blur each photograph with a Gaussian of its own standard deviation, `sigma` (n,) in pixels."""
    offsets = torch.arange(-REACH, REACH + 1, device=DEVICE)
    weights = torch.exp(-0.5 * (offsets[None] / sigma[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True))[..., None, None, None]
    for axis, border in ((2, (0, 0, REACH, REACH)), (3, (REACH, REACH, 0, 0))):
        padded = functional.pad(images, border, mode="replicate")
        images = sum(padded.narrow(axis, i, images.shape[axis]) * weights[:, i] for i in range(2 * REACH + 1))
    return images


def compress(images, step):
    """Round the cosines of each block of 8 x 8 pixels, as JPEG does: lowest ones to multiples of `step` (n,)."""
    n, _, size, _ = images.shape
    k, place = np.mgrid[:8, :8]
    cosines = np.cos(math.pi * (2 * place + 1) * k / 16) * np.sqrt(np.where(k == 0, 1 / 8, 2 / 8))
    cosines = torch.tensor(cosines.astype(np.float32), device=DEVICE)
    basis = torch.einsum("ui,vj->uvij", cosines, cosines).reshape(64, 1, 8, 8)
    u = torch.arange(8, device=DEVICE)
    steps = (1 + (u[:, None] + u[None]) / 4).reshape(1, 64, 1, 1) * step.repeat_interleave(3)[:, None, None, None]
    found = functional.conv2d(images.reshape(3 * n, 1, size, size), basis, stride=8)
    return functional.conv_transpose2d(torch.round(found / steps) * steps, basis, stride=8).reshape(images.shape)
