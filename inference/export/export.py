"""Export: networks of a model are written, loaded again, and compared with the original."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scene.datasets.base import SceneDataset
from scene.datasets.folders.writer import new_folder
from scene.discriminative import CoarseScene, SegmentedScene
from scene.registry import unknown
from scene.seeds import seeded
from scene.storage.outputs import require_free, unlike
from scene.views import Views

from ..build import Assembly
from ..runs.run import VERSIONS, Run
from .formats import OPSET, Format, capture, difference, format_of
from .networks import PARTS, Network, Tensors, networks, parts_of, readable_sets

ABOUT = "export.json"
"""The file that says what the networks beside it take and return."""

TOLERANCE = 1e-4
"""The most by which a number may differ from the original."""

SCENES = 8
"""Scenes that a network is compared on."""


@dataclass(frozen=True)
class Exported:
    """A network that was exported.

    Attributes:
        path: Its file.
        network: The network.
        difference: The largest difference of any number of any output from the original.
    """

    path: Path
    network: Network
    difference: float


@dataclass(frozen=True)
class Export:
    """What was exported of a run.

    Attributes:
        networks: Each network.
        about: The file that describes them.
        scenes: The number of scenes that they were compared on.
        left_out: What of the run is in no file, a sentence each.
    """

    networks: tuple[Exported, ...]
    about: Path
    scenes: int
    left_out: tuple[str, ...]


def export(
    run: Run,
    assembly: Assembly,
    scenes: SceneDataset,
    folder: Path,
    *,
    format: str = "onnx",
    part: str = "all",
    given: Collection[frozenset[str]] | None = None,
    force: bool = False,
    seed: int = 0,
    watch: Callable[[str], None] = lambda title: None,
) -> Export:
    """Write networks of a run into a folder, once each agrees with the original.

    Args:
        run: The run.
        assembly: Its model and guide.
        scenes: What networks are compared on.
        folder: Where to; written whole or not at all.
        format: A key of `inference.export.formats.FORMATS`.
        part: ``segmenter``, ``encoder``, ``decoder``, or ``all`` that there are.
        given: Sets of views that encoders read; None = each view alone, and all together.
        force: Replace an earlier export.
        seed: Seed of the draws of z that decoders are compared on.
        watch: Called with the name of each network before it is written.

    Raises:
        FileExistsError: If the folder holds something, and ``force`` does not replace it.
        LookupError: If there is no such format or part.
        ModuleNotFoundError: If a package that the format needs is not installed.
        ValueError: If the run has no such network, one cannot be captured, or one differs from
            the original by more than `TOLERANCE`.
    """
    chosen = format_of(format)
    chosen.require()
    require_free_export(folder, force)
    parts = _parts(run, assembly, part, given)
    on_cpu = _on_cpu(assembly)
    found = networks(on_cpu, parts, given)
    views = scenes.views(range(min(SCENES, len(scenes))))
    inputs = _inputs(on_cpu, views, seed)
    with new_folder(folder) as staging:
        results = []
        for network in found:
            watch(network.name)
            path = staging / f"{network.name}{chosen.suffix}"
            examples = tuple(inputs[name] for name in network.inputs)
            gap = _written(network, chosen, path, examples)
            results.append(Exported(folder / path.name, network, gap))
        left_out = tuple(_left_out(assembly, parts))
        about = _about(run, assembly, format, results, inputs, left_out)
        (staging / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return Export(tuple(results), folder / ABOUT, len(views), left_out)


def require_free_export(folder: Path, force: bool) -> None:
    """Refuse a folder that an export may not be written to, see `require_free`."""
    require_free(folder, force, folder="an export", foreign=unlike(_is_part))


def _is_part(path: Path) -> bool:
    return path.name == ABOUT or path.suffix in (".onnx", ".pt2")


def _parts(
    run: Run, assembly: Assembly, part: str, given: Collection[frozenset[str]] | None
) -> tuple[str, ...]:
    """Return the kinds of networks to export."""
    if part not in (*PARTS, "all"):
        raise LookupError(unknown(part, (*PARTS, "all"), "part") + ".")
    known = parts_of(assembly.model)
    what = f"{run.folder} is a run of {run.settings.title}, which has"
    if not known:
        raise ValueError(
            f"{what} no network that can be exported: those of segmenter, supervised, sec, cvae, "
            "jvae, jmvae and telbo can."
        )
    if part not in (*known, "all"):
        raise ValueError(f"{what} no {part}, but: {', '.join(known)}; name one with --part.")
    if given is not None and ("encoder" not in known or part not in ("encoder", "all")):
        raise ValueError("--given is of encoders, and none is exported here; leave it out.")
    return known if part == "all" else (part,)


def _on_cpu(assembly: Assembly) -> Assembly:
    """Return copies of model and guide on the CPU, in evaluation mode."""
    model, guide = copy.deepcopy(
        (assembly.model, assembly.guide)
    )  # a guide knows its model's p(z)
    return replace(assembly, model=model.cpu().eval(), guide=guide.cpu().eval())


def _inputs(assembly: Assembly, views: Views, seed: int) -> dict[str, Tensor]:
    """Return the inputs of networks: views of scenes, and z drawn given as many as can be."""
    inputs = dict(views.items())
    if assembly.model.latent:
        known = readable_sets(assembly)
        with seeded(seed), torch.no_grad():
            if known:
                from ..prediction.predict import posterior

                q: Any = posterior(assembly, views.only(known[-1]))
                inputs["z"] = q.sample()
            else:
                inputs["z"] = torch.randn(len(views), assembly.model.latent)
    return inputs


def _written(network: Network, chosen: Format, path: Path, inputs: Tensors) -> float:
    """Write a network, run its file, and return the largest difference from the original.

    Raises:
        ValueError: If it is above `TOLERANCE`.
    """
    examples = tuple(_two_or_more(tensor) for tensor in inputs)
    with torch.no_grad():
        chosen.write(capture(network, examples), network, path)
        run, gap = chosen.load(path), 0.0
        for count in sorted({1, len(inputs[0])}):
            some = tuple(tensor[:count].contiguous() for tensor in inputs)
            gaps = map(difference, network.original(some), run(some))
            gap = max(gap, *gaps)
    if gap > TOLERANCE:
        raise ValueError(
            f"The exported {network.name} differs from the original by {gap:.2g}, more than "
            f"{TOLERANCE:g}; nothing was written."
        )
    return gap


def _two_or_more(tensor: Tensor) -> Tensor:
    """Repeat a single scene: a graph captured with one would take one only."""
    return tensor if len(tensor) > 1 else torch.cat([tensor, tensor])


def _left_out(assembly: Assembly, parts: Collection[str]) -> Iterator[str]:
    model = assembly.model
    if isinstance(model, SegmentedScene | CoarseScene):
        yield (
            "The dense CRF is no network and is not exported: refine masks with `scene crf "
            "refine`, or with inference.crf."
        )
    if "decoder" not in parts:
        return
    if assembly.flow is not None:
        yield (
            "The flow over z is not exported: drawing with it solves an equation step by step. z "
            "from N(0, I) decodes to worse scenes than z of an encoder."
        )
    if assembly.detailed is not None:
        yield "The flow of details is not exported: decoded images are means, without texture."
    if getattr(model, "mask_first", False):
        yield "The image is decoded on the mask that z decodes to; no other can be given."


def _about(
    run: Run,
    assembly: Assembly,
    format: str,
    results: list[Exported],
    inputs: dict[str, Tensor],
    left_out: tuple[str, ...],
) -> dict[str, Any]:
    """Return what someone who has only the files must know."""
    from importlib.metadata import version

    labels = run.schema.labels
    return {
        "format": format,
        **({"opset": OPSET} if format == "onnx" else {}),
        "recipe": run.settings.title,
        "input_size": list(run.schema.size),
        "image": {"layout": "batch, RGB, height, width", "range": [0, 1],
                  "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
        "mask": {"layout": "batch, height, width", "void": 255},
        "labels": list(labels.names),
        "classes": list(labels.classes),
        "latent": assembly.model.latent,
        "networks": [
            {
                "file": result.path.name,
                "part": result.network.part,
                "inputs": {
                    name: {"shape": ["batch", *inputs[name].shape[1:]],
                           "type": str(inputs[name].dtype).removeprefix("torch.")}
                    for name in result.network.inputs
                },
                "outputs": list(result.network.outputs),
                "largest_difference": result.difference,
            }
            for result in results
        ],
        "left_out": list(left_out),
        "versions": {name: version(name) for name in VERSIONS},
    }  # fmt: skip
