"""A run with its weights in memory: its data, the views that it reads, a copy of it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from scene.datasets.base import SceneDataset
from scene.datasets.catalogue import evaluation_split, open_data
from scene.datasets.observations import Classes, Observation, Pictures, observe
from scene.labels import Labels
from scene.models import SceneModel
from scene.views import Schema

from ..build import Assembly
from ..guides import Guide
from ..objectives.bounds import Objective
from ..prediction.sample import require_conditions, require_posterior
from ..runs.copies import save_run
from ..runs.run import Run
from ..settings.recipes import recipe
from ..settings.settings import Settings


@dataclass(frozen=True, eq=False, repr=False)
class LoadedRun:
    """A complete run, its model, guide and objective in evaluation mode.

    Attributes:
        run: The folder, its settings and its schema.
        assembly: Model, guide and objective.
    """

    run: Run
    assembly: Assembly

    @property
    def model(self) -> SceneModel:
        """The generative model p, a Pyro program."""
        return self.assembly.model

    @property
    def guide(self) -> Guide:
        """The guide q."""
        return self.assembly.guide

    @property
    def objective(self) -> Objective:
        """The objective that fitted the two to each other."""
        return self.assembly.objective

    @property
    def settings(self) -> Settings:
        """The settings that the run was trained with."""
        return self.run.settings

    @property
    def name(self) -> str:
        """The name of the recipe."""
        return self.settings.title

    @property
    def schema(self) -> Schema:
        """Labels, and height and width in pixels."""
        return self.run.schema

    @property
    def labels(self) -> Labels:
        """The vocabulary of masks and classes."""
        return self.run.schema.labels

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.assembly.device

    def __repr__(self) -> str:
        """Return a description in one line."""
        height, width = self.schema.size
        return f"<{self.name} of {self.run.folder}, {height}x{width}, {self.device}>"

    @property
    def directions(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """The directions of inference that it is scored in: views given, and target."""
        from ..prediction.evaluate import EVERY
        from ..prediction.predict import able

        return tuple((given, to) for given, to in EVERY if able(self.assembly, given, to))

    def dataset(
        self,
        split: str | None = None,
        *,
        data: str | None = None,
        download: bool = False,
        target: str | None = None,
    ) -> SceneDataset:
        """Open a split of the run's data, or of others, at the model's size.

        Args:
            split: ``train``, ``tune``, ``val`` or ``test``; None = ``test``, else ``val``.
            data: The data, as for ``--data``; the run's own if left out.
            download: Let ``voc2012`` be fetched.
            target: What will be scored, ``mask`` or ``classes``, which decides where ``split`` is
                None; the model's own if left out.

        Raises:
            FileNotFoundError: If the folder is not there.
            LookupError: If there is no such data, or no such split.
            ValueError: If its labels are not the model's.
        """
        source = data or self.settings.data.source
        explains = recipe(self.settings.recipe).explains
        target = target or ("classes" if explains == ("classes",) else "mask")
        split = split or evaluation_split(source, download=download, target=target)
        scenes = open_data(source, split, self.schema.size, download=download)
        self.labels.require(scenes.schema.labels, scenes.name)
        return scenes

    def observe(
        self,
        *,
        image: Pictures | None = None,
        classes: Classes | None = None,
        mask: Pictures | None = None,
        data: str | None = None,
    ) -> Observation:
        """Frame views of any form to the model's size, see `scene.datasets.observations`.

        Raises:
            ValueError: If the model takes a view as given that is not among them.
        """
        source = data or self.settings.data.source
        seen = observe(self.schema, image=image, classes=classes, mask=mask, data=source)
        names = seen.views.names if seen.views is not None else ()
        require_conditions(self.assembly, names, self.name)
        return seen

    def readable(
        self,
        image: Pictures | None,
        classes: Classes | None,
        mask: Pictures | None,
        data: str | None,
    ) -> Observation:
        """Observe views that z has a posterior given, on the model's device.

        Raises:
            ValueError: If there is no posterior given these views.
        """
        seen = self.observe(image=image, classes=classes, mask=mask, data=data)
        if seen.views is None:
            return seen
        require_posterior(self.assembly, seen.views.names, self.name)
        return Observation(seen.views.to(self.device), seen.batched)

    def save(self, folder: str | Path, *, force: bool = False) -> Run:
        """Keep the model in another folder, which `load` reads and which can be carried away.

        Args:
            folder: Where to; made if need be.
            force: Replace a run that is there.

        Raises:
            FileExistsError: If it holds something, and ``force`` does not replace it.
        """
        return save_run(self.run, self.assembly, Path(folder), force)
