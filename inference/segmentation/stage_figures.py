"""Pictures of stages: scenes of a split, and the mask of each network, without and with CRF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scene.datasets.base import SceneDataset
from scene.figures.grid import Panel, draw_grid

from ..crf.parameters import Parameters
from .segmenter import Segmenter


def draw_stages(
    path: Path,
    dataset: SceneDataset,
    rows: Sequence[int],
    networks: Mapping[str, tuple[Segmenter, Parameters]],
) -> None:
    """Draw scenes in rows: the image, each network's mask without and with its CRF, the truth.

    Args:
        path: Where the PNG goes.
        dataset: Gives the scenes.
        rows: Which of them; each has an image. The truth is drawn if each has a mask.
        networks: By their titles, and the CRF that refines each.
    """
    columns, stages = ["image"], list[Segmenter]()
    for name, (network, crf) in networks.items():
        plain = network.stage.removesuffix("+crf")
        stages += [replace(network, stage=plain), replace(network, stage=f"{plain}+crf", crf=crf)]
        columns += [name, "+ CRF"]
    lines, scenes = [], [dataset.original(index) for index in rows]
    whole = all(scene.mask is not None for scene in scenes)
    for scene in scenes:
        assert scene.image is not None
        masks = [Panel(stage.segment(scene.image).mask) for stage in stages]
        truth = [Panel(scene.mask)] if scene.mask is not None and whole else []
        lines.append([Panel(scene.image.float() / 255), *masks, *truth])
    draw_grid(
        path, lines, dataset.schema.labels, columns=[*columns, "truth"] if whole else columns
    )
