"""The whole examination of a run: every diagnostic on one split, as JSON and as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.seeds import seeded
from scene.storage.outputs import require_free, without

from ..build import Assembly
from ..runs.run import write_json
from .active_units import Units, units
from .calibration import Calibration, calibration, draw_calibration
from .coherence import Coherence, coherence, segmenting
from .coverage import Coverage, coverage, draw_coverage
from .gradient_noise import gradient_noise
from .gradient_scatter import GradientNoise, draw_noise
from .likelihoods import Conditional, Marginal, log_likelihoods
from .posteriors import (
    Beliefs,
    beliefs,
    believed_before,
    complete_scenes,
    conditionings,
)
from .traversals import draw_traversals

REPORT = "diagnose.json"


_LISTS = ("marginals", "conditionals", "units", "coverage", "coherence", "calibration")


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        scenes: How many scenes were looked at.
        particles: K of the likelihoods.
        marginals: Log-likelihoods of sets of views.
        conditionals: Log-likelihoods of a view given others.
        units: The dimensions of z, for each set of views that has a posterior.
        coverage: Their mixtures against the prior, likewise.
        coherence: Whether views drawn from one z agree, by what z was drawn from.
        calibration: Whether probabilities come true, for each direction of inference.
        noise: The generators' gradients; None if they were not asked for.
        files: What was written.
    """

    scenes: int
    particles: int
    marginals: list[Marginal]
    conditionals: list[Conditional]
    units: list[Units]
    coverage: list[Coverage]
    coherence: list[Coherence]
    calibration: list[Calibration]
    noise: GradientNoise | None
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Give plain data."""
        return {
            "scenes": self.scenes,
            "particles": self.particles,
            **{name: [found.to_json() for found in getattr(self, name)] for name in _LISTS},
            "noise": None if self.noise is None else self.noise.to_json(),
            "files": [path.name for path in self.files],
        }


def claim(folder: Path, force: bool) -> None:
    """Refuse a folder that a diagnosis may not be written to, see `require_free`."""
    require_free(folder, force, folder="a diagnosis", foreign=without(REPORT))


def diagnose(
    assembly: Assembly,
    dataset: SceneDataset,
    folder: Path,
    *,
    particles: int = 64,
    limit: int | None = None,
    gradients: int = 32,
    segmenter: Assembly | None = None,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    watch: Callable[[str], None] = lambda title: None,
) -> Diagnosis:
    """Examine a model that has a latent z and the guide that was trained with it.

    Args:
        assembly: Both.
        dataset: The scenes; those that lack a view the model or the guide knows are left out.
        folder: Where ``diagnose.json`` and the pictures go.
        particles: K of the log-likelihoods.
        limit: Look at the first so many scenes only.
        gradients: For each estimate of their noise, from all scenes; 0 leaves it out.
        segmenter: Finds masks in images, which are compared with those drawn.
        seed: Of every draw.
        about: Written at the head of the JSON.
        watch: Told what is being done.

    Raises:
        ValueError: If the model has no latent, there is not one particle, or fewer than two
            scenes are complete.
    """
    if not assembly.model.latent:
        raise ValueError("A model without a latent z has no posterior to be examined.")
    assembly.model.eval()
    assembly.guide.eval()
    views = complete_scenes(assembly, dataset, limit)
    watch("log-likelihoods")
    with seeded(seed, assembly.device):
        marginals, conditionals = log_likelihoods(assembly, views, particles=particles)
    watch("posteriors")
    with seeded(seed, assembly.device):
        found = [beliefs(assembly, views, given) for given in conditionings(assembly)]
        prior = believed_before(assembly, views)
    latents = {tuple(assembly.model.conditions): prior, **{b.given: b.drawn for b in found}}
    watch("coherence and calibration")
    segment = None if segmenter is None else segmenting(segmenter)
    coherent = coherence(assembly, views, latents, dataset.schema.labels, segment)
    with seeded(seed, assembly.device):
        calibrated = calibration(assembly, views)
    noise = None
    if gradients:
        noise = gradient_noise(assembly, dataset, repeats=gradients, seed=seed, watch=watch)
    result = Diagnosis(
        scenes=len(views),
        particles=particles,
        marginals=marginals,
        conditionals=conditionals,
        units=[units(belief) for belief in found],
        coverage=[coverage(belief, prior, seed) for belief in found],
        coherence=coherent,
        calibration=calibrated,
        noise=noise,
        files=(),
    )
    watch("pictures")
    draw_traversals(
        folder / "traversals.png",
        assembly,
        views.rows(torch.arange(1)),
        found[-1].given,
        result.units[-1],
        dataset.schema.labels,
    )
    result = replace(result, files=_illustrated(folder, result, found, prior))
    write_json(folder / REPORT, {**(about or {}), **result.to_json()})
    return result


def _illustrated(
    folder: Path, result: Diagnosis, found: list[Beliefs], prior: Tensor
) -> tuple[Path, ...]:
    """Draw what was found, and list the files of the diagnosis."""
    names = [REPORT, "coverage.png", "traversals.png", "reliability.png"]
    draw_coverage(folder / "coverage.png", found, prior, result.coverage)
    draw_calibration(folder / "reliability.png", result.calibration)
    if result.noise is not None:
        draw_noise(folder / "gradients.png", result.noise)
        names.append("gradients.png")
    return tuple(folder / name for name in names)
