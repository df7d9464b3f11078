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
from .networks.decoders import ClassDecoder, ClassesOfMask, Decoder
from .networks.spatial import Latent
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

    def compose(self, z: Tensor | None, observed: Views | None) -> dict[str, Likelihood]:
        """Return the likelihood of each view of a scene that is drawn; by default by `decode`.

        Args:
            z: As of `decode`.
            observed: B scenes' views that z was drawn given; None = there are none.
        """
        return self.decode(z, observed, self.views)

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

    def compose(self, z: Tensor | None, observed: Views | None) -> dict[str, Likelihood]:
        """Return the likelihoods of a drawn scene, whose views agree.

        Its mask shows none but the classes that were observed, where they were, and is the mask
        that was observed, where the image is decoded on it; its classes are those of that mask.
        """
        assert z is not None
        others = [name for name in self.views if name != "image"]
        decoded = self.decode(z, observed, others)
        mask = decoded["mask"]
        assert isinstance(mask, LabelMap)
        logits = mask.logits
        if observed is not None and "classes" in observed:
            logits = self._without_absent(logits, observed)
        if self.mask_first:
            logits = with_observed(logits, observed)
        decoded |= {"mask": LabelMap(logits), "classes": ClassVector(self.classes(logits))}
        decoded["image"] = self.image_on(z, known_labels(decoded["mask"], observed))
        return {name: decoded[name] for name in self.views}

    def image_on(self, z: Tensor, masks: Tensor) -> Pixels:
        """Decode z, ``(..., B, L)``, as images on masks, ``(..., B, H, W)`` without void."""
        views = Views({"mask": masks.flatten(0, -3)})
        image = self.decode(z.flatten(0, -2), views, ("image",))["image"]
        assert isinstance(image, Pixels)
        loc = image.loc.reshape(*z.shape[:-1], *image.event_shape)
        return Pixels(loc, image.scale, image.noise)

    def _without_absent(self, logits: Tensor, observed: Views) -> Tensor:
        """Rule out the labels of classes that were observed to be absent."""
        absent = torch.zeros(len(observed), logits.shape[-3], device=logits.device).bool()
        absent[:, list(self.classes.ids)] = observed["classes"] < 0.5
        absent &= observed.present["classes"][:, None] & ~absent.all(1, keepdim=True)
        return logits.masked_fill(absent[..., None, None], -torch.inf)

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


def known_labels(mask: Any, views: Views | None) -> Tensor:
    """Return the label of each pixel, ``(..., B, H, W)``: the observed, or the most probable.

    Args:
        mask: A `LabelMap` of batch shape ``(..., B)``.
        views: B scenes' views; None = none were observed.
    """
    assert isinstance(mask, LabelMap)
    probable, labels = mask.logits.argmax(-3), observed_labels(views)
    return probable if labels is None else torch.where(labels == VOID, probable, labels)


def with_observed(logits: Tensor, views: Views | None) -> Tensor:
    """Make observed labels certain where they are known: logits ``(..., B, L, H, W)``."""
    labels = observed_labels(views)
    if labels is None:
        return logits
    certain = one_hot_labels(labels, logits.shape[-3]).log()
    return torch.where((labels != VOID).unsqueeze(-3), certain, logits)


def one_hot_labels(masks: Tensor, labels: int) -> Tensor:
    """Return masks ``(..., H, W)`` as ``(..., labels, H, W)`` of 0 and 1, all 0 where void."""
    every = torch.arange(labels, device=masks.device).view(-1, 1, 1)
    return (masks.unsqueeze(-3) == every).float()


def standard_normal(count: int, latent: int, device: torch.device) -> dist.Distribution:
    """Return N(0, I) over z: batch shape ``(count,)``, event shape ``(latent,)``."""
    zero = torch.zeros(count, latent, device=device)
    return dist.Normal(zero, torch.ones_like(zero)).to_event(1)
