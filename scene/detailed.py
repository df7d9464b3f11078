"""A joint scene whose images have the details that the mean of its decoder leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from .flows import Flow
from .likelihoods import ClassVector, LabelMap
from .models import JointScene, Likelihood, SceneModel, known_labels, one_hot_labels, with_observed
from .networks.velocity import ImageVelocity
from .views import Schema, Views

STEPS = 8
"""Steps from noise to an image; each asks the network twice."""

STOCK_DETAIL_WIDTH = 32
"""Channels of the network of details at its finest resolution, unless others are asked for."""


class DetailedPixels(TorchDistribution):
    """Images that a flow draws around their means.

    Args:
        loc: Mean images, ``(..., 3, H, W)``, in [0, 1].
        conditions: What the flow sees, ``(..., channels, H, W)``.
        velocity: The flow's network.
        scale: Standard deviation of images from their means, ``(3,)``, same units, positive.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.independent(constraints.real, 3)

    def __init__(
        self, loc: Tensor, conditions: Tensor, velocity: ImageVelocity, scale: Tensor
    ) -> None:
        self.loc, self.conditions, self.velocity, self.scale = loc, conditions, velocity, scale
        pictures = conditions.reshape(-1, *conditions.shape[-3:])
        pixels = scale.repeat_interleave(loc.shape[-1] * loc.shape[-2])
        self._flow = Flow(
            partial(_field, velocity, pictures),
            torch.zeros_like(pixels),
            pixels,
            len(pictures),
            STEPS,
        )
        super().__init__(loc.shape[:-3], loc.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The decoder's mean image."""
        return self.loc

    def expand(self, batch_shape: Any, _instance: Any = None) -> DetailedPixels:
        """Return the distribution expanded to a larger batch shape."""
        loc, conditions = (
            tensor.expand(*batch_shape, *tensor.shape[-3:])
            for tensor in (self.loc, self.conditions)
        )
        return DetailedPixels(loc, conditions, self.velocity, self.scale)

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw images, in [0, 1]: ``(*sample_shape, ..., 3, H, W)``."""
        rest = self._flow.sample(torch.Size(sample_shape))
        shape = (*torch.Size(sample_shape), *self.batch_shape, *self.event_shape)
        images: Tensor = (self.loc + rest.reshape(shape)).clamp(0, 1)
        return images

    @torch.no_grad()
    def noise_of(self, images: Tensor) -> Tensor:
        """Return the noise, ``(..., 3 H W)``, that images ``(..., 3, H, W)`` were drawn from.

        Up to the error of the flow's steps, and to what the draw was clamped by.
        """
        rest = (images - self.loc).reshape(*self._flow.batch_shape, -1)
        return self._flow.noise_of(rest).reshape(*self.batch_shape, -1)

    @torch.no_grad()
    def moved(self, noise: Tensor) -> Tensor:
        """Return the images, ``(..., 3, H, W)`` in [0, 1], that noise ``(..., 3 H W)`` becomes."""
        rest = self._flow.moved(noise.reshape(*self._flow.batch_shape, -1))
        images: Tensor = (self.loc + rest.reshape(self.loc.shape)).clamp(0, 1)
        return images

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density before draws are clamped, in nats, as `Flow.log_prob` has it."""
        rest = (value - self.loc).reshape(-1, *self._flow.batch_shape, *self._flow.event_shape)
        batch = torch.broadcast_shapes(value.shape[:-3], self.batch_shape)
        log_p: Tensor = self._flow.log_prob(rest).reshape(batch)
        return log_p


def _field(velocity: ImageVelocity, pictures: Tensor, time: Tensor, x: Tensor) -> Tensor:
    """Return the velocity of ``(N, B, 3 H W)``, given pictures ``(B, channels, H, W)``."""
    images = x.reshape(-1, 3, *pictures.shape[-2:])
    copies = pictures.repeat(x.shape[0], 1, 1, 1)
    return cast(Tensor, velocity(images, time.expand(len(images)), copies)).reshape(x.shape)


class DetailedScene(SceneModel):
    """A joint scene, and a flow p(image | mean image, mask) for the textures and noise of images.

    The mean of a decoder is blurred where z does not tell, and has no noise: it is the picture
    that errs least, and looks like none of the data. The flow draws what is missing, on the mask
    that was observed, or on the most probable one; it learns on true masks, so that a drawn image
    shows just the drawn mask.

    Args:
        schema: Labels and image size.
        scene: The joint scene, which stays as it is.
        width: Channels of the flow's network at its finest resolution.

    Source:
        Pandey et al. (2022), DiffuseVAE, formulation 1, with a flow for the diffusion,
        https://arxiv.org/abs/2201.00308
    """

    scale: Tensor
    counted: Tensor

    def __init__(self, schema: Schema, scene: JointScene, width: int = STOCK_DETAIL_WIDTH) -> None:
        super().__init__()
        self.scene = scene.requires_grad_(False).eval()
        self.views, self.latent, self.parts = scene.views, scene.latent, scene.parts
        self.velocity = ImageVelocity(3 + len(schema.labels.names), width)
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("counted", torch.zeros(()))

    def train(self, mode: bool = True) -> DetailedScene:
        """Set the mode of all but the joint scene, which stays as it is."""
        super().train(mode)
        self.scene.eval()
        return self

    def prior(self, views: Views | None, scenes: int = 1) -> dist.Distribution:
        """Return the joint scene's p(z)."""
        return self.scene.prior(views, scenes)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(view | z) for each view named."""
        names = tuple(names)
        rest = [name for name in names if name != "image"]
        decoded = self.scene.decode(z, views, rest) if rest else {}
        if "image" in names:
            assert z is not None
            decoded["image"] = cast(Any, self._detailed(*self.mean_and_labels(z, views)))
        return {name: decoded[name] for name in names}

    def compose(self, z: Tensor | None, observed: Views | None) -> dict[str, Likelihood]:
        """Return the likelihoods of a drawn scene, see `JointScene.compose`."""
        likelihoods = self.scene.compose(z, observed)
        mask = likelihoods["mask"]
        assert isinstance(mask, LabelMap)
        logits = with_observed(mask.logits, observed)
        likelihoods["mask"] = LabelMap(logits)
        likelihoods["classes"] = ClassVector(self.scene.classes(logits))
        image = self._detailed(likelihoods["image"].mean, logits.argmax(-3))
        return likelihoods | {"image": cast(Any, image)}

    def mean_and_labels(self, z: Tensor, views: Views | None) -> tuple[Tensor, Tensor]:
        """Return the mean image, and the label of each pixel: the observed, or the most probable.

        Args:
            z: Latents, ``(..., B, L)``.
            views: B scenes' views; None = none were observed.

        Returns:
            Images ``(..., B, 3, H, W)``, decoded on these labels; labels ``(..., B, H, W)``.
        """
        labels = known_labels(self.scene.decode(z, None, ("mask",))["mask"], views)
        return self.scene.image_on(z, labels).mean, labels

    def _detailed(self, mean: Tensor, labels: Tensor) -> DetailedPixels:
        conditions = conditioning_images(mean, labels, self.scene.label_count)
        return DetailedPixels(mean, conditions, self.velocity, self.scale)

    def standardised(self, rest: Tensor) -> Tensor:
        """Return what images have beyond their means, ``(B, 3, H, W)``, with a deviation of 1.

        In training it is counted: what is learned from comes to be standard.
        """
        if self.training:
            with torch.no_grad():
                self.counted += 1
                now = rest.square().mean((0, 2, 3))
                before = self.scale.square()
                self.scale.copy_((before + (now - before) / self.counted).clamp(min=1e-8).sqrt())
        return rest / self.scale[:, None, None]


def conditioning_images(mean: Tensor, masks: Tensor, labels: int) -> Tensor:
    """Return what the flow sees: the mean image, and a picture of each label, all around 0.

    Args:
        mean: Images ``(..., 3, H, W)`` in [0, 1].
        masks: Their labels, ``(..., H, W)``.
        labels: L.

    Returns:
        ``(..., 3 + L, H, W)``.
    """
    return torch.cat([2 * mean - 1, 2 * one_hot_labels(masks, labels) - 1], dim=-3)
