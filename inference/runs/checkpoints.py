"""Checkpoints: weights, optimizer and random state as named tensors and JSON, never a pickle.

Each carries a digest of all that it holds, so that one that was damaged or changed is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from scene.detailed import DetailedScene
from scene.discriminative import ClassifiedScene
from scene.storage.files import replace_file

from ..build import Assembly, assemble
from ..flows import FlowGuide
from .plugins import located
from .run import WEIGHTS, Run, read

Tensors = dict[str, Tensor]

_ABOUT, _DIGEST = "scene", "digest"

FLOW, DETAILS = "prior", "details"
"""Recipes of what learns after a run."""

PARTS = {FLOW: "prior", DETAILS: "details"}
"""The folder, within a run's, of the run of each of these recipes."""


@dataclass
class Learning:
    """All that an interrupted training needs to go on as if it had not been.

    Attributes:
        assembly: Model, guide, objective.
        optimizer: The optimizer of their parameters.
        step: Steps taken.
        best: The lowest validation loss so far.
        waited: Validations since then.
    """

    assembly: Assembly
    optimizer: Optimizer
    step: int = 0
    best: float = float("inf")
    waited: int = 0


def save_weights(path: Path, assembly: Assembly, recipe: str) -> None:
    """Write the weights of model and guide.

    Args:
        path: Where; written whole or not at all.
        assembly: The trained model, guide and objective.
        recipe: Kept beside the weights, and asked for when they are read.
    """
    _save(path, _weights(assembly), {"recipe": recipe})


def load_weights(path: Path, assembly: Assembly, recipe: str) -> None:
    """Read weights into model and guide, wherever those live.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated or changed, of another recipe, its shapes do not fit, or
            a weight is no number.
    """
    tensors, _ = _load(path, recipe)
    _restore(path, assembly, tensors)


def save_learning(path: Path, learning: Learning, recipe: str) -> None:
    """Write all that resuming needs, whole or not at all."""
    state = learning.optimizer.state_dict()
    tensors = {**_weights(learning.assembly), "random/cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        for device, random in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{device}"] = random
    for index, entry in state["state"].items():
        for key, value in entry.items():
            tensors[f"optimizer/{index}/{key}"] = torch.as_tensor(value)
    progress = {"step": learning.step, "best": learning.best, "waited": learning.waited}
    about = {"recipe": recipe, "groups": state["param_groups"], "progress": progress}
    _save(path, tensors, about)


def load_learning(path: Path, learning: Learning, recipe: str) -> None:
    """Put everything back as `save_learning` found it.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated or changed, of another recipe, or does not fit: its shapes,
            the parameters of the optimizer, or how far training had come.
    """
    tensors, about = _load(path, recipe)
    if not {"groups", "progress"} <= set(about) or "random/cpu" not in tensors:
        raise ValueError(f"{path} holds no state of training to resume from; train again.")
    step, best, waited = _progress(path, about["progress"])
    _require_optimizer(path, learning.optimizer, tensors)
    _restore(path, learning.assembly, tensors)
    _restore_optimizer(path, learning.optimizer, tensors, about["groups"])
    learning.step, learning.best, learning.waited = step, best, waited
    torch.set_rng_state(tensors["random/cpu"])
    for device in range(torch.cuda.device_count()):
        if (name := f"random/cuda/{device}") in tensors:
            torch.cuda.set_rng_state(tensors[name], device)


def _progress(path: Path, entry: Any) -> tuple[int, float, int]:
    """Read how far training had come: steps, lowest validation loss, validations since then."""
    match entry:
        case {"step": int(step), "best": float(best), "waited": int(waited)}:
            counts = not isinstance(step, bool) and not isinstance(waited, bool)
            if counts and step >= 0 and waited >= 0 and not math.isnan(best):
                return step, best, waited
    raise ValueError(
        f"{path} does not record a valid training step ({entry}); train again from the start."
    )


def _require_optimizer(path: Path, optimizer: Optimizer, tensors: Tensors) -> None:
    """Refuse an optimizer's state that is of parameters that are not there."""
    count = sum(len(group["params"]) for group in optimizer.param_groups)
    stored = {name.split("/")[1] for name in tensors if name.startswith("optimizer/")}
    if odd := stored.difference(map(str, range(count))):
        raise ValueError(
            f"{path} has optimizer state for parameter {min(odd)}, but the model has only "
            f"{count} parameters; train again from the start."
        )


def _parts(assembly: Assembly) -> tuple[tuple[str, nn.Module], ...]:
    return ("model", assembly.model), ("guide", assembly.guide)


def _weights(assembly: Assembly) -> Tensors:
    return {
        f"{prefix}/{name}": tensor.detach()
        for prefix, module in _parts(assembly)
        for name, tensor in module.state_dict().items()
    }


def _restore(path: Path, assembly: Assembly, tensors: Tensors) -> None:
    for prefix, module in _parts(assembly):
        start = f"{prefix}/"
        state = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        for name, tensor in state.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ValueError(
                    f"{path} holds NaN or infinite weights ({name}); train again from the start."
                )
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"{path} does not fit this {prefix}: {reason}") from error


def _restore_optimizer(path: Path, optimizer: Optimizer, tensors: Tensors, groups: Any) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            like = parameters[int(index)]
            if tensor.shape == like.shape:  # fused steps want the parameter's own memory layout
                tensor = torch.empty_like(like).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(
            f"{path} does not fit the optimizer of this run ({error}); train again."
        ) from error


def _save(path: Path, tensors: Tensors, about: dict[str, Any]) -> None:
    stored = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**about, _DIGEST: _digest(stored, about)})
    content = save(stored, metadata={_ABOUT: text})  # one entry: the order of several is random
    replace_file(path, lambda part: part.write_bytes(content))


def _load(path: Path, recipe: str) -> tuple[Tensors, dict[str, Any]]:
    """Read a file written for a recipe, and refuse any other."""
    if not path.is_file():
        raise LookupError(
            f"There is no {path.name} in {path.parent}: the training stopped "
            "before it was saved. Continue it with `scene train --resume "
            f"{path.parent}`."
        )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            about = _metadata(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is truncated or damaged; copy it again, or train again."
        ) from error
    if about.get("recipe") != recipe:
        raise ValueError(f"{path} holds weights of {about.get('recipe')!r}, not of {recipe!r}.")
    if about.pop(_DIGEST, None) != _digest(tensors, about):
        raise ValueError(
            f"{path} does not hold what was written to it; copy it again, or train again."
        )
    return tensors, about


def _metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Read what a file says of itself; nothing, if it does not say it as ours do."""
    try:
        about = json.loads(metadata.get(_ABOUT, ""))
    except (ValueError, RecursionError):
        about = {}
    return about if isinstance(about, dict) else {}


def _digest(tensors: Tensors, about: Mapping[str, Any]) -> str:
    """Return a digest of tensors, their names, and the metadata."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def restore(
    run: Run, *, device: torch.device | str = "cpu", trust: bool = False, parts: bool = True
) -> Assembly:
    """Build what a run trained and load its weights, ready to infer.

    Args:
        run: A complete run.
        device: Where to put it.
        trust: Run the code that the run carries even if it was not trained here.
        parts: Also load what learned after it, if there is any.

    Raises:
        LookupError: If the run is not complete.
        PermissionError: If it carries code that is not trusted.
        ValueError: If its weights are damaged or of another recipe.
    """
    if not run.complete:
        raise LookupError(
            f"{run.folder} is not complete; finish it with `scene train --resume {run.folder}`."
        )
    assembly = rebuilt(run, trust)
    load_weights(run.path(WEIGHTS), assembly, run.settings.title)
    assembly.model.to(device).eval()
    assembly.guide.to(device).eval()
    return with_parts(assembly, run, device, trust) if parts else assembly


def has_part(run: Run, name: str) -> bool:
    """Return whether a flow was trained after a run: of the recipe ``prior``, or ``details``."""
    return (run.path(PARTS[name]) / WEIGHTS).is_file()


def with_parts(
    assembly: Assembly, run: Run, device: torch.device | str = "cpu", trust: bool = False
) -> Assembly:
    """Add to a run's assembly what learned after it.

    Raises:
        ValueError: As `restore`; or if a folder holds a run of another recipe.
    """
    if has_part(run, FLOW):
        guide = _part(run, FLOW, device, trust).guide
        assert isinstance(guide, FlowGuide)
        assembly = replace(assembly, flow=guide)
    if has_part(run, DETAILS):
        model = _part(run, DETAILS, device, trust).model
        assert isinstance(model, DetailedScene)
        assembly = replace(assembly, detailed=model)
    return assembly


def _part(run: Run, name: str, device: torch.device | str, trust: bool) -> Assembly:
    part = read(run.path(PARTS[name]))
    if part.settings.recipe != name:
        raise ValueError(
            f"{part.folder} holds a run of {part.settings.recipe}, not of {name}; remove it."
        )
    return restore(part, device=device, trust=trust, parts=False)


def rebuilt(run: Run, trust: bool) -> Assembly:
    """Build what a run trains from its folder alone, before its weights are loaded.

    The backbone's first weights are not asked for again: they may be gone, and the run has
    its own.

    Raises:
        LookupError: If code that the run carries is missing.
        PermissionError: If it is not trusted.
    """
    settings = run.settings.changed(backbone_weights="none")
    assembly = assemble(located(settings, run.folder, trust), run.schema)
    if isinstance(assembly.model, ClassifiedScene):
        assembly.model.first_weights = run.settings.model.backbone_weights
    return assembly
