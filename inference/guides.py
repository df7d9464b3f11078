"""The guides: what we believe of a scene after seeing some of its views (q).

A guide is a `Guide`: it says its posterior, and the base class does the sampling. Yours is made
as ours are, ``YourGuide(schema, views, latent=..., width=...)``, and used by the same commands:
``scene train telbo --guide lab/flow.py:FlowGuide``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, cast

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from scene.networks.encoders import GaussianHead, stem
from scene.networks.spatial import GridBelief, Latent
from scene.sizes import STOCK_LATENT, STOCK_WIDTH
from scene.views import Schema, Views


def product_of_experts(
    locs: Tensor | Sequence[Tensor],
    scales: Tensor | Sequence[Tensor],
    present: Tensor | Sequence[Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Multiply E Gaussian densities over z and renormalise.

    Precisions add and the mean is their precision-weighted average, so one sharp expert
    outvotes many vague ones. Include the prior as an expert to keep the product proper.

    Args:
        locs: Expert means, ``(E, B, L)``, in latent units.
        scales: Expert standard deviations, ``(E, B, L)``, positive, same units.
        present: Which experts have spoken of which scene, ``(E, B)`` bool; the others
            contribute no precision. All of them, if left out.

    Returns:
        Mean and standard deviation of the product, each ``(B, L)``.

    Raises:
        ValueError: If a scale is not positive; the message names the first offending expert.

    Source:
        Wu & Goodman (2018), Multimodal Generative Models, https://arxiv.org/abs/1802.05335

    >>> product_of_experts(torch.tensor([[[0.0]], [[3.0]]]), torch.ones(2, 1, 1))
    (tensor([[1.5000]]), tensor([[0.7071]]))
    """
    loc, scale = torch.stack(tuple(locs)), torch.stack(tuple(scales))
    if not (positive := (scale > 0).flatten(1).all(1)).all():
        first = int((~positive).nonzero()[0])
        raise ValueError(f"Expert {first} has a scale that is not positive; pass deviations.")
    precision = scale.square().reciprocal()
    if present is not None:
        precision = precision * torch.stack(tuple(present)).unsqueeze(-1)
    total = precision.sum(0)
    return (precision * loc).sum(0) / total, total.rsqrt()


pass

Maker = Callable[[Schema, int], nn.Module]
"""Makes a network that reads a view, given the schema and the width."""


class Guide(nn.Module):
    """q(z | views), amortised: subclasses say the posterior.

    Args:
        schema: Labels and image size.
        views: The views this guide can read.
        latent: Length of z.
        width: Channels of the first convolution of each stem.
        spatial: Channels of that part of z that lies on a grid, counted in its length.
        cell: Height and width of a cell of the grid, in pixels.
        stems: Of views of your own, what makes the network that reads each from the schema and
            the width; as `scene.networks.encoders.stem`, it must have ``features``.
    """

    def __init__(
        self,
        schema: Schema,
        views: Collection[str],
        latent: int = STOCK_LATENT,
        width: int = STOCK_WIDTH,
        spatial: int = 0,
        cell: int = 4,
        stems: Mapping[str, Maker] | None = None,
    ) -> None:
        super().__init__()
        self.schema, self.views = schema, tuple(views)
        self.latent, self.width = latent, width
        grid = Latent(0, spatial, cell, schema.size).length
        self.parts = Latent(latent - grid, spatial, cell, schema.size)
        self.makers = dict(stems or {})

    def posterior(self, views: Views) -> dist.Distribution:
        """Say q(z | views): batch shape ``(B,)``, event shape ``(L,)``.

        Args:
            views: Holds exactly the views to condition on; `accepts` says which sets will do.
        """
        raise NotImplementedError

    def stem(self, name: str) -> nn.Module:
        """Make a network that reads a view: yours, or the package's."""
        make = self.makers.get(name)
        return make(self.schema, self.width) if make else stem(name, self.schema, self.width)

    def accepts(self, given: Collection[str]) -> bool:
        """Say whether a posterior given exactly these views exists: by default, all of them."""
        return set(given) == set(self.views)

    def require(self, given: Collection[str]) -> None:
        """Refuse a set of views that `accepts` does not.

        Raises:
            ValueError: Saying what was asked of this guide and what could be done.
        """
        if not self.accepts(given):
            raise ValueError(
                f"The guide {type(self).__name__} has no posterior given only "
                f"{', '.join(given)}; choose other views, or a guide that accepts any, "
                "such as poe or retrofit."
            )

    def forward(self, views: Views) -> Tensor:
        """Draw z given those of the views that this guide can read."""
        with pyro.plate("scenes", len(views), dim=-1):
            seen = views.only(name for name in self.views if name in views)
            return pyro.sample("z", self.posterior(seen))  # type: ignore[no-any-return]


class JointGuide(Guide):
    """One network that sees all its views together.

    Shape:
        Posterior: diagonal Normal, batch ``(B,)``, event ``(L,)``.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.stems = nn.ModuleDict({name: self.stem(name) for name in self.views})
        self.head = GaussianHead(_features(self.stems), 16 * self.width, self.parts.vector)
        self.cells = _cells(self, self.views)

    def posterior(self, views: Views) -> dist.Distribution:
        """Read every view, then form one belief."""
        found = [
            views.recall(name, stem, partial(stem, views[name]))
            for name, stem in self.stems.items()
        ]
        belief = self.head(torch.cat(found, dim=-1))
        return dist.Normal(*_with_cells(belief, self.cells, views)).to_event(1)


class ProductGuide(Guide):
    """One expert per view seen, and the prior, which is always in the room.

    Accepts any non-empty subset of its views, and batches in which scenes lack some of them: an
    expert reads only the scenes that have its view.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.stems = nn.ModuleDict({name: self.stem(name) for name in self.views})
        self.heads = nn.ModuleDict(
            {
                name: GaussianHead(_features(self.stems, name), 16 * self.width, self.parts.vector)
                for name in self.views
            }
        )
        self.cells = nn.ModuleDict(
            {name: cells for name in self.views if (cells := _cells(self, [name]))}
        )

    def accepts(self, given: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return bool(given) and set(given) <= set(self.views)

    def expert(self, name: str, view: Tensor) -> tuple[Tensor, Tensor]:
        """Say what one view suggests: mean and scale, each ``(B, L)``, before the prior."""
        belief = self.heads[name](self.stems[name](view))
        cells = cast(GridBelief, self.cells[name]) if name in self.cells else None
        return _with_cells(belief, cells, Views({name: view}))

    def posterior(self, views: Views) -> dist.Distribution:
        """Multiply the experts of the views held, and the prior."""
        prior = torch.zeros(len(views), self.latent, device=views.device)
        everyone = torch.ones(len(views), dtype=torch.bool, device=views.device)
        locs, scales, spoken = [prior], [torch.ones_like(prior)], [everyone]
        for name, view in views.items():
            present = views.present[name]
            loc, scale = views.recall(name, self, partial(self._spread, name, view, present))
            locs.append(loc)
            scales.append(scale)
            spoken.append(present)
        return dist.Normal(*product_of_experts(locs, scales, spoken)).to_event(1)

    def _spread(self, name: str, view: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        if bool(present.all()):
            return self.expert(name, view)
        loc = torch.zeros(len(view), self.latent, device=view.device)
        scale = torch.ones_like(loc)
        if bool(present.any()):
            rows = present.nonzero().squeeze(-1)
            found_loc, found_scale = self.expert(name, view[rows])
            loc, scale = loc.index_copy(0, rows, found_loc), scale.index_copy(0, rows, found_scale)
        return loc, scale


class RetrofitGuide(Guide):
    """A joint network for all views together, and a product of experts for any fewer.

    Source:
        Vedantam et al. (2018), Generative Models of Visually Grounded Imagination, section 3.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.joint = JointGuide(schema, views, **choices)
        self.product = ProductGuide(schema, views, **choices)

    def accepts(self, given: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return self.product.accepts(given)

    def posterior(self, views: Views) -> dist.Distribution:
        """Ask the joint network if every view is held for every scene, else the experts."""
        complete = self.joint.accepts(views.names) and bool(views.having(self.views).all())
        return self.joint.posterior(views) if complete else self.product.posterior(views)


class MaskedGuide(Guide):
    """One network for any views: features that it learns stand in for those of absent ones.

    Unlike a product of experts it can weigh views by what the others say, and it shares all its
    weights between subsets; but what it was never shown together it has not learned.
    """

    def __init__(self, schema: Schema, views: Collection[str], **choices: Any) -> None:
        super().__init__(schema, views, **choices)
        self.stems = nn.ModuleDict({name: self.stem(name) for name in self.views})
        self.absent = nn.ParameterDict(
            {name: torch.zeros(_features(self.stems, name)) for name in self.views}
        )
        inputs = _features(self.stems) + len(self.views)
        self.head = GaussianHead(inputs, 16 * self.width, self.parts.vector)
        self.cells = _cells(self, self.views)

    def accepts(self, given: Collection[str]) -> bool:
        """Accept any non-empty subset."""
        return bool(given) and set(given) <= set(self.views)

    def posterior(self, views: Views) -> dist.Distribution:
        """Read the views held, and say which are."""
        held = torch.stack([self._held(name, views) for name in self.views], dim=-1)
        found = [
            self._found(name, views, here) for name, here in zip(self.views, held.T, strict=True)
        ]
        belief = self.head(torch.cat([*found, held.float()], dim=-1))
        return dist.Normal(*_with_cells(belief, self.cells, views)).to_event(1)

    def _held(self, name: str, views: Views) -> Tensor:
        nowhere = torch.zeros(len(views), dtype=torch.bool, device=views.device)
        return views.present[name] if name in views else nowhere

    def _found(self, name: str, views: Views, held: Tensor) -> Tensor:
        """Give the features of one view, ``(B, F)``, reading only scenes that have it."""
        absent = cast(Tensor, self.absent[name]).expand(len(views), -1)
        rows = held.nonzero().squeeze(-1)
        if not len(rows):
            return absent
        stem = self.stems[name]
        read = cast(Tensor, views.recall(name, stem, lambda: stem(views[name][rows])))
        return absent.to(read.dtype).index_copy(0, rows, read)


class EmptyGuide(Guide):
    """The guide of a model that has no latent: there is nothing to believe."""

    def accepts(self, given: Collection[str]) -> bool:
        """Accept nothing: no posterior is ever asked for."""
        return False

    def forward(self, views: Views) -> Tensor:
        """Draw nothing."""
        return torch.empty(0, device=views.device)


def _features(stems: nn.ModuleDict, *names: str) -> int:
    return sum(cast(int, stems[name].features) for name in names or stems)


def _cells(guide: Guide, views: Collection[str]) -> GridBelief | None:
    """Make the network that says what these views mean for each cell, if z has any."""
    if not guide.parts.channels:
        return None
    return GridBelief({name: guide.stem(name) for name in views}, guide.parts, guide.width)


def _with_cells(
    belief: tuple[Tensor, Tensor], cells: GridBelief | None, views: Views
) -> tuple[Tensor, Tensor]:
    """Append to a belief about the scene as a whole that about each cell."""
    if cells is None:
        return belief
    loc, scale = cells(views)
    return torch.cat([belief[0], loc], dim=-1), torch.cat([belief[1], scale], dim=-1)
