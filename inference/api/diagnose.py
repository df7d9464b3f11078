"""Diagnosing a fitted model: how tight, active and calibrated its posteriors are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from scene.datasets.base import SceneDataset
from scene.notices import Progress, SceneCount

from ..diagnostics.ambiguity import DRAWS as DRAWS
from ..diagnostics.ambiguity import AmbiguityScore as AmbiguityScore
from ..diagnostics.ambiguity import ambiguity as compare_with_readings
from ..diagnostics.diagnose import Diagnosis
from ..diagnostics.diagnose import diagnose as examine
from ..diagnostics.diagnose import require_diagnosis_folder as require_diagnosis_folder
from ..diagnostics.generation import Generation as Generation
from ..diagnostics.generation import generation as compare_with_true
from ..runs.checkpoints import restore
from ..runs.run import Run
from .loaded import LoadedRun


def diagnose(
    fitted: LoadedRun,
    scenes: SceneDataset,
    folder: Path,
    *,
    particles: int = 64,
    limit: int | None = None,
    gradients: int = 32,
    segmenter: Run | None = None,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    watch: Callable[[str], None] = lambda title: None,
) -> Diagnosis:
    """Examine a model with a latent z on a split, and write figures and pictures.

    Args:
        fitted: The model.
        scenes: The split; scenes that lack a view that the model or the guide knows are left out.
        folder: Where ``diagnose.json`` and the pictures go.
        particles: Draws of z for each log-likelihood.
        limit: Only the first so many scenes.
        gradients: Gradients for each estimate of their noise; 0 leaves it out.
        segmenter: A run that segments drawn images, to compare with drawn masks.
        seed: Seed of every draw.
        about: More for the head of the JSON.
        watch: Called with the title of each part before it is done.

    Raises:
        ValueError: If no scene is complete.
    """
    judge = None if segmenter is None else restore(segmenter, device=fitted.device)
    return examine(
        fitted.assembly,
        scenes,
        folder,
        particles=particles,
        limit=limit,
        gradients=gradients,
        segmenter=judge,
        training=None if judge is None else fitted.dataset("train"),
        seed=seed,
        about=about,
        watch=watch,
    )


def generation(
    fitted: LoadedRun,
    held_out: SceneDataset,
    segmenter: Run,
    *,
    limit: int = 300,
    seed: int = 0,
    watch: Progress = lambda title, done, total: None,
) -> list[Generation]:
    """Draw scenes from a model, and compare them with true ones.

    Args:
        fitted: A model that draws images and masks.
        held_out: Scenes that it was not trained on.
        segmenter: A run of the recipe segmenter on the same data.
        limit: Use the first so many held-out scenes.
        seed: Seed of all draws.
        watch: Called with what scenes are drawn given, the number of sets done, and their total.

    Returns:
        A row for the prior, one for each set of views that has a posterior, one for true scenes.

    Raises:
        ValueError: If the model does not draw images and masks, or scenes are too few.
    """
    judge = restore(segmenter, device=fitted.device)
    training = fitted.dataset("train")
    return compare_with_true(
        fitted.assembly, held_out, training, judge, limit=limit, seed=seed, watch=watch
    )


def ambiguity(
    fitted: LoadedRun,
    scenes: SceneDataset,
    *,
    draws: int = DRAWS,
    limit: int = 300,
    seed: int = 0,
    watch: SceneCount = lambda done, total: None,
) -> AmbiguityScore:
    """Draw masks given images, and compare them with those that each image may have.

    Args:
        fitted: A model that draws masks given an image.
        scenes: Scenes with readings, such as those of ``synthetic:ambiguous``.
        draws: Masks drawn for each image.
        limit: Use the first so many scenes.
        seed: Seed of all draws.
        watch: Called with the number of scenes done, and their total.

    Raises:
        LookupError: If the scenes have no readings.
        ValueError: If the model does not draw masks given an image.
    """
    return compare_with_readings(
        fitted.assembly, scenes, draws=draws, limit=limit, seed=seed, watch=watch
    )
