"""Networks that can be exported: functions of tensors alone, beside what they must agree with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import torch
from torch import Tensor, nn

from scene.conditional import ConditionalScene
from scene.discriminative import CoarseScene, SegmentedScene
from scene.likelihoods import ClassVector, LabelMap, Pixels
from scene.models import JointScene, Likelihood, SceneModel
from scene.networks.spatial import GridGaussian
from scene.priors.experts import product_of_experts
from scene.priors.prior import StandardPrior
from scene.views import VIEWS, Views

from ..build import Assembly
from ..guides import Guide, JointGuide, MaskedGuide, ProductGuide, RetrofitGuide
from ..prediction.predict import posterior

PARTS = ("segmenter", "encoder", "decoder")
"""Kinds of networks, in the order in which they are exported."""

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes:
        name: The name of its file, without the suffix.
        part: One of `PARTS`.
        module: The network, of tensors alone.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        original: What it must agree with: the model or the guide as it is used everywhere else.
    """

    name: str
    part: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    original: Callable[[Tensors], Tensors]


def networks(
    assembly: Assembly, parts: Collection[str], given: Collection[frozenset[str]] | None = None
) -> list[Network]:
    """Return the networks of a model and its guide that can be exported.

    Args:
        assembly: The model and the guide, in evaluation mode.
        parts: Which of `PARTS`.
        given: Sets of views that encoders read; None = each view alone, and all together.

    Raises:
        ValueError: If there is no network of one of the parts, or no encoder given one of the
            sets of views; the message says why.
    """
    makers: dict[str, Callable[[], list[Network]]] = {
        "segmenter": lambda: list(_segmenters(assembly)),
        "encoder": lambda: list(_encoders(assembly, given)),
        "decoder": lambda: list(_decoders(assembly)),
    }
    return [network for part in PARTS if part in parts for network in makers[part]()]


def parts_of(model: SceneModel) -> tuple[str, ...]:
    """Return the kinds of networks that a model has."""
    if isinstance(model, SegmentedScene | CoarseScene):
        return ("segmenter",)
    if isinstance(model, JointScene | ConditionalScene):
        return ("encoder", "decoder")
    return ()


def _segmenters(assembly: Assembly) -> Iterator[Network]:
    model = assembly.model

    def original(inputs: Tensors) -> Tensors:
        return _values(model.decode(None, Views({"image": inputs[0]}), ("mask",)), ("mask",))

    yield Network(
        "segmenter", "segmenter", _Segmenter(model), ("image",), ("mask_logits",), original
    )


def _encoders(assembly: Assembly, given: Collection[frozenset[str]] | None) -> Iterator[Network]:
    known = readable_sets(assembly)
    usual = [names for names in known if len(names) == 1 or names == known[-1]]
    if not known:
        raise ValueError(
            f"The guide {type(assembly.guide).__name__} has no encoder that can be exported: only "
            "those of the guides joint, poe, retrofit and masked with a standard prior can."
        )
    for names in usual if given is None else [_ordered(each) for each in given]:
        if names not in known:
            listed = ", ".join("+".join(each) for each in known)
            raise ValueError(
                f"There is no encoder given {'+'.join(names)} to export; there are those given "
                f"{listed}."
            )
        yield _encoder(assembly, names)


def readable_sets(assembly: Assembly) -> list[tuple[str, ...]]:
    """Return the sets of views that z has a Gaussian posterior given, small ones first."""
    guide, model = assembly.guide, assembly.model
    known: list[tuple[str, ...]] = []
    if isinstance(model, ConditionalScene) and model.prior_net is not None:
        known.append(("image",))
    ours = type(guide) in (JointGuide, ProductGuide, RetrofitGuide, MaskedGuide)
    if not ours or type(guide.prior) is not StandardPrior:
        return known
    given = set(model.conditions)
    every = (names for count in (1, 2, 3) for names in combinations(VIEWS, count))
    return known + [
        names
        for names in every
        if guide.accepts(names) and given <= set(names) and not set(names) <= given
    ]


def _encoder(assembly: Assembly, names: tuple[str, ...]) -> Network:
    guide, model = assembly.guide, assembly.model
    module: nn.Module
    if set(names) <= set(model.conditions):
        module = _ConditionalPrior(cast(ConditionalScene, model))
    else:
        module = _Encoder(guide, names)

    def original(inputs: Tensors) -> Tensors:
        q: Any = posterior(assembly, Views(dict(zip(names, inputs, strict=True))))
        return q.mean, q.variance.sqrt()

    name = f"encoder-{'+'.join(names)}"
    return Network(name, "encoder", module, names, ("z_mean", "z_std"), original)


def _decoders(assembly: Assembly) -> Iterator[Network]:
    model = assembly.model
    conditions = model.conditions

    def original(inputs: Tensors) -> Tensors:
        z, *more = inputs
        views = Views(dict(zip(conditions, more, strict=True))) if more else None
        return _values(model.decode(z, views, model.views), model.views)

    outputs = {"image": "image_mean", "classes": "class_logits", "mask": "mask_logits"}
    yield Network(
        "decoder",
        "decoder",
        _Decoder(model),
        ("z", *conditions),
        tuple(outputs[name] for name in model.views),
        original,
    )


def _ordered(names: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in VIEWS if name in names)


def _values(likelihoods: dict[str, Likelihood], names: Sequence[str]) -> Tensors:
    """Return the mean of an image, and the logits of masks and classes."""
    values = []
    for name in names:
        likelihood = likelihoods[name]
        if isinstance(likelihood, Pixels):
            values.append(likelihood.loc)
        else:
            assert isinstance(likelihood, LabelMap | ClassVector)
            values.append(likelihood.logits)
    return tuple(values)


class _Segmenter(nn.Module):
    """Logits of the labels of each pixel, ``(B, labels, H, W)``, from images ``(B, 3, H, W)``."""

    def __init__(self, model: SceneModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensors:
        views = cast(Views, {"image": image})  # `Views` counts scenes, which a graph leaves open
        return _values(self.model.decode(None, views, ("mask",)), ("mask",))


class _Decoder(nn.Module):
    """What a model decodes z as, ``(B, L)``, given its conditions."""

    def __init__(self, model: SceneModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, *conditions: Tensor) -> Tensors:
        named = dict(zip(self.model.conditions, conditions, strict=True))
        views = cast(Views, named) if named else None
        return _values(self.model.decode(z, views, self.model.views), self.model.views)


class _ConditionalPrior(nn.Module):
    """Mean and standard deviation of p(z | image)."""

    def __init__(self, model: ConditionalScene) -> None:
        super().__init__()
        assert model.prior_net is not None
        self.net = model.prior_net

    def forward(self, image: Tensor) -> Tensors:
        return _with_grid(self.net.head(self.net.encoder(image)), self.net.grid, {"image": image})


class _Encoder(nn.Module):
    """Mean and standard deviation of q(z | views) of a guide, of scenes that all have the views.

    It computes what `Guide.posterior` does, whose batches may lack views of some scenes.
    """

    def __init__(self, guide: Guide, names: tuple[str, ...]) -> None:
        super().__init__()
        if isinstance(guide, RetrofitGuide):
            guide = guide.joint if guide.joint.accepts(names) else guide.product
        self.guide, self.names = guide, names

    def forward(self, *views: Tensor) -> Tensors:
        seen = dict(zip(self.names, views, strict=True))
        if isinstance(self.guide, ProductGuide):
            return self._product(self.guide, seen)
        if isinstance(self.guide, MaskedGuide):
            return self._masked(self.guide, seen)
        assert isinstance(self.guide, JointGuide)
        features = [encoder(seen[name]) for name, encoder in self.guide.encoders.items()]
        vector = self.guide.head(torch.cat(features, dim=-1))
        return _with_grid(vector, self.guide.grid, seen)

    def _product(self, guide: ProductGuide, seen: dict[str, Tensor]) -> Tensors:
        experts = []
        for name, view in seen.items():
            vector = guide.heads[name](guide.encoders[name](view))
            grid = cast(GridGaussian, guide.grids[name]) if name in guide.grids else None
            experts.append(_with_grid(vector, grid, {name: view}))
        zero = torch.zeros_like(experts[0][0])
        locs = [zero, *(expert[0] for expert in experts)]
        scales = [torch.ones_like(zero), *(expert[1] for expert in experts)]
        return product_of_experts(locs, scales)

    def _masked(self, guide: MaskedGuide, seen: dict[str, Tensor]) -> Tensors:
        first = next(iter(seen.values()))
        features, present = [], []
        for name in guide.views:
            absent = cast(Tensor, guide.absent[name]).expand(first.shape[0], -1)
            features.append(guide.encoders[name](seen[name]) if name in seen else absent)
            present.append(torch.full_like(features[-1][:, :1], float(name in seen)))
        vector = guide.head(torch.cat([*features, *present], dim=-1))
        return _with_grid(vector, guide.grid, seen)


def _with_grid(
    vector: Sequence[Tensor], grid: GridGaussian | None, seen: dict[str, Tensor]
) -> Tensors:
    """Append the Gaussian of z's grid to that of its vector."""
    if grid is None:
        return vector[0], vector[1]
    scenes = vector[0].shape[0]
    features = [
        encoder(seen[name])
        if name in seen
        else vector[0].new_zeros(scenes, cast(int, encoder.features), *grid.latent.grid[1:])
        for name, encoder in grid.encoders.items()
    ]
    loc, scale = grid.gaussian(features)
    return torch.cat([vector[0], loc], dim=-1), torch.cat([vector[1], scale], dim=-1)
