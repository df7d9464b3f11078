"""Scenes drawn on request: find the views given, draw z, decode, and write what came out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from scene.datasets.base import SPLITS
from scene.datasets.catalogue import evaluation_split, open_data
from scene.datasets.framing import Frame
from scene.figures.grid import claim
from scene.images.io import picture_size, read_image, read_mask, read_mask_of
from scene.labels import Labels
from scene.seeds import seeded
from scene.storage.user_folders import expanded
from scene.views import VIEWS, Scene, Schema, Views, stack

from ..build import Assembly
from ..devices import Device, device_of
from ..runs.restore import restore
from ..runs.run import Run
from .figures import averaged, decided, draw_samples, named, probable
from .predict import draw
from .refine import Refined, Refinement, refined, require_refinable
from .view_files import claim_views, write_views

_SCENE = re.compile(f"({'|'.join(SPLITS)}):([0-9]{{1,9}})")


@dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes:
        given: For each view to condition on: a path, ``test:N``, or names of classes.
        count: How many scenes.
        walk: Whether they lie on a straight line through z, between two draws.
        seed: Of the draws.
        data: Where ``test:N`` is looked up.
        refine: How to refine the belief for these views; None = as the guide says it.
    """

    given: Mapping[str, str]
    count: int
    walk: bool
    seed: int
    data: str
    refine: Refinement | None = None


@dataclass(frozen=True)
class Made:
    """What was drawn.

    Attributes:
        picture: Where it is.
        title: What it says above everything.
        out: The folder of raw views.
        files: How many are in it.
        refined: What refining came to, if that was asked.
    """

    picture: Path
    title: str
    out: Path | None
    files: int
    refined: Refined | None = None


def draw_request(
    run: Run,
    request: Request,
    *,
    picture: Path | None = None,
    out: Path | None = None,
    device: Device = "auto",
    trust: bool = False,
    force: bool = False,
) -> Made:
    """Draw scenes with a run's model and write them.

    Everything that can be refused is refused before anything is written.

    Raises:
        LookupError: If a class or a scene is unknown.
        FileExistsError: If an output exists and ``force`` is not set.
        ValueError: If a view cannot be read or has other labels than the model, or the model has
            no belief given these views, or nothing to walk through.
    """
    if picture is not None:
        claim(picture, force)
    if out is not None:
        claim_views(out, force)
    assembly = restore(run, device=device_of(device), trust=trust)
    given = gather(request, run.schema)
    given = given.to(assembly.device) if given is not None else None
    _require(assembly, given, run.settings.recipe, request.refine)
    if request.walk and not assembly.model.latent:
        raise ValueError(f"A {run.settings.recipe} has no z to walk through; leave out --walk.")
    with seeded(request.seed, assembly.device):
        z, better = _latents(assembly, given, request)
        found = {name: view.cpu() for name, view in probable(assembly, z, given).items()}
    samples, means = decided(found), {} if request.walk else averaged(found)
    title = _title(request, given, run.schema.labels)
    picture = picture or _free(run.folder / "samples", _stem(request))
    draw_samples(
        picture,
        given.to("cpu") if given is not None else None,
        samples,
        run.schema.labels,
        title,
        means,
    )
    files = write_views(out, samples, run.schema.labels, means) if out is not None else 0
    return Made(picture, title, out, files, better)


def gather(request: Request, schema: Schema) -> Views | None:
    """Find the views to condition on, as a batch of one scene; None if there are none.

    Pictures are resized and cropped to the schema's size, masks by nearest neighbour.
    """
    if not request.given:
        return None
    found = {name: _view(name, text, request, schema) for name, text in request.given.items()}
    names = [name for name in VIEWS if name in found]
    scene = Scene(found.get("image"), found.get("classes"), found.get("mask"))
    return stack([scene], schema).only(names)


def walk(ends: Tensor, steps: int) -> Tensor:
    """Step in a straight line between two latents: ``(2, B, L)`` to ``(steps, B, L)``.

    >>> walk(torch.tensor([[[0.0]], [[2.0]]]), 3).flatten()
    tensor([0., 1., 2.])
    """
    along = torch.linspace(0, 1, steps, device=ends.device).view(-1, 1, 1)
    return torch.lerp(ends[:1], ends[1:], along)


def _latents(
    assembly: Assembly, given: Views | None, request: Request
) -> tuple[Tensor | None, Refined | None]:
    """Draw z, ``(N, 1, L)``, and give what refining came to, if that was asked."""
    draws = 2 if request.walk else request.count
    better = None
    if request.refine is not None and given is not None:
        better = refined(assembly, given, request.refine, draws)
    z = better.z if better else draw(assembly, given, draws, 1)
    return (walk(z, request.count) if request.walk and z is not None else z), better


def _require(
    assembly: Assembly, given: Views | None, recipe: str, refine: Refinement | None
) -> None:
    names = given.names if given is not None else ()
    if missing := [name for name in assembly.model.conditions if name not in names]:
        raise ValueError(f"A {recipe} draws given an {missing[0]}; add --from-{missing[0]}.")
    if refine is not None:
        require_refinable(assembly, names)
        return
    evidence = set(names) - set(assembly.model.conditions)
    if evidence and not assembly.guide.accepts(names):
        raise ValueError(
            f"This {recipe} has no belief given just {' + '.join(names)}; give other views, or "
            "take a run that accepts any, such as one of telbo, or add --refine svi."
        )


def _view(name: str, text: str, request: Request, schema: Schema) -> Tensor:
    labels = schema.labels
    if scene := _SCENE.fullmatch(text):
        return _of_scene(name, request.data, scene[1], int(scene[2]), schema)
    if name == "classes":
        return labels.encode(word.strip() for word in text.split(",") if word.strip())
    path = expanded(text)
    picture = read_image(path) if name == "image" else _mask(path, request, labels)
    frame = Frame((picture.shape[-2], picture.shape[-1]), schema.size)
    return frame.apply_image(picture) if name == "image" else frame.apply_mask(picture)


def _mask(path: Path, request: Request, labels: Labels) -> Tensor:
    """Read a mask; with a photo beside it, as drawn on that.

    Raises:
        ValueError: If the two do not show the same pixels.
    """
    text = request.given.get("image", "test:0")
    if _SCENE.fullmatch(text):
        return read_mask(path, labels)
    photo = expanded(text)
    mask, (h, w) = read_mask_of(path, labels, photo, alone=True), picture_size(photo)
    if mask.shape != (h, w):
        tall, wide = mask.shape
        raise ValueError(
            f"{photo} is {w}×{h} but {path} is {wide}×{tall}; give an image and its mask at one "
            "size."
        )
    return mask


def _of_scene(name: str, data: str, split: str, number: int, schema: Schema) -> Tensor:
    if split == "test":  # folders often have none
        split = evaluation_split(data)
    dataset = open_data(data, split, schema.size)
    if number >= len(dataset):
        raise LookupError(
            f"{split}:{number} is not there; {dataset.name} {split} has scenes 0 to "
            f"{len(dataset) - 1}."
        )
    if name != "image":
        schema.labels.require(dataset.schema.labels, dataset.name)
    found: Tensor | None = getattr(dataset[number], name)
    if found is None:
        raise LookupError(f"{split}:{number} of {dataset.name} has no {name}; choose another.")
    return found


def _title(request: Request, given: Views | None, labels: Labels) -> str:
    if given is None:
        start = "drawn from the prior"
    else:
        source = " + ".join(
            named(labels, given["classes"][0]) if name == "classes" else f"the {name}"
            for name in given
        )
        start = f"drawn given {source}"
    if request.refine is not None:
        start += f", refined by {request.refine.method}"
    return f"{start}, a walk" if request.walk else start


def _stem(request: Request) -> str:
    return "from-" + ("+".join(n for n in VIEWS if n in request.given) or "prior")


def _free(folder: Path, stem: str) -> Path:
    number = 1
    while (folder / f"{stem}-{number}.png").exists():
        number += 1
    return folder / f"{stem}-{number}.png"
