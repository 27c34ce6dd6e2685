"""Train one network in PyTorch, and predict with it, for pretrained/train.py."""

from typing import NamedTuple

import network_torch
import numpy as np
import torch
from torch.nn.functional import interpolate

import cnn

BATCH, LEARNING_RATE = 64, 5e-4
AVERAGE = 0.995  # of the averaged weights that is kept at each step; less in the first ones
CHUNK = 256  # photographs predicted at once
VIEWS = 8  # quarter turns of the photograph and of its mirror image


class Recipe(NamedTuple):
    """A training; `mixup` is the parameter of the Beta distribution of the shares, 0 mixes no photographs."""

    name: str
    network: str
    size: int
    epochs: int
    seed: int
    mixup: float = 0.0
    degraded: bool = False


def learning_rates(steps):
    """Compute the learning rate of each step as `cnn.build_trainer` does; float (steps,)."""
    at, warmup = np.arange(steps), max(1, int(cnn.WARMUP * steps))
    cosine = np.cos(np.pi * np.clip((at - warmup) / max(1, steps - warmup), 0, 1))
    falling = cnn.FINAL + (1 - cnn.FINAL) * 0.5 * (1 + cosine)
    return LEARNING_RATE * np.where(at < warmup, cnn.INITIAL + (1 - cnn.INITIAL) * at / warmup, falling)


class Training:
    """A network in training: its optimizer, and the running average of its weights."""

    def __init__(self, recipe, arrays):
        torch.manual_seed(recipe.seed)
        self.recipe, self.steps = recipe, 0
        self.network = network_torch.Network(recipe.network, arrays)
        self.learned = [self.network.weights[path] for path in self.network.learned]
        self.average = [weight.detach().clone() for weight in self.learned]
        fused = network_torch.DEVICE == "cuda"
        self.optimizer = torch.optim.AdamW(self.learned, eps=1e-7, weight_decay=cnn.WEIGHT_DECAY, fused=fused)

    def step(self, images, targets, rate, share):
        """Take a step on crops (n, side, side, 3) and targets (n, 5); return the loss.

        Each photograph is mixed with another one of the batch and keeps `share` of itself.
        """
        with torch.no_grad():
            x = network_torch.augment(images, self.recipe.size, self.recipe.degraded)
            if share < 1:
                other = torch.randperm(len(x), device=x.device)
                x, targets = (share * value + (1 - share) * value[other] for value in (x, targets))
        loss = network_torch.ordinal_crossentropy(self.network(x, training=True), targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.clip()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.steps += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.learned, 1 - min(AVERAGE, (1 + self.steps) / (10 + self.steps)))
        return loss.detach()

    @torch.no_grad()
    def clip(self):
        """Limit the norm of each variable's gradient to 1, as clipnorm=1 in cnn.py; in one kernel for all of them."""
        gradients = [weight.grad for weight in self.learned]
        factors = torch._foreach_norm(gradients)
        torch._foreach_add_(factors, 1e-12)
        torch._foreach_reciprocal_(factors)
        torch._foreach_clamp_max_(factors, 1.0)
        torch._foreach_mul_(gradients, factors)

    def epoch(self, number, images, targets, rows):
        """Train an epoch on all rows but a few that fill no batch; return the mean loss."""
        rng, steps = np.random.default_rng([self.recipe.seed, number]), len(rows) // BATCH
        order = torch.tensor(rng.permutation(rows)[: steps * BATCH].reshape(steps, BATCH), device=images.device)
        rates = learning_rates(self.recipe.epochs * steps)[number * steps :]
        shares = rng.beta(self.recipe.mixup, self.recipe.mixup, steps) if self.recipe.mixup else np.ones(steps)
        losses = [
            self.step(images[batch], targets[batch], float(rate), float(share))
            for batch, rate, share in zip(order, rates, shares)
        ]
        return float(torch.stack(losses).mean())

    def candidates(self):
        """Return the weights to choose from: those of the last step, and their average."""
        last = {path: weight.detach() for path, weight in self.network.weights.items()}
        return {"last": last, "averaged": last | dict(zip(self.network.learned, self.average))}


@torch.no_grad()
def predict(network, weights, images, rows, size):
    """Predict rows of the crops, enlarged to `size`, in each view; float32 (VIEWS, n, 5)."""
    index = torch.tensor(rows, device=images.device)
    index = torch.cat([index, index[:1].expand(-len(rows) % CHUNK)])  # cuDNN tries its kernels for each new shape
    views = [[] for _ in range(VIEWS)]
    for part in index.split(CHUNK):
        x = network_torch.channels_first(images[part])
        if x.shape[2] != size:
            x = interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
        for k, view in enumerate(views):
            view.append(network(torch.rot90(x.flip(3) if k >= 4 else x, k % 4, (2, 3)), weights))
    return torch.stack([torch.cat(view)[: len(rows)] for view in views]).cpu().numpy()
