"""Segmentation of photographs of any size by a trained run, one of its stages, and the CRF."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scene.registry import load as load_named
from scene.seeds import seeded
from scene.views import Schema

from ..build import Assembly
from ..crf.parameters import USUAL, Parameters
from ..prediction.predict import able
from ..runs.checkpoints import restore
from ..runs.run import Run, home, newest
from ..settings.abilities import able as reads
from ..settings.recipes import RECIPES
from .cues import CueSettings, usual_class_maps
from .maps import log_probs
from .segmentation import Segmentation
from .stages import SOURCES, STAGES, recipes_of, restricted, stage_of

PIXELS = 1_000_000
"""Pixels at which the CRF works: larger photographs are shrunk for it."""

VALUES = 21 * PIXELS
"""Probabilities, labels × pixels, at which it works: with more labels, fewer pixels."""

_CRF, _CLASS_MAPS = USUAL, CueSettings()

_DRAWING = threading.Lock()
"""Held while z is drawn: torch has one random state for all threads."""


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A trained model and a stage: photographs in, segmentations out.

    A photograph of any size is resized to the model's, its aspect given up so that nothing is
    cropped; probabilities are brought back bilinearly. The CRF then works at the photograph's
    own pixels, or on as many as ``pixels`` allows, and its widths are in pixels of those; its
    marginals are brought back bilinearly, too.

    Attributes:
        assembly: The model, in evaluation mode.
        schema: Its labels and size.
        stage: A key of `inference.segmentation.stages.STAGES`.
        crf: Parameters of the CRF, used if the stage has one.
        class_maps: The settings of a classifier's class maps.
        pixels: See above; at most `VALUES` / labels.
        seed: Seed of the draws of z, the same for every photograph.
        engine: Engine of the CRF, as in `inference.crf.meanfield.refine`.

    Raises:
        ValueError: If the parameters are of another number of labels, or pixels are none.
    """

    assembly: Assembly
    schema: Schema
    stage: str
    crf: Parameters = _CRF
    class_maps: CueSettings = _CLASS_MAPS
    pixels: int = PIXELS
    seed: int = 0
    engine: str = "auto"

    def __post_init__(self) -> None:
        self.crf.require(len(self.schema.labels.names))
        if self.pixels < 1:
            raise ValueError(f"The CRF works on 1 pixel or more, not {self.pixels}.")

    def segment(self, image: Tensor, known: Tensor | None = None) -> Segmentation:
        """Segment a photograph.

        Args:
            image: ``(3, H, W)`` uint8.
            known: ``(C,)``, 1 where a class is known to be present and 0 where it is known not
                to be; None = nothing is known.
        """
        present = None if known is None else known[None]
        probs = self.probabilities(self.resized(image)[None], present)[0]
        return self.refine(probs, image, known, self.crf if STAGES[self.stage].crf else None)

    def prepare(self, images: Sequence[Tensor]) -> list[Callable[[], Segmentation]]:
        """Run the network on several photographs at once.

        A model with a latent reads them one after another, so that the draws of z are the same
        for every photograph.

        Args:
            images: Each ``(3, H, W)`` uint8.

        Returns:
            For each photograph, a call that runs the CRF and returns the segmentation.
        """
        framed = torch.stack([self.resized(image) for image in images])
        at_once = 1 if self.assembly.model.latent else len(images)
        crf = self.crf if STAGES[self.stage].crf else None
        probs = (row for part in framed.split(at_once) for row in self.probabilities(part))
        return [
            partial(self.refine, own, image, None, crf)
            for own, image in zip(probs, images, strict=True)
        ]

    def resized(self, image: Tensor) -> Tensor:
        """Resize a whole photograph, ``(3, H, W)`` uint8, to the model's size, in [0, 1]."""
        return _shrunk(image, self.schema.size).float() / 255

    def probabilities(self, images: Tensor, known: Tensor | None = None) -> Tensor:
        """Return the label probabilities of the stage before its CRF.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1], of the model's size.
            known: ``(B, C)``, as in `segment`; None = nothing is known of any.

        Returns:
            ``(B, L, H, W)``, on the model's device.
        """
        device = self.assembly.device
        present = None if known is None else known.to(device)
        source = load_named(STAGES[self.stage].source, SOURCES, "stage")
        arguments = (self.assembly, images.to(device), self.schema.labels, present)
        if not self.assembly.model.latent:
            return cast(Tensor, source(*arguments, self.class_maps))
        with _DRAWING, seeded(self.seed, device):
            return cast(Tensor, source(*arguments, self.class_maps))

    @torch.no_grad()
    def refine(
        self,
        probs: Tensor,
        image: Tensor,
        known: Tensor | None = None,
        crf: Parameters | None = None,
    ) -> Segmentation:
        """Bring probabilities to a photograph's pixels, and refine them there by the CRF.

        Args:
            probs: ``(L, h, w)``, as `probabilities` returns them.
            image: ``(3, H, W)`` uint8.
            known: As in `segment`.
            crf: Of the CRF; None = there is none.
        """
        probs = refined(probs, image, crf, self.pixels, self.engine)
        if crf is not None and known is not None:  # the floor had left a little of the others
            probs = restricted(probs[None], known[None], self.schema.labels)[0]
        size = (image.shape[-2], image.shape[-1])
        return Segmentation(probs.float().cpu(), size, self.schema.labels, image)


def load(
    run: Run,
    stage: str | None = None,
    *,
    crf: Parameters = _CRF,
    class_maps: CueSettings | None = None,
    pixels: int = PIXELS,
    seed: int = 0,
    engine: str = "auto",
    device: torch.device | str = "cpu",
    trust: bool = False,
) -> Segmenter:
    """Load a run, to segment photographs with.

    Args:
        run: A complete run of any recipe that predicts masks from images, or of a classifier.
        stage: A key of `inference.segmentation.stages.STAGES`; None = `stage_of` the run.
        crf: Parameters of the CRF; by default those everybody starts from.
        class_maps: The settings of a classifier's class maps; None = those of
            `inference.segmentation.cues.usual_class_maps`.
        pixels: As in `Segmenter`.
        seed: Seed of the draws of z, the same for every photograph.
        engine: Engine of the CRF, as in `inference.crf.meanfield.refine`.
        device: The device to compute on.
        trust: Run the code that the run carries even if it was not trained here.

    Raises:
        LookupError: If the run is not complete, or there is no such stage.
        PermissionError: If it carries code that is not trusted.
        ValueError: If the run does not have that stage, or its model cannot read images.
    """
    stage_of(run, stage)  # refused before anything is loaded
    assembly = restore(run, device=device, trust=trust)
    return segmenter_of(
        run,
        assembly,
        stage,
        crf=crf,
        class_maps=class_maps,
        pixels=pixels,
        seed=seed,
        engine=engine,
    )


def segmenter_of(
    run: Run,
    assembly: Assembly,
    stage: str | None = None,
    *,
    crf: Parameters = _CRF,
    class_maps: CueSettings | None = None,
    pixels: int = PIXELS,
    seed: int = 0,
    engine: str = "auto",
) -> Segmenter:
    """Segment with a run that is loaded; the arguments are those of `load`.

    Raises:
        LookupError: If there is no such stage.
        ValueError: If the run does not have that stage, or its model cannot read images.
    """
    name = stage_of(run, stage)
    if STAGES[name].source != "gradcam" and not able(assembly, ("image",), "mask"):
        raise ValueError(
            f"{run.folder} predicts no masks from images alone; take a run of sec, segmenter, "
            "telbo, jmvae or cvae."
        )
    maps = class_maps or usual_class_maps(run.settings)
    return Segmenter(assembly, run.schema, name, crf, maps, pixels, seed, engine)


def newest_run(stage: str | None = None) -> Run:
    """Find the newest run to segment with.

    Of SEC, else of a classifier, else of a segmenter, else of any model that reads images.

    Args:
        stage: Only runs that have it.

    Raises:
        LookupError: If there is none; the message says how to make one.
    """
    usual = [("sec",), ("classifier",), ("segmenter",), None]
    for recipes in [recipes_of(stage, RECIPES)] if stage else usual:
        try:
            return newest(partial(_is_of, recipes))
        except LookupError:
            continue
    source = STAGES[stage].source if stage else "sec"
    how = {
        "gradcam": "`scene train classifier --data DATA`",
        "sec": "`scene train classifier --data DATA`, then `scene train sec --data DATA`",
        "mask": "`scene train segmenter --data DATA`",
    }[source]
    raise LookupError(
        f"There is no trained model to segment with in {home()}/; make one with {how}, or name a "
        "run: --run."
    )


@torch.no_grad()
def refined(
    probs: Tensor,
    image: Tensor,
    crf: Parameters | None,
    pixels: int = PIXELS,
    engine: str = "auto",
) -> Tensor:
    """Bring probabilities to a photograph's pixels, or to as many as the CRF works on.

    Args:
        probs: ``(L, h, w)``.
        image: ``(3, H, W)`` uint8.
        crf: Parameters of the CRF; None = there is none.
        pixels: Most pixels at which it works; at most `VALUES` / L.
        engine: Engine of the CRF.

    Returns:
        ``(L, H, W)``, or fewer rows and columns for a larger photograph; ``probs`` as they are
        for a larger photograph without a CRF.
    """
    size = (image.shape[-2], image.shape[-1])
    working = working_size(size, len(probs), pixels)
    if working == size or crf is not None:
        probs = upsample(probs, working)
    if crf is None:
        return probs
    from ..crf.meanfield import refine_logits

    marginals: Tensor = refine_logits(
        log_probs(probs),
        _shrunk(image, working).permute(1, 2, 0).to(probs.device),
        kernels=crf.at(working).kernels(),
        iterations=crf.iterations,
        engine=engine,
    )
    return marginals


def working_size(size: tuple[int, int], labels: int, pixels: int = PIXELS) -> tuple[int, int]:
    """Return the rows and columns at which probabilities of a photograph are held at most."""
    most = min(pixels, VALUES // labels)
    scale = math.sqrt(most / math.prod(size))
    if scale >= 1:
        return size
    height, width = (max(1, int(scale * extent)) for extent in size)
    return min(height, most), min(width, most)  # of a very long, thin one


def upsample(probs: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize probabilities ``(L, h, w)`` bilinearly; they still sum to one."""
    if probs.shape[-2:] == size:
        return probs
    shrinks = size[0] < probs.shape[-2] or size[1] < probs.shape[-1]
    return F.interpolate(probs[None], size, mode="bilinear", antialias=shrinks)[0]


def _is_of(recipes: Collection[str] | None, run: Run) -> bool:
    """Return whether a run is of one of the recipes, and reads an image alone."""
    name = run.settings.recipe
    return (recipes is None or name in recipes) and (
        name == "classifier" or reads(run.settings, ("image",))
    )


def _shrunk(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize a whole picture ``(3, H, W)``; the type is kept."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
