"""The classifier that SEC learns from: its run, its seed cues, and the first weights it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scene.datasets.base import ImageLevel, SceneDataset
from scene.datasets.catalogue import open_data
from scene.discriminative import ClassifiedScene, CoarseScene
from scene.models import SceneModel

from ..build import Assembly
from ..runs import run as runs
from ..runs.checkpoints import restore
from ..runs.run import Run
from ..settings.recipes import recipe
from ..settings.settings import Settings
from .cue_files import FILE, CuedScenes, Cues
from .cues import cue_settings, cues_of


@dataclass(frozen=True)
class CueClassifier:
    """A trained classifier and the run it comes from."""

    run: Run
    assembly: Assembly

    def begin(self, model: SceneModel) -> None:
        """Copy the weights of the classifier's body into a coarse network.

        Raises:
            ValueError: If it is of another shape.
        """
        assert isinstance(self.assembly.model, ClassifiedScene)
        assert isinstance(model, CoarseScene)
        model.net.copy_weights(self.assembly.model.net)

    def cues(self, scenes: SceneDataset, cells: tuple[int, int], settings: Settings) -> Cues:
        """Return the cues of training scenes from their image-level labels.

        Args:
            scenes: What SEC will be trained on.
            cells: Its grid.
            settings: The settings of cues, and the data, which are read at the classifier's size.

        Raises:
            ValueError: If the classifier saw another crop of the scenes, or background is to be
                cued and there is none.
        """
        seen, how = self._seen(scenes, settings), cue_settings(settings)

        def some(indices: range) -> Tensor:
            return cues_of(self.assembly, seen, indices, size=cells, settings=how)

        return Cues.computed(len(seen), some)

    def _seen(self, scenes: SceneDataset, settings: Settings) -> SceneDataset:
        """Open the same scenes at the classifier's size."""
        theirs, ours = self.run.settings.data.size, scenes.schema.size
        if theirs == ours:
            return scenes
        if theirs[0] * ours[1] != theirs[1] * ours[0]:
            raise ValueError(
                f"The classifier {self.run.folder} was trained at {theirs[0]}x{theirs[1]}, whose "
                f"crop differs from {ours[0]}x{ours[1]}; use --size {theirs[0]}x{theirs[1]}, or "
                "a classifier with the same aspect ratio."
            )
        return ImageLevel(
            open_data(settings.data.source, scenes.split, theirs, count=settings.data.count)
        )


def find_classifier(
    settings: Settings, scenes: SceneDataset, device: torch.device
) -> CueClassifier | None:
    """Find the classifier that the settings name, or the newest of the same data.

    Returns:
        The classifier; None where the recipe needs none.

    Raises:
        LookupError: If there is none.
        ValueError: If the one named is no classifier, or of other labels.
    """
    cued = recipe(settings.recipe).form == "sec"
    if not cued and settings.model.backbone_weights != "classifier":
        return None
    labels = scenes.schema.labels

    def fits(run: Run) -> bool:
        same = (
            run.settings.data.source == scenes.source and run.schema.labels.names == labels.names
        )
        return run.settings.recipe == "classifier" and same

    if settings.cues.classifier is not None:
        run = runs.read(Path(settings.cues.classifier))
        if run.settings.recipe != "classifier":
            raise ValueError(f"{run.folder} is a run of {run.settings.title}, not a classifier.")
        run.schema.labels.require(labels, scenes.name)
    else:
        try:
            run = runs.newest(fits)
        except LookupError:
            otherwise = "" if cued else ", or start from --weights none"
            raise LookupError(
                f"There is no complete classifier of {scenes.source} in {runs.home()}/; train one "
                f"with `scene train classifier --data {scenes.source}`, or name one with "
                f"--classifier{otherwise}."
            ) from None
    return CueClassifier(run, restore(run, device=device))


def with_cues(
    run: Run, scenes: SceneDataset, assembly: Assembly, classifier: CueClassifier | None = None
) -> SceneDataset:
    """Return the training scenes of SEC with cues and without masks; other scenes unchanged.

    Args:
        run: Where cues are kept.
        scenes: The scenes to train on.
        assembly: What will be trained; says the grid.
        classifier: Works the cues out; None = the run has them.

    Raises:
        LookupError: If the run should have them and has not.
        ValueError: If they are damaged, of other scenes, or cannot be worked out.
    """
    if recipe(run.settings.recipe).form != "sec":
        return scenes
    scenes = ImageLevel(scenes)
    if classifier is not None:
        assert isinstance(assembly.model, CoarseScene)
        classifier.cues(scenes, assembly.model.cells, run.settings).save(run.path(FILE))
    return CuedScenes(scenes, Cues.load(run.path(FILE)))
