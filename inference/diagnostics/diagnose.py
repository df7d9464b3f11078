"""The whole examination of a run: every diagnostic on one split, as JSON and as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.assemble import Assembly
from inference.diagnostics.beliefs import (
    beliefs,
    believed_before,
    complete_scenes,
    conditionings,
)
from inference.diagnostics.calibration import Calibration, calibration, draw_calibration
from inference.diagnostics.coherence import Coherence, coherence, segmenting
from inference.diagnostics.coverage import Coverage, coverage, draw_coverage
from inference.diagnostics.likelihoods import Conditional, Marginal, log_likelihoods
from inference.diagnostics.noise import gradient_noise
from inference.diagnostics.scatter import GradientNoise, draw_noise
from inference.diagnostics.traversals import draw_traversals
from inference.diagnostics.units import Units, units
from inference.runs import write_json
from scene.datasets.base import SceneDataset
from scene.seeds import seeded
from scene.views import Views

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
    """Refuse a folder that a diagnosis may not be written to.

    Raises:
        FileExistsError: If it holds something, and ``force`` does not allow replacing it.
        ValueError: If it is a file, or holds something other than a diagnosis.
    """
    if folder.is_file():
        raise ValueError(f"{folder} is a file; pictures go into a folder, choose another --out.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise FileExistsError(f"{folder} exists; choose another --out, or --force to replace it.")
    if not (folder / REPORT).is_file():
        raise ValueError(f"{folder} holds no diagnosis, so --force will not replace it.")


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
    active = [units(belief) for belief in found]
    covered = [coverage(belief, prior, seed) for belief in found]
    watch("coherence")
    latents = {tuple(assembly.model.conditions): prior, **{b.given: b.drawn for b in found}}
    segment = None if segmenter is None else segmenting(segmenter)
    labels = dataset.schema.labels
    coherent = coherence(assembly, views, latents, labels, segment)
    watch("calibration")
    with seeded(seed, assembly.device):
        calibrated = calibration(assembly, views)
    watch("pictures")
    names = ("coverage.png", "traversals.png", "reliability.png")
    pictures = tuple(folder / name for name in names)
    draw_coverage(pictures[0], found, prior, covered)
    draw_traversals(pictures[1], assembly, _first(views), found[-1].given, active[-1], labels)
    draw_calibration(pictures[2], calibrated)
    noise = None
    if gradients:
        noise = gradient_noise(assembly, dataset, repeats=gradients, seed=seed, watch=watch)
        pictures = (*pictures, folder / "gradients.png")
        draw_noise(pictures[-1], noise)
    files = (folder / REPORT, *pictures)
    result = Diagnosis(
        len(views),
        particles,
        marginals,
        conditionals,
        active,
        covered,
        coherent,
        calibrated,
        noise,
        files,
    )
    write_json(folder / REPORT, {**(about or {}), **result.to_json()})
    return result


def _first(views: Views) -> Views:
    return Views({name: view[:1] for name, view in views.items()})
