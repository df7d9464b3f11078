"""A flow over z: a density learned after a model, to draw from its prior and given any views.

The posteriors of all scenes together rarely look like N(0, I), so that draws from it decode to
what no scene looks like; and a guide that predicts well given a mask points to one image where
many would do. A flow learns where the latents of scenes lie, given whichever views one has, or
none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from scene.flows import Flow
from scene.networks.moments import Moments
from scene.networks.spatial import FeaturePyramid, GridGaussian
from scene.networks.velocity import Velocity, ViewFeatures, key_of
from scene.views import Schema, Views

from .guides import Guide, JointGuide, MaskedGuide, ProductGuide, RetrofitGuide

Features = tuple[Tensor, Tensor | None]
"""Those of scenes as wholes, and of their cells, see `ViewFeatures`."""

MOST = 5.0
"""The most deviations from its mean that a reading counts for."""

LEAST = 0.05
"""The least that a number of z weighs in the training of a flow."""


class FlowGuide(Guide):
    """p(z) and q(z | any views), learned where the posteriors of another guide lie.

    Views are read by the other guide's encoders, which stay as they are.

    Args:
        schema: As of every `Guide`.
        views: As of every `Guide`.
        source: The guide of a trained model, whose posteriors given all views say where scenes
            lie.
        flow_width: Channels of the velocity's network.
        guidance: How much draws given views differ from those of the prior: 1 = they are drawn
            from q(z | views); with more they show what was given more clearly, and vary less.
        choices: As of every `Guide`.

    Source:
        The guidance: Ho & Salimans (2022), Classifier-Free Diffusion Guidance, eq. 6,
        https://arxiv.org/abs/2207.12598; of flows: Zheng et al. (2023), Guided Flows for
        Generative Modeling and Decision Making, https://arxiv.org/abs/2311.13443
    """

    def __init__(
        self,
        schema: Schema,
        views: Collection[str],
        *,
        source: Guide,
        flow_width: int = 64,
        guidance: float = 1.0,
        **choices: Any,
    ) -> None:
        super().__init__(schema, views, **choices)
        self.guidance = guidance
        self.source = source.requires_grad_(False).eval()
        self.own = nn.ModuleDict(
            {name: self.encoder(name) for name in self.views if not readers_of(source, name)}
        )
        self.sizes = {
            reading: (cast(int, reader.features), isinstance(reader, FeaturePyramid))
            for name in self.views
            for reading, reader in self._readers(name).items()
        }
        self.features = ViewFeatures(self.sizes, self.parts, flow_width)
        self.velocity = Velocity(self.parts, flow_width, flow_width)
        self.latents = Moments(self.latent)
        self.moments = nn.ModuleDict(
            {
                key_of(reading): Moments(size)
                for reading, (size, _) in self.sizes.items()
                if reading not in self.own
            }
        )

    def train(self, mode: bool = True) -> FlowGuide:
        """Set the mode of all but the guide that is learned from, which stays as it is."""
        super().train(mode)
        self.source.eval()
        return self

    def accepts(self, names: Collection[str]) -> bool:
        """Accept any subset, and none."""
        return set(names) <= set(self.views)

    def posterior(self, views: Views | None, scenes: int = 1) -> Flow:
        """Return q(z | views), or p(z); with guidance the density that draws then have.

        Args:
            views: B scenes' views; None = none: the prior.
            scenes: B, where there are no views.
        """
        device = self.latents.mean.device
        present = torch.zeros(scenes, len(self.views), dtype=torch.bool, device=device)
        readings: dict[str, Tensor] = {}
        if views is not None:
            present = self.present(views)
            readings = self.read(views)
        whole, cells = self.seen(readings, present)
        field = partial(self._field, whole, cells)
        if views is not None and self.guidance != 1:
            nothing = self.seen({}, torch.zeros_like(present))
            field = partial(self._guided_field, (whole, cells), nothing)
        return Flow(field, self.latents.mean, self.latents.deviation, len(whole))

    def present(self, views: Views) -> Tensor:
        """Return which scenes have which of the guide's views: ``(B, V)`` bool."""
        nowhere = torch.zeros(len(views), dtype=torch.bool, device=views.device)
        return torch.stack(
            [views.present[name] if name in views else nowhere for name in self.views], dim=1
        )

    def read(self, views: Views, names: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Return what is read of each view that any scene has, zero where a scene lacks it.

        Args:
            views: The views of B scenes.
            names: Which of them to read; None = all.

        Returns:
            Vectors ``(B, channels)``, or maps ``(B, channels, rows, columns)``, by the name of
            the reading: that of the view, or ``view.vector`` for what is read beside maps.
        """
        readings = {}
        for name in self.views if names is None else names:
            if name not in views or not bool(views.present[name].any()):
                continue
            rows = views.present[name].nonzero().squeeze(-1)
            for reading, reader in self._readers(name).items():
                some = cast(Tensor, reader(views[name][rows])).float()
                full = torch.zeros(len(views), *some.shape[1:], device=some.device)
                readings[reading] = full.index_copy(0, rows, some)
        return readings

    def seen(
        self, readings: Mapping[str, Tensor], given: Tensor, has: Tensor | None = None
    ) -> Features:
        """Return the features of views, whose readings are standardised first.

        What is read by the source's encoders may vary little about a large mean. In training its
        mean and deviation are counted, and what lies far out is cut off: a channel that is nearly
        always the same would else dwarf all others. What encoders of the flow's own read is left
        as it is.

        Args:
            readings: As of `read`.
            given: Which views of each scene are used, ``(B, V)`` bool, in the order of ``views``.
            has: Which of them it has; None = those used.
        """
        has = given if has is None else has
        standard = {}
        for name, reading in readings.items():
            if key_of(name) in self.moments:
                moments = cast(Moments, self.moments[key_of(name)])
                if self.training:
                    here = has[:, self.views.index(name.partition(".")[0])]
                    moments.count_rows(reading[here])
                reading = moments(reading).clamp(-MOST, MOST)
            standard[name] = reading
        return cast(Features, self.features(standard, given))

    def _readers(self, name: str) -> dict[str, nn.Module]:
        if name in self.own:
            return {name: self.own[name]}
        return readers_of(self.source, name)

    def _field(self, whole: Tensor, cells: Tensor | None, time: Tensor, x: Tensor) -> Tensor:
        """Return the velocity of ``(N, B, L)``."""
        copies = x.shape[0]
        flat = x.reshape(-1, self.latent)
        repeated = cells.repeat(copies, 1, 1, 1) if cells is not None else None
        moved = self.velocity(flat, time.expand(len(flat)), whole.repeat(copies, 1), repeated)
        return cast(Tensor, moved).reshape(x.shape)

    def _guided_field(
        self, conditional: Features, unconditional: Features, time: Tensor, x: Tensor
    ) -> Tensor:
        """Return the prior's velocity and `guidance` times what the views change of it."""
        whole = torch.cat([unconditional[0], conditional[0]])
        cells = None
        if unconditional[1] is not None and conditional[1] is not None:
            cells = torch.cat([unconditional[1], conditional[1]])
        prior, posterior = self._field(whole, cells, time, torch.cat([x, x], 1)).chunk(2, 1)
        return torch.lerp(prior, posterior, self.guidance)

    def standardised(self, z: Tensor) -> Tensor:
        """Return latents, ``(B, L)``, with a mean of 0 and a deviation of 1, as far as is known.

        In training they are counted, one mean and deviation for a channel of the grid: what is
        learned from comes to be standard.
        """
        if self.training:
            self._count(z)
        return cast(Tensor, self.latents(z))

    @torch.no_grad()
    def informative_shares(self, deviations: Tensor) -> Tensor:
        """Return which share of each number's variance over scenes tells them apart: ``(L,)``.

        Args:
            deviations: Those of the posteriors of some scenes, ``(B, L)``.

        Returns:
            1 − the variance within posteriors / that of all latents, `LEAST` or more.
        """
        within = deviations.square().mean(0) / self.latents.deviation.square()
        return (1 - within).clamp(min=LEAST)

    @torch.no_grad()
    def _count(self, z: Tensor) -> None:
        vector, grid = self.parts.split(z)
        mean, square = [vector.mean(0)], [vector.square().mean(0)]
        if grid is not None:
            cells = grid.shape[-2] * grid.shape[-1]
            mean.append(grid.mean((0, 2, 3)).repeat_interleave(cells))
            square.append(grid.square().mean((0, 2, 3)).repeat_interleave(cells))
        self.latents.count(torch.cat(mean), torch.cat(square))


def readers_of(guide: Guide, name: str) -> dict[str, nn.Module]:
    """Return what a guide reads a view with, by the name of the reading.

    Where z has a grid, a view is read twice, as the guide does: on the grid's cells, and as a
    vector for the part of z that is one. Each part of z may hold what the other does not.

    Returns:
        Modules with ``features``, their channels; none if they are not ours.
    """
    if isinstance(guide, RetrofitGuide):
        return readers_of(guide.product, name)
    if isinstance(guide, ProductGuide):
        grid = guide.grids[name] if name in guide.grids else None
    elif isinstance(guide, JointGuide | MaskedGuide):
        grid = guide.grid
    else:
        return {}
    readers: dict[str, nn.Module] = {}
    if isinstance(grid, GridGaussian) and name in grid.encoders:
        pyramid = grid.encoders[name]
        if isinstance(pyramid, FeaturePyramid):
            readers[name] = pyramid
    if name in guide.encoders:
        readers[f"{name}.vector" if readers else name] = guide.encoders[name]
    return readers
