"""A run with its weights in memory: its data, the views that it reads, a copy of it elsewhere."""

from __future__ import annotations

import shutil
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
from ..runs.checkpoints import PARTS, has_part, save_weights
from ..runs.claims import claimed
from ..runs.plugins import CODE, portable
from ..runs.run import CONFIG, SUMMARY, WEIGHTS, Run, read, write_config
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


_KEPT = (CONFIG, "metrics.jsonl", "samples.png", "cues.npz", "crf.json", SUMMARY)
"""Files of a run that go with its weights; a state to resume from does not."""


def save_run(run: Run, assembly: Assembly, folder: Path, force: bool = False) -> Run:
    """Write weights as they are now, with the run's config, code and figures.

    Figures stay behind where the weights are no longer those that were scored.

    Args:
        run: Where the model comes from.
        assembly: The weights to keep.
        folder: Where to; nothing is there until all of it is.
        force: Replace a run that is there.

    Raises:
        FileExistsError: If the folder holds something, and ``force`` does not replace it.
        ValueError: If it is a file, holds no run, or is the run itself.
    """
    if folder.exists() and folder.samefile(run.folder):
        raise ValueError(f"{folder} is the run itself; choose another folder to save the copy in.")
    copy = Run(folder, portable(run.settings, run.folder), run.schema)
    with claimed(folder, force):
        for name in (CONFIG, *(_KEPT if _unchanged(run, assembly, folder) else ())):
            if run.path(name).is_file():
                shutil.copyfile(run.path(name), folder / name)
        if run.path(CODE).is_dir():
            shutil.copytree(run.path(CODE), folder / CODE, dirs_exist_ok=True)
        write_config(copy)
        save_weights(folder / WEIGHTS, assembly, run.settings.title)
        for part in (name for name in PARTS if has_part(run, name)):
            _copy_part(read(run.path(PARTS[part])), folder / PARTS[part])
    return copy


def _copy_part(part: Run, folder: Path) -> None:
    """Copy what learned after a run, with its code, to be read anywhere."""
    folder.mkdir()
    for name in (*_KEPT, WEIGHTS):
        if part.path(name).is_file():
            shutil.copyfile(part.path(name), folder / name)
    if part.path(CODE).is_dir():
        shutil.copytree(part.path(CODE), folder / CODE)
    write_config(Run(folder, portable(part.settings, part.folder), part.schema))


def _unchanged(run: Run, assembly: Assembly, folder: Path) -> bool:
    """Return whether the weights are those of the run, byte for byte."""
    part = folder / f".{WEIGHTS}"
    try:
        save_weights(part, assembly, run.settings.title)
        return part.read_bytes() == run.path(WEIGHTS).read_bytes()
    finally:
        part.unlink(missing_ok=True)
