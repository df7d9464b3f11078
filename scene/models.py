"""The generative models: what a scene is, and how its image, classes and mask come from it (p).

A model says nothing about learning, and does not know its guide. Every one offers

- ``views``, the views it explains, and ``conditions``, those it takes as given;
- ``latent``, the length of z, 0 if it has none;
- ``prior(views)``, its belief about z before looking, or None if it has no latent;
- ``decode(z, views, names)``, the likelihood of each view named;
- ``forward(views)``, the Pyro program: z from the prior, then each observed view from z.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from .likelihoods import ClassVector, LabelMap, Pixels
from .networks.backbones import Weights, features, require_room
from .networks.classifiers import classifier
from .networks.decoders import ClassHead, Painter
from .networks.encoders import GaussianHead, Stem, UNet, stem
from .networks.spatial import GridBelief, Latent, Pyramid
from .sizes import STOCK_LATENT, STOCK_WIDTH
from .views import VIEWS, Schema, Views

Likelihood = Pixels | LabelMap | ClassVector


class SceneModel(nn.Module):
    """Plates, samples and masks shared by every model; subclasses say what the densities are.

    A view not observed in a scene is a leaf: masking its site integrates it out.
    """

    views: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    latent: int = 0

    @property
    def threshold(self) -> float:
        """The probability above which a class counts as present."""
        return 0.5

    def prior(self, views: Views) -> dist.Distribution | None:
        """Say p(z) for the scenes of ``views``: N(0, I), or None for a model without latent.

        Batch shape ``(B,)``, event shape ``(L,)``.
        """
        return standard_normal(len(views), self.latent, views.device) if self.latent else None

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Say p(view | z) for each view named: batch shape ``(B,)`` or ``(K, B)``.

        Args:
            z: Latents, ``(B, L)`` or ``(K, B, L)``; None for a model without any.
            views: Gives the conditions, if the model has any.
            names: Views of ``self.views``.
        """
        raise NotImplementedError

    def forward(self, views: Views) -> Tensor | None:
        """Run the program: draw z, then score each view that is held and observed."""
        with pyro.plate("scenes", len(views), dim=-1):
            prior = self.prior(views)
            z = pyro.sample("z", prior) if prior is not None else None
            observed = [name for name in self.views if name in views]
            for name, likelihood in self.decode(z, views, observed).items():
                with poutine.mask(mask=views.present[name]):
                    pyro.sample(name, likelihood, obs=_blanked(views, name))
        return z


class JointScene(SceneModel):
    """p(z) p(image | z) p(classes | z) p(mask | z): the model of j-VAE, JMVAE and TELBO alike.

    Args:
        schema: Labels and image size.
        latent: Length of z.
        width: Channels of the finest layer of the painters.
        noise: Scatter of pixels, ``normal`` or ``laplace``.
        image_scale: Scale of that noise in units of the image's [0, 1] range.
        learn_scale: Learn the scale, starting there.
        spatial: Channels of z for each cell of a grid over the scene, beside ``latent``; 0 = none.
        cell: Height and width of a cell in pixels.
    """

    views: tuple[str, ...] = VIEWS

    def __init__(
        self,
        schema: Schema,
        latent: int = STOCK_LATENT,
        width: int = STOCK_WIDTH,
        noise: Literal["normal", "laplace"] = "normal",
        image_scale: float = 0.1,
        learn_scale: bool = False,
        spatial: int = 0,
        cell: int = 4,
    ) -> None:
        super().__init__()
        self.parts = Latent(latent, spatial, cell, schema.size)
        self.latent, self.noise = self.parts.length, noise
        labels = schema.labels
        self.image = Painter(latent, 3, schema.size, width, spatial, cell)
        self.mask = Painter(latent, len(labels.names), schema.size, width, spatial, cell)
        self.classes = ClassHead(latent, 8 * width, len(labels.classes), spatial)
        log_scale = torch.tensor(float(image_scale)).log()
        self.log_scale = nn.Parameter(log_scale, requires_grad=learn_scale)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Decode each view named from z alone."""
        assert z is not None
        return dict(self._decoded(z, tuple(names)))

    def _decoded(self, z: Tensor, names: tuple[str, ...]) -> Iterator[tuple[str, Likelihood]]:
        parts = self.parts.split(z)
        if "image" in names:
            yield "image", Pixels(self.image(*parts).sigmoid(), self.log_scale.exp(), self.noise)
        if "classes" in names:
            yield "classes", ClassVector(self.classes(*parts))
        if "mask" in names:
            yield "mask", LabelMap(self.mask(*parts))


class ConditionalScene(SceneModel):
    """p(z | image) p(mask | image, z): the cVAE, which draws one of the masks an image may have.

    Args:
        schema: Labels and image size.
        latent: Length of z.
        width: Channels of the finest layer of the painter.
        backbone: What reads the image: one of `scene.networks.backbones.BACKBONES`.
        weights: Where the backbone's weights come from: ``none``, ``imagenet`` or a path.
        hidden: Length of the image's feature vector.
        prior: ``learned``: a network of its own says p(z | image); ``standard``: it is N(0, I),
            and where the posteriors of all scenes do not cover that, what is drawn from it was
            never learned.
        spatial: Channels of z for each cell of a grid, beside ``latent``; 0 = there is no grid,
            and all that the mask can know of the image is one vector. With a grid, each cell is
            also told what half a U-Net sees there.
        cell: Height and width of a cell in pixels.

    Source:
        Sohn et al. (2015), Learning Structured Output Representation using Deep Conditional
        Generative Models, eq. 4 (where the prior is learned); with a grid, near to Kohl et al.
        (2018), A Probabilistic U-Net, https://arxiv.org/abs/1806.05034
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(
        self,
        schema: Schema,
        latent: int = STOCK_LATENT,
        width: int = STOCK_WIDTH,
        backbone: str = "small",
        weights: Weights = "none",
        hidden: int = 256,
        prior: Literal["learned", "standard"] = "standard",
        spatial: int = 0,
        cell: int = 4,
    ) -> None:
        super().__init__()
        self.parts = parts = Latent(latent, spatial, cell, schema.size)
        self.latent = parts.length
        self.features = features(backbone, schema, width, weights)
        self.condense = nn.Sequential(nn.Linear(self.features.features, hidden), nn.ReLU())
        self.sight = Pyramid(Stem(3, schema.size, width), parts, width) if spatial else None
        told = spatial + (self.sight.features if self.sight else 0)
        labels = len(schema.labels.names)
        self.mask = Painter(latent + hidden, labels, schema.size, width, told, cell)
        self.belief = _Belief(schema, width, hidden, parts) if prior == "learned" else None

    def prior(self, views: Views) -> dist.Distribution | None:
        """Say p(z | image), if that is learned."""
        if self.belief is None:
            return super().prior(views)
        return dist.Normal(*self.belief(views["image"])).to_event(1)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Decode the mask from z and the image, whose features are found once for all draws."""
        assert z is not None
        assert views is not None
        if "mask" not in names:
            return {}
        seen = self.condense(self.features(views["image"])).float()
        vector, cells = self.parts.split(z)
        both = torch.cat([vector, seen.expand(*z.shape[:-1], -1)], dim=-1)
        if self.sight is not None and cells is not None:
            sight = self.sight(views["image"]).float()
            cells = torch.cat([cells, sight.expand(*z.shape[:-1], -1, -1, -1)], dim=-3)
        return {"mask": LabelMap(self.mask(both, cells))}


class SegmentedScene(SceneModel):
    """p(mask | image), with nothing latent: the supervised yardstick.

    Args:
        schema: Labels and image size.
        width: Channels of the U-Net at full resolution.
    """

    views = ("mask",)
    conditions = ("image",)

    def __init__(self, schema: Schema, width: int = STOCK_WIDTH) -> None:
        super().__init__()
        halvings = 4 if min(schema.size) >= 32 else 3
        self.net = UNet(3, len(schema.labels.names), width, halvings)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Label every pixel of the image."""
        assert views is not None
        return {"mask": LabelMap(self.net(views["image"]))} if "mask" in names else {}


class ClassifiedScene(SceneModel):
    """p(classes | image), with nothing latent: what image-level labels alone can teach.

    Args:
        schema: Labels and image size.
        width: Channels of the first stage of the small backbone.
        backbone: One of `scene.networks.classifiers.CLASSIFIERS`.
        weights: Where the backbone's weights come from: ``none``, ``imagenet`` or a path.
        threshold: The probability above which a class counts as present.
    """

    views = ("classes",)
    conditions = ("image",)
    _threshold: Tensor

    def __init__(
        self,
        schema: Schema,
        width: int = STOCK_WIDTH,
        backbone: str = "small",
        weights: Weights = "none",
        threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.labels = schema.labels
        if backbone != "small":
            require_room(backbone, schema.size)
        self.net = classifier(backbone, len(schema.labels.classes), width, weights)
        self.register_buffer("_threshold", torch.tensor(threshold))

    @property
    def threshold(self) -> float:
        """The probability above which a class counts as present; it is kept with the weights."""
        return round(float(self._threshold), 6)

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold.fill_(value)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Judge every class of the image."""
        assert views is not None
        return {"classes": ClassVector(self.net(views["image"]))} if "classes" in names else {}


class _Belief(nn.Module):
    """Mean and scale of z given an image, each ``(B, L)``."""

    def __init__(self, schema: Schema, width: int, hidden: int, parts: Latent) -> None:
        super().__init__()
        self.stem = stem("image", schema, width)
        self.head = GaussianHead(self.stem.features, hidden, parts.vector)
        stems = {"image": stem("image", schema, width)}
        self.cells = GridBelief(stems, parts, width) if parts.channels else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.head(self.stem(image))
        if self.cells is None:
            return loc, scale
        here, width = self.cells(Views({"image": image}))
        return torch.cat([loc, here], dim=-1), torch.cat([scale, width], dim=-1)


def _blanked(views: Views, name: str) -> Tensor:
    """Put zeros for placeholders: what is masked must still be finite, or gradients are not."""
    missing = ~views.present[name]
    if not bool(missing.any()):
        return views[name]
    return views[name].masked_fill(missing.view(-1, *[1] * (views[name].dim() - 1)), 0)


def standard_normal(count: int, latent: int, device: torch.device) -> dist.Distribution:
    """Make N(0, I) over z for a batch: batch shape ``(count,)``, event shape ``(latent,)``."""
    zero = torch.zeros(count, latent, device=device)
    return dist.Normal(zero, torch.ones_like(zero)).to_event(1)
