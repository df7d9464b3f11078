"""Guides (q): amortised posteriors of z given some views of a scene.

A guide is a subclass of `Guide` that returns its posterior; the base class samples from it. A
guide of your own has the same constructor, ``YourGuide(schema, views, latent=..., width=...)``,
and the same commands: ``scene train telbo --guide lab/flow.py:FlowGuide``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, cast

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from scene.networks.encoders import GaussianHead, make_encoder
from scene.networks.spatial import GridGaussian, Latent
from scene.priors.prior import Prior, StandardPrior
from scene.sizes import STOCK_GUIDE_WIDTH, STOCK_LATENT
from scene.views import Schema, Views

EncoderMaker = Callable[[Schema, int], nn.Module]
"""Makes the encoder of a view from the schema and the width."""


class Guide(nn.Module):
    """q(z | views), amortised: subclasses define the posterior.

    Args:
        schema: Labels and image size.
        views: The views that this guide conditions on.
        latent: Length of z.
        width: Channels of the first convolution of each encoder.
        spatial: Channels of the part of z that lies on a grid; its numbers count in ``latent``.
        cell: Height and width of a cell of the grid, in pixels.
        prior: The model's p(z), which is no part of the guide; None = standard.
        encoders: For each view of your own, a function that makes its encoder from the schema and
            the width. The encoder must have ``features``, the length of its output, as those of
            `scene.networks.encoders.make_encoder` have.
    """

    def __init__(
        self,
        schema: Schema,
        views: Collection[str],
        latent: int = STOCK_LATENT,
        width: int = STOCK_GUIDE_WIDTH,
        spatial: int = 0,
        cell: int = 4,
        prior: Prior | None = None,
        encoders: Mapping[str, EncoderMaker] | None = None,
    ) -> None:
        super().__init__()
        self.schema, self.views = schema, tuple(views)
        self.latent, self.width = latent, width
        grid = Latent(0, spatial, cell, schema.size).length
        self.parts = Latent(latent - grid, spatial, cell, schema.size)
        self.makers = dict(encoders or {})
        self._prior = (prior or StandardPrior(self.parts),)  # in a tuple: its owner is the model

    @property
    def prior(self) -> Prior:
        """The model's p(z)."""
        return self._prior[0]

    def posterior(self, views: Views) -> dist.Distribution:
        """Return q(z | views): batch shape ``(B,)``, event shape ``(L,)``.

        Args:
            views: Holds exactly the views to condition on, a set that `accepts` allows.
        """
        raise NotImplementedError

    def encoder(self, name: str) -> nn.Module:
        """Make the encoder of a view: one of your own, or the package's."""
        make = self.makers.get(name, partial(make_encoder, name))
        return make(self.schema, self.width)

    def accepts(self, names: Collection[str]) -> bool:
        """Return whether there is a posterior given exactly these views; by default, given all."""
        return set(names) == set(self.views)

    def require(self, names: Collection[str]) -> None:
        """Refuse a set of views that `accepts` does not.

        Raises:
            ValueError: If there is no posterior given just these views.
        """
        if not self.accepts(names):
            raise ValueError(
                f"The guide {type(self).__name__} has no posterior given only "
                f"{', '.join(names)}; choose other views, or a guide that accepts any, "
                "such as poe or retrofit."
            )

    def forward(self, views: Views) -> Tensor:
        """Sample z given those of the views that this guide conditions on."""
        with pyro.plate("scenes", len(views), dim=-1):
            seen = views.only(name for name in self.views if name in views)
            return pyro.sample("z", self.posterior(seen))  # type: ignore[no-any-return]


class JointGuide(Guide):
    """One network that conditions on all its views together.

    Shape:
        Posterior: batch ``(B,)``, event ``(L,)``: a diagonal Normal; under a prior of two levels,
        one of the vector and, beside p(grid | vector), one of the grid.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.encoders = nn.ModuleDict({name: self.encoder(name) for name in self.views})
        self.head = GaussianHead(_features(self.encoders), 16 * self.width, self.parts.vector)
        self.grid = _grid(self, self.views)

    def posterior(self, views: Views) -> dist.Distribution:
        """Return q(z | all views)."""
        features = [
            views.recall(name, encoder, partial(encoder, views[name]))
            for name, encoder in self.encoders.items()
        ]
        gaussian = self.head(torch.cat(features, dim=-1))
        return self.prior.posterior(*_with_grid(gaussian, self.grid, views))


class ProductGuide(Guide):
    """A product of experts: one Gaussian for each view, and the prior, which always counts.

    It accepts any non-empty subset of its views, and batches in which scenes lack some of them:
    an expert encodes only the scenes that have its view.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.encoders = nn.ModuleDict({name: self.encoder(name) for name in self.views})
        self.heads = nn.ModuleDict(
            {
                name: GaussianHead(
                    _features(self.encoders, name), 16 * self.width, self.parts.vector
                )
                for name in self.views
            }
        )
        self.grids = nn.ModuleDict(
            {name: grid for name in self.views if (grid := _grid(self, [name]))}
        )

    def accepts(self, names: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return bool(names) and set(names) <= set(self.views)

    def expert(self, name: str, view: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of one view's expert, each ``(B, L)``."""
        gaussian = self.heads[name](self.encoders[name](view))
        grid = cast(GridGaussian, self.grids[name]) if name in self.grids else None
        return _with_grid(gaussian, grid, Views({name: view}))

    def posterior(self, views: Views) -> dist.Distribution:
        """Return the product of the prior and the experts of the views held."""
        present = [views.present[name] for name in views]
        experts = [
            views.recall(name, self, partial(self._expert, name, view, views.present[name]))
            for name, view in views.items()
        ]
        locs, scales = zip(*experts, strict=True)
        return self.prior.product(locs, scales, present)

    def _expert(self, name: str, view: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expert of the scenes that have the view, and N(0, I) for the others."""
        if bool(present.all()):
            return self.expert(name, view)
        loc = torch.zeros(len(view), self.latent, device=view.device)
        scale = torch.ones_like(loc)
        if bool(present.any()):
            rows = present.nonzero().squeeze(-1)
            some_loc, some_scale = self.expert(name, view[rows])
            loc, scale = loc.index_copy(0, rows, some_loc), scale.index_copy(0, rows, some_scale)
        return loc, scale


class RetrofitGuide(Guide):
    """A joint network given all views, and a product of experts given fewer.

    Source:
        Vedantam et al. (2018), Generative Models of Visually Grounded Imagination, section 3.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.joint = JointGuide(schema, views, **choices)
        self.product = ProductGuide(schema, views, **choices)

    def accepts(self, names: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return self.product.accepts(names)

    def posterior(self, views: Views) -> dist.Distribution:
        """Return the joint network's posterior if every scene has every view, else the product."""
        complete = self.joint.accepts(views.names) and bool(views.having(self.views).all())
        return self.joint.posterior(views) if complete else self.product.posterior(views)


class MaskedGuide(Guide):
    """One network for any subset of views: learned features stand in for those of absent views.

    Unlike a product of experts it can weigh a view by the content of the others, and all subsets
    share its weights; but it generalises only to subsets that it was trained on.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.encoders = nn.ModuleDict({name: self.encoder(name) for name in self.views})
        self.absent = nn.ParameterDict(
            {name: torch.zeros(_features(self.encoders, name)) for name in self.views}
        )
        inputs = _features(self.encoders) + len(self.views)
        self.head = GaussianHead(inputs, 16 * self.width, self.parts.vector)
        self.grid = _grid(self, self.views)

    def accepts(self, names: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return bool(names) and set(names) <= set(self.views)

    def posterior(self, views: Views) -> dist.Distribution:
        """Return q(z | the views held), from their features and from which of them are present."""
        present = torch.stack([self._present(name, views) for name in self.views], dim=-1)
        features = [
            self._features(name, views, here)
            for name, here in zip(self.views, present.T, strict=True)
        ]
        gaussian = self.head(torch.cat([*features, present.float()], dim=-1))
        return self.prior.posterior(*_with_grid(gaussian, self.grid, views))

    def _present(self, name: str, views: Views) -> Tensor:
        nowhere = torch.zeros(len(views), dtype=torch.bool, device=views.device)
        return views.present[name] if name in views else nowhere

    def _features(self, name: str, views: Views, present: Tensor) -> Tensor:
        """Return the features of one view, ``(B, F)``, encoding only scenes that have it."""
        absent = cast(Tensor, self.absent[name]).expand(len(views), -1)
        rows = present.nonzero().squeeze(-1)
        if not len(rows):
            return absent
        encoder = self.encoders[name]
        some = cast(Tensor, views.recall(name, encoder, lambda: encoder(views[name][rows])))
        return absent.to(some.dtype).index_copy(0, rows, some)


class EmptyGuide(Guide):
    """The guide of a model without z: it has no posterior."""

    def accepts(self, names: Collection[str]) -> bool:
        """Accept no set of views."""
        return False

    def forward(self, views: Views) -> Tensor:
        """Return an empty tensor; no site is sampled."""
        return torch.empty(0, device=views.device)


def _features(encoders: nn.ModuleDict, *names: str) -> int:
    return sum(cast(int, encoders[name].features) for name in names or encoders)


def _grid(guide: Guide, views: Collection[str]) -> GridGaussian | None:
    """Make the network for the part of z that lies on a grid, if there is one."""
    if not guide.parts.channels:
        return None
    return GridGaussian({name: guide.encoder(name) for name in views}, guide.parts, guide.width)


def _with_grid(
    vector: tuple[Tensor, Tensor], grid: GridGaussian | None, views: Views
) -> tuple[Tensor, Tensor]:
    """Append the Gaussian of the grid to that of the vector: mean and standard deviation."""
    if grid is None:
        return vector
    loc, scale = grid(views)
    return torch.cat([vector[0], loc], dim=-1), torch.cat([vector[1], scale], dim=-1)
