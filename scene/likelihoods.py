"""Likelihoods p(view | z): one distribution for a whole view of one scene.

Each is a Pyro distribution whose ``log_prob`` is a single reduction, so that images and masks
cost no more than in hand-written PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from .labels import VOID


class Pixels(TorchDistribution):
    """An image with independent Normal or Laplace noise around its mean.

    Args:
        loc: Mean image, ``(..., 3, H, W)``, in [0, 1].
        scale: Noise scale, one positive number or a scalar tensor, same units.
        noise: ``normal`` (scale = standard deviation) or ``laplace`` (mean absolute deviation).

    Raises:
        ValueError: If the noise is neither.

    >>> Pixels(torch.zeros(2, 3, 4, 4), 1.0).log_prob(torch.zeros(2, 3, 4, 4)) / 48
    tensor([-0.9189, -0.9189])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch reads it from the class)
    support = constraints.independent(constraints.real, 3)
    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor | float, noise: str = "normal") -> None:
        if noise not in ("normal", "laplace"):
            raise ValueError(f"Pixels scatter as normal or laplace noise, not as {noise!r}.")
        self.loc, self.noise = loc, noise
        self.scale = torch.as_tensor(scale, dtype=loc.dtype, device=loc.device)
        super().__init__(loc.shape[:-3], loc.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean image."""
        return self.loc

    def expand(self, batch_shape: Any, _instance: Any = None) -> Pixels:
        """Return the distribution expanded to a larger batch shape."""
        return Pixels(self.loc.expand(*batch_shape, *self.event_shape), self.scale, self.noise)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, summed over channels and pixels: the batch shape."""
        error = value - self.loc
        count = math.prod(self.event_shape)
        if self.noise == "laplace":
            distance = error.abs().flatten(-3).sum(-1) / self.scale
            return -distance - count * (self.scale.log() + math.log(2))
        distance = error.square().flatten(-3).sum(-1) / (2 * self.scale.square())
        return -distance - count * (self.scale.log() + 0.5 * math.log(2 * math.pi))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Sample images."""
        shape = self._extended_shape(sample_shape)
        zero, one = torch.zeros_like(self.loc), torch.ones_like(self.loc)
        family = (
            torch.distributions.Laplace if self.noise == "laplace" else torch.distributions.Normal
        )
        noise = family(zero, one, validate_args=False).sample(torch.Size(sample_shape))
        return self.loc + self.scale * noise.reshape(shape)


class LabelMap(TorchDistribution):
    """A mask whose pixels are independent categoricals; void pixels are left out.

    Args:
        logits: Unnormalised log probabilities, ``(..., C, H, W)``.

    >>> LabelMap(torch.zeros(1, 2, 1, 2)).log_prob(torch.tensor([[[1, 255]]]))
    tensor([-0.6931])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.independent(constraints.nonnegative_integer, 2)

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        event = torch.Size((*logits.shape[-2:],))
        super().__init__(logits.shape[:-3], event, validate_args=False)

    @property
    def probs(self) -> Tensor:
        """Class probabilities, ``(..., C, H, W)``."""
        return self.logits.softmax(-3)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LabelMap:
        """Return the distribution expanded to a larger batch shape."""
        return LabelMap(self.logits.expand(*batch_shape, *self.logits.shape[-3:]))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log probability, summed over pixels that are not void: the batch shape."""
        batch = torch.broadcast_shapes(value.shape[:-2], self.batch_shape)
        loss = F.cross_entropy(
            _flat(self.logits, batch, 3).contiguous(),  # channels-last takes 1.2 times as long
            _flat(value, batch, 2),
            ignore_index=VOID,
            reduction="none",
        )
        return -loss.flatten(1).sum(-1).reshape(batch)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Sample masks, each pixel independently."""
        logits = self.logits.movedim(-3, -1)
        pixels = torch.distributions.Categorical(logits=logits, validate_args=False)
        mask: Tensor = pixels.sample(torch.Size(sample_shape))
        return mask


class ClassVector(TorchDistribution):
    """A class vector of independent Bernoullis.

    Args:
        logits: Log odds, ``(..., C)``.

    >>> ClassVector(torch.zeros(1, 3)).log_prob(torch.ones(1, 3))
    tensor([-2.0794])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    @property
    def probs(self) -> Tensor:
        """Probability of each class being present, ``(..., C)``."""
        return self.logits.sigmoid()

    def expand(self, batch_shape: Any, _instance: Any = None) -> ClassVector:
        """Return the distribution expanded to a larger batch shape."""
        return ClassVector(self.logits.expand(*batch_shape, *self.event_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log probability, summed over classes: the batch shape."""
        logits, value = torch.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value, reduction="none").sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Sample class vectors."""
        probs = self.probs.expand(self._extended_shape(sample_shape))
        return torch.bernoulli(probs)


def entropy(probs: Tensor, count: int | None = None) -> Tensor:
    """Return the entropy of every pixel in units of log C: ``(..., C, H, W)`` to ``(..., H, W)``.

    0 = one label is certain, 1 = all labels are equally probable.

    Args:
        probs: Probabilities of labels; those left out have probability 0.
        count: C, with the labels that are left out; None = there are none.

    >>> entropy(torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]]))
    tensor([[0., 1.]])
    """
    nats = -(probs * probs.clamp(min=1e-20).log()).sum(-3)
    return (nats / math.log(max(2, count or probs.shape[-3]))).clamp(0, 1).abs()


def _flat(tensor: Tensor, batch: torch.Size, event: int) -> Tensor:
    """Broadcast all but the last ``event`` dimensions to ``batch``, and flatten them."""
    shape = tensor.shape[-event:]
    return tensor.expand(*batch, *shape).reshape(-1, *shape)
