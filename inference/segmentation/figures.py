"""Pictures of seed cues and of the stages of weak supervision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.figures.grid import Panel, draw_grid
from scene.labels import VOID, Labels
from scene.views import Scene

from ..build import Assembly
from ..crf.parameters import Parameters
from .cues import CueSettings, SceneCues, find_cues
from .gradcam import resized
from .segmenter import Segmenter

_MAPS = 3  # of one scene, the classes named first


def draw_cues(path: Path, scenes: Sequence[Scene], cues: SceneCues, labels: Labels) -> None:
    """Draw scenes in rows: image, maps of the present classes, cues, and the mask if known.

    Args:
        path: Where the PNG goes.
        scenes: The first few of those that ``cues`` are of; each has an image.
        cues: Class maps and cues of the scenes.
        labels: For names and colours.
    """
    present_classes = [present.nonzero().flatten().tolist()[:_MAPS] for present in cues.present]
    wide = max(1, *map(len, present_classes[: len(scenes)])) if scenes else 1
    masked = any(scene.mask is not None for scene in scenes)
    rows = []
    for scene, classes, maps, seeds in zip(
        scenes, present_classes, cues.maps, cues.seeds, strict=False
    ):
        assert scene.image is not None
        image = scene.image.float() / 255
        line = [Panel(image)]
        line += [Panel(heat_overlay(image, maps[c]), labels.classes[c]) for c in classes]
        line += [Panel()] * (wide - len(classes))
        line += [Panel(cued(seeds, (image.shape[-2], image.shape[-1])))]
        rows.append(line + ([Panel(scene.mask)] if masked else []))
    columns = ["image", *["map"] * wide, "cues", *(["mask"] if masked else [])]
    draw_grid(path, rows, labels, columns=columns)


def draw_class_maps(
    path: Path, assembly: Assembly, dataset: SceneDataset, *, scenes: int = 6
) -> None:
    """Draw the first scenes that have an image, with the classes that the classifier predicts.

    Args:
        path: Where the PNG goes.
        assembly: A classifier.
        dataset: Gives the scenes.
        scenes: Number of scenes, at most.
    """
    first = range(min(4 * scenes, len(dataset)))
    rows = [i for i in first if dataset[i].image is not None][:scenes]
    if not rows:
        return
    labels = dataset.schema.labels
    settings = CueSettings(background=None if labels.background is None else 0.1)
    cues = find_cues(assembly, dataset, rows, settings=settings, labelled=False)
    draw_cues(path, [dataset[i] for i in rows], cues, labels)


def heat_overlay(image: Tensor, heat: Tensor) -> Tensor:
    """Lay a class map over an image as heat: the hotter, the less one sees of the image.

    Args:
        image: ``(3, H, W)`` in [0, 1].
        heat: ``(h, w)`` in [0, 1].

    Returns:
        ``(3, H, W)`` in [0, 1].
    """
    warm = resized(heat[None, None], (image.shape[-2], image.shape[-1]))[0, 0].clamp(0, 1)
    colours = torch.from_numpy(matplotlib.colormaps["inferno"](warm.numpy())).float()
    grey = image.mean(0, keepdim=True).expand(3, -1, -1)
    return torch.lerp(grey, colours[..., :3].permute(2, 0, 1), 0.25 + 0.5 * warm)


def cued(seeds: Tensor, size: tuple[int, int]) -> Tensor:
    """Turn cues ``(L, h, w)`` into label ids ``(*size)``, void where there is none."""
    ids = torch.where(seeds.any(0), seeds.int().argmax(0), VOID)
    rows = torch.arange(size[0]) * ids.shape[0] // size[0]
    columns = torch.arange(size[1]) * ids.shape[1] // size[1]
    return ids[rows][:, columns]


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
