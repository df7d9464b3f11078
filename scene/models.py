"""Generative models (p): the prior of z, and the likelihood of image, classes and mask given z.

A model knows neither its guide nor its objective. Every model has

- ``views``, the views whose density it is, and ``conditions``, the views it conditions on;
- ``latent``, the length of z; 0 if it has no z;
- ``prior(views, scenes)``, p(z | conditions), or None if it has no z;
- ``decode(z, views, names)``, the likelihood of each view named;
- ``forward(views)``, the Pyro program: z from the prior, then each observed view from z.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from .labels import VOID
from .likelihoods import ClassVector, LabelMap, Pixels
from .networks.backbones import Weights
from .networks.decoders import ClassDecoder, ClassesOfMask, Decoder
from .networks.encoders import Encoder, GaussianHead, make_encoder
from .networks.image_encoders import TrunkEncoder, make_backbone
from .networks.spatial import FeaturePyramid, GridGaussian, Latent
from .priors.prior import PriorMaker, StandardPrior
from .sizes import STOCK_IMAGE_SCALE, STOCK_LATENT, STOCK_WIDTH
from .views import VIEWS, Schema, Views

Likelihood = Pixels | LabelMap | ClassVector


class SceneModel(nn.Module):
    """The Pyro program of every model; subclasses define the prior and the likelihoods.

    A view that is not observed in a scene is a leaf of the program, so masking its sample site
    integrates it out.

    Attributes:
        views: The views that it explains.
        conditions: The views that it takes as given.
        latent: Length of z; 0 = there is none.
        encoders: For each view of one's own, what makes a guide's encoder of it, from the schema
            and a width; see `inference.guides.Guide`.
    """

    views: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    encoders: ClassVar[Mapping[str, Any]] = {}
    latent: int = 0

    @property
    def threshold(self) -> float:
        """The probability above which a class counts as present."""
        return 0.5

    def prior(self, views: Views | None, scenes: int = 1) -> dist.Distribution | None:
        """Return p(z): N(0, I), or None for a model without z.

        Args:
            views: B scenes' views, with the conditions; None = there are none.
            scenes: B, where there are no views.

        Returns:
            Batch shape ``(B,)``, event shape ``(L,)``.
        """
        if not self.latent:
            return None
        if views is not None:
            return standard_normal(len(views), self.latent, views.device)
        return standard_normal(scenes, self.latent, next(self.parameters()).device)

    def extend(self, views: Views) -> Views:
        """Return a batch of a dataset with the views of one's own that follow from others."""
        return views

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(view | z) for each view named: batch shape ``(B,)`` or ``(K, B)``.

        Args:
            z: Latents, ``(B, L)`` or ``(K, B, L)``; None for a model without z.
            views: Holds the conditions, if the model has any.
            names: Views of ``self.views``.
        """
        raise NotImplementedError

    def explain(
        self, z: Tensor | None, views: Views, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return the likelihoods that `forward` conditions on: by default those of `decode`.

        What is called ``view.more`` is a further likelihood of the view.
        """
        return self.decode(z, views, names)

    def forward(self, views: Views) -> Tensor | None:
        """Sample z, ``(B, L)``, from the prior, then condition on each view that is observed."""
        with pyro.plate("scenes", len(views), dim=-1):
            prior = self.prior(views)
            z = pyro.sample("z", prior) if prior is not None else None
            observed = [name for name in self.views if name in views]
            for name, likelihood in self.explain(z, views, observed).items():
                view = name.partition(".")[0]
                with poutine.mask(mask=views.present[view]):
                    pyro.sample(name, likelihood, obs=_blanked(views, view))
        return z


class JointScene(SceneModel):
    """p(z) p(image | z) p(classes | z) p(mask | z): the model of j-VAE, JMVAE and TELBO.

    Classes are decoded from the mask's logits, so that they are those that the mask shows. In
    training they are explained by a head of their own, too: it teaches z and the guide's encoders
    what classes are long before masks show them.

    Args:
        schema: Labels and image size.
        latent: Length of z.
        width: Channels of the finest layer of the decoders.
        noise: Noise of pixels, ``normal`` or ``laplace``.
        image_scale: Scale of that noise in units of the image's [0, 1] range.
        learn_scale: Learn the scale, starting from ``image_scale``.
        spatial: Channels of z for each cell of a grid over the scene, beside ``latent``; 0 = no
            grid.
        cell: Height and width of a cell in pixels.
        mask_first: Whether the image is decoded from z and the mask, p(image | z, mask): from the
            mask that was observed, in training the true one, and where there is none from the
            probabilities of labels that z decodes to. In training nothing flows back through
            those, or the many nats of an image would make of the mask what suits the image.
        make_prior: Makes p(z) from the layout of z and the width: a class of `scene.priors`.
    """

    views: tuple[str, ...] = VIEWS

    def __init__(
        self,
        schema: Schema,
        latent: int = STOCK_LATENT,
        width: int = STOCK_WIDTH,
        noise: Literal["normal", "laplace"] = "normal",
        image_scale: float = STOCK_IMAGE_SCALE,
        learn_scale: bool = False,
        spatial: int = 0,
        cell: int = 4,
        mask_first: bool = False,
        make_prior: PriorMaker = StandardPrior,
    ) -> None:
        super().__init__()
        self.parts = Latent(latent, spatial, cell, schema.size)
        self.latent_prior = make_prior(self.parts, width)
        self.latent, self.noise, self.mask_first = self.parts.length, noise, mask_first
        labels = schema.labels
        self.label_count = count = len(labels.names)
        hints = count if mask_first else 0
        self.image = Decoder(latent, 3, schema.size, width, spatial, cell, hints)
        self.mask = Decoder(latent, count, schema.size, width, spatial, cell)
        self.classes = ClassesOfMask(labels.ids)
        self.class_head = ClassDecoder(latent, 8 * width, len(labels.classes), spatial)
        log_scale = torch.tensor(float(image_scale)).log()
        self.log_scale = nn.Parameter(log_scale, requires_grad=learn_scale)

    def prior(self, views: Views | None, scenes: int = 1) -> dist.Distribution:
        """Return p(z): batch shape ``(B,)``, event shape ``(L,)``."""
        p: dist.Distribution = self.latent_prior(scenes if views is None else len(views))
        return p

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(view | z) for each view named."""
        assert z is not None
        return dict(self._likelihoods(z, views, tuple(names)))

    def explain(
        self, z: Tensor | None, views: Views, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(view | z) of each view named; of classes two in training, the head's first."""
        decoded = self.decode(z, views, names)
        if self.training and "classes" in decoded and z is not None:
            head = ClassVector(self.class_head(*self.parts.split(z)))
            decoded |= {"classes": head, "classes.mask": decoded["classes"]}
        return decoded

    def _likelihoods(
        self, z: Tensor, views: Views | None, names: tuple[str, ...]
    ) -> Iterator[tuple[str, Likelihood]]:
        parts, logits, hint = self.parts.split(z), None, None
        painted = self.mask_first and "image" in names
        seen = observed_labels(views) if painted else None
        decoded = painted and (seen is None or bool((seen == VOID).any()))
        if decoded or "mask" in names or "classes" in names:
            logits = self.mask(*parts)
        if painted:
            hint = self._hint(seen, logits, z.shape[:-1])
        if "image" in names:
            pixels = self.image(*parts, hint).sigmoid()
            yield "image", Pixels(pixels, self.log_scale.exp(), self.noise)
        if "classes" in names and logits is not None:
            yield "classes", ClassVector(self.classes(logits))
        if "mask" in names and logits is not None:
            yield "mask", LabelMap(logits)

    def _hint(self, seen: Tensor | None, logits: Tensor | None, batch: torch.Size) -> Tensor:
        """Return the labels that the image is decoded from, as probabilities."""
        probs = None
        if logits is not None:
            probs = (logits.detach() if self.training else logits).softmax(-3)
        if seen is None:
            assert probs is not None
            return probs
        hint = one_hot_labels(seen, self.label_count).expand(*batch, -1, -1, -1)
        if probs is None:
            return hint
        return torch.where((seen == VOID).unsqueeze(-3), probs, hint)


class ConditionalScene(SceneModel):
    """p(z | image) p(mask | image, z): the cVAE, which samples one of the masks an image may have.

    Args:
        schema: Labels and image size.
        latent: Length of z.
        width: Channels of the finest layer of the decoder.
        backbone: Network that encodes the image, see
            `scene.networks.image_encoders.make_backbone`.
        weights: Weights of the backbone: ``none``, ``imagenet``, ``package`` or a path.
        hidden: Length of the image's feature vector.
        prior: ``standard``: p(z | image) is N(0, I); where the posteriors of all scenes do not
            cover it, the decoder meets z that it never learned. ``learned``: p(z | image) is a
            network of its own.
        spatial: Channels of z for each cell of a grid, beside ``latent``. With 0 there is no
            grid, and one vector is all that the decoder gets of the image; with a grid it also
            gets features of the image in each cell, from the trunk if there is one.
        image_grid: Whether it gets those features where z has no grid, too: then the image says
            where things are, and one vector z which of several masks is meant.
        cell: Height and width of a cell in pixels.
        stride: Of a trunk's last maps in the image that it reads: 8, 16 or 32 pixels.
        tuned_stages: How many of the backbone's last stages learn; None = all.

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
        stride: int = 16,
        tuned_stages: int | None = None,
        image_grid: bool = False,
    ) -> None:
        super().__init__()
        self.parts = parts = Latent(latent, spatial, cell, schema.size)
        self.latent = parts.length
        self.backbone = make_backbone(backbone, schema, width, weights, stride, tuned_stages)
        self.bottleneck = nn.Sequential(nn.Linear(self.backbone.features, hidden), nn.ReLU())
        self.pyramid: FeaturePyramid | None = None
        if spatial or image_grid:
            own = None if self._trunk else Encoder(3, schema.size, width)
            self.pyramid = FeaturePyramid(own, parts, width)
        channels = spatial + (self.pyramid.features if self.pyramid else 0)
        labels = len(schema.labels.names)
        self.mask = Decoder(latent + hidden, labels, schema.size, width, channels, cell)
        self.prior_net = _ImagePrior(schema, width, hidden, parts) if prior == "learned" else None

    def prior(self, views: Views | None, scenes: int = 1) -> dist.Distribution | None:
        """Return p(z | image): batch shape ``(B,)``, event shape ``(L,)``."""
        if self.prior_net is None or views is None:
            return super().prior(views, scenes)
        return dist.Normal(*self.prior_net(views["image"])).to_event(1)

    def decode(
        self, z: Tensor | None, views: Views | None, names: Iterable[str]
    ) -> dict[str, Likelihood]:
        """Return p(mask | image, z); the image is encoded once for all draws of z."""
        assert z is not None
        assert views is not None
        if "mask" not in names:
            return {}
        whole, local = self._encode(views["image"])
        features = self.bottleneck(whole).float()
        vector, grid = self.parts.split(z)
        vector = torch.cat([vector, features.expand(*z.shape[:-1], -1)], dim=-1)
        if local is not None:
            everywhere = local.expand(*z.shape[:-1], -1, -1, -1)
            grid = everywhere if grid is None else torch.cat([grid, everywhere], dim=-3)
        return {"mask": LabelMap(self.mask(vector, grid))}

    @property
    def _trunk(self) -> TrunkEncoder | None:
        return self.backbone if isinstance(self.backbone, TrunkEncoder) else None

    def _encode(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features of an image as a whole, and those of each cell of a grid."""
        if self.pyramid is None:
            return self.backbone(image), None
        if self._trunk is None:
            return self.backbone(image), self.pyramid(image).float()
        maps = self._trunk.feature_maps(image)  # once for both
        return self._trunk.vector(maps[-1]), self.pyramid.expand(maps).float()


class _ImagePrior(nn.Module):
    """Mean and standard deviation of p(z | image), each ``(B, L)``."""

    def __init__(self, schema: Schema, width: int, hidden: int, parts: Latent) -> None:
        super().__init__()
        self.encoder = make_encoder("image", schema, width)
        self.head = GaussianHead(self.encoder.features, hidden, parts.vector)
        encoders = {"image": make_encoder("image", schema, width)}
        self.grid = GridGaussian(encoders, parts, width) if parts.channels else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.head(self.encoder(image))
        if self.grid is None:
            return loc, scale
        grid_loc, grid_scale = self.grid(Views({"image": image}))
        return torch.cat([loc, grid_loc], dim=-1), torch.cat([scale, grid_scale], dim=-1)


def _blanked(views: Views, name: str) -> Tensor:
    """Replace placeholders by zeros: a masked value must be finite, or its gradient is not."""
    missing = ~views.present[name]
    if not bool(missing.any()):
        return views[name]
    return views[name].masked_fill(missing.view(-1, *[1] * (views[name].dim() - 1)), 0)


def observed_labels(views: Views | None) -> Tensor | None:
    """Return the labels of masks that were observed, ``(B, H, W)``, `VOID` where none is known.

    None if no scene has a mask.
    """
    if views is None or "mask" not in views or not bool(views.present["mask"].any()):
        return None
    return views["mask"].masked_fill(~views.present["mask"][:, None, None], VOID)


def one_hot_labels(masks: Tensor, labels: int) -> Tensor:
    """Return masks ``(..., H, W)`` as ``(..., labels, H, W)`` of 0 and 1, all 0 where void."""
    every = torch.arange(labels, device=masks.device).view(-1, 1, 1)
    return (masks.unsqueeze(-3) == every).float()


def standard_normal(count: int, latent: int, device: torch.device) -> dist.Distribution:
    """Return N(0, I) over z: batch shape ``(count,)``, event shape ``(latent,)``."""
    zero = torch.zeros(count, latent, device=device)
    return dist.Normal(zero, torch.ones_like(zero)).to_event(1)
