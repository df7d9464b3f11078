"""Diagnosis of a run: every diagnostic on one split, as JSON and as figures."""

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
from .calibration import Calibration, calibration, draw_calibration
from .coherence import Coherence, coherence, segmenter_of
from .coverage import Coverage, coverage, draw_coverage, flow_coverage
from .generation import LEAST, Generation, draws_scenes, generation
from .gradient_noise import gradient_noise
from .gradient_statistics import GradientNoise, draw_noise
from .likelihoods import Conditional, Marginal, log_likelihoods
from .posteriors import (
    Posteriors,
    Units,
    complete_scenes,
    conditioning_sets,
    posteriors,
    sample_prior,
    units,
)
from .traversals import draw_traversals

REPORT = "diagnose.json"


_LISTS = (
    "marginals",
    "conditionals",
    "units",
    "coverage",
    "flow",
    "coherence",
    "generation",
    "calibration",
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """The results of all diagnostics.

    Attributes:
        scenes: Number of scenes.
        particles: K of the log-likelihoods.
        marginals: Log-likelihoods of sets of views.
        conditionals: Log-likelihoods of a view given others.
        units: The dimensions of z, for each set of views that has a posterior.
        coverage: Mixtures of posteriors against the prior, for each of these sets.
        flow: Draws of the flow against draws given all views, for each set; empty without a flow.
        coherence: Agreement of views decoded from one z, by what z was sampled given.
        generation: Drawn scenes against true ones; empty if there is no segmenter, or the model
            draws no images.
        calibration: Calibration of probabilities, for each direction of inference.
        noise: Noise of the decoders' gradients; None if it was not measured.
        files: The files that were written.
    """

    scenes: int
    particles: int
    marginals: list[Marginal]
    conditionals: list[Conditional]
    units: list[Units]
    coverage: list[Coverage]
    flow: list[Coverage]
    coherence: list[Coherence]
    generation: list[Generation]
    calibration: list[Calibration]
    noise: GradientNoise | None
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "scenes": self.scenes,
            "particles": self.particles,
            **{name: [row.to_json() for row in getattr(self, name)] for name in _LISTS},
            "noise": None if self.noise is None else self.noise.to_json(),
            "files": [path.name for path in self.files],
        }


def require_diagnosis_folder(folder: Path, force: bool) -> None:
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
    training: SceneDataset | None = None,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    watch: Callable[[str], None] = lambda title: None,
) -> Diagnosis:
    """Run every diagnostic of a model with z and the guide that was trained with it.

    Args:
        assembly: Model and guide.
        dataset: The scenes; those that lack a view of the model or the guide are left out.
        folder: Where ``diagnose.json`` and the figures go.
        particles: K of the log-likelihoods.
        limit: Use the first so many scenes only.
        gradients: Gradients for each estimate of their noise; 0 = it is not measured.
        segmenter: A model of p(mask | image), whose masks of decoded images are compared with
            decoded masks; None = it is not done.
        training: The scenes that the model was trained on, for drawn scenes to be compared with;
            None = none are drawn.
        seed: Seed of every random number.
        about: Entries at the head of the JSON.
        watch: Called with the name of each step.

    Raises:
        ValueError: If the model has no z, ``particles`` is below 1, or fewer than two scenes are
            complete.
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
        inferred = [posteriors(assembly, views, given) for given in conditioning_sets(assembly)]
        prior = sample_prior(assembly, views)
    latents = {
        tuple(assembly.model.conditions): prior,
        **{one.given: one.samples for one in inferred},
    }
    watch("coherence and calibration")
    segment = None if segmenter is None else segmenter_of(segmenter)
    coherent = coherence(assembly, views, latents, dataset.schema.labels, segment)
    drawn: list[Generation] = []
    judged = segmenter is not None and draws_scenes(assembly) and len(views) >= LEAST
    if judged and training is not None:
        assert segmenter is not None
        watch("drawn scenes")
        drawn = generation(
            assembly, dataset, training, segmenter, limit=limit or len(dataset), seed=seed
        )
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
        units=[units(one) for one in inferred],
        coverage=[coverage(one, prior, seed) for one in inferred],
        flow=[] if assembly.flow is None else flow_coverage(assembly, views, inferred[-1], seed),
        coherence=coherent,
        generation=drawn,
        calibration=calibrated,
        noise=noise,
        files=(),
    )
    watch("figures")
    draw_traversals(
        folder / "traversals.png",
        assembly,
        views.rows(torch.arange(1)),
        inferred[-1].given,
        result.units[-1],
        dataset.schema.labels,
    )
    result = replace(result, files=_draw_figures(folder, result, inferred, prior))
    write_json(folder / REPORT, {**(about or {}), **result.to_json()})
    return result


def _draw_figures(
    folder: Path, result: Diagnosis, inferred: list[Posteriors], prior: Tensor
) -> tuple[Path, ...]:
    """Draw the figures, and return the files of the diagnosis."""
    names = [REPORT, "coverage.png", "traversals.png", "reliability.png"]
    draw_coverage(folder / "coverage.png", inferred, prior, result.coverage)
    draw_calibration(folder / "reliability.png", result.calibration)
    if result.noise is not None:
        draw_noise(folder / "gradients.png", result.noise)
        names.append("gradients.png")
    return tuple(folder / name for name in names)
