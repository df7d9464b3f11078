"""Checkpoints: weights, optimizer and random state as named tensors and JSON, never a pickle."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from scene.detailed import DetailedScene
from scene.discriminative import ClassifiedScene

from ..build import Assembly, assemble
from ..flows import FlowGuide
from .plugins import located
from .run import WEIGHTS, Run, read
from .tensor_files import Tensors, digest_of, halved, read_tensors, write_tensors

_SHARED, _BASE = "shared", "base"
"""Tensors of a part that are the run's own, by their names there; the digest of the run's file."""

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


def save_weights(path: Path, assembly: Assembly, recipe: str, *, half: bool = False) -> None:
    """Write the weights of model and guide.

    Args:
        path: Where; written whole or not at all.
        assembly: The trained model, guide and objective.
        recipe: Kept beside the weights, and asked for when they are read.
        half: Write matrices and kernels with 16 bits a number; vectors, as those of normalisation,
            stay as they are. What is read again has 32 bits.

    Raises:
        ValueError: If a weight is too large for 16 bits.
    """
    weights = _weights(assembly)
    write_tensors(path, halved(weights) if half else weights, {"recipe": recipe})


def save_part(source: Path, path: Path, recipe: str, *, half: bool = False) -> None:
    """Write the weights of what learned after a run, without those that are the run's own.

    They are read from the run's file, in the folder above, which must be there already.

    Args:
        source: The weights to copy.
        path: Where; written whole or not at all.
        recipe: That of the weights.
        half: As in `save_weights`.

    Raises:
        LookupError: If one of the files is not there.
        ValueError: If one is damaged, or a weight is too large for 16 bits.
    """
    tensors = _weights_of(source, recipe)
    tensors = halved(tensors) if half else tensors
    base, _, digest = read_tensors(_above(path))
    names = {digest_of({"": tensor}, {}): name for name, tensor in base.items()}
    shared = {
        name: names[key]
        for name, tensor in tensors.items()
        if (key := digest_of({"": tensor}, {})) in names
    }
    own = {name: tensor for name, tensor in tensors.items() if name not in shared}
    write_tensors(path, own, {"recipe": recipe, _SHARED: shared, _BASE: digest})


def same_weights(path: Path, assembly: Assembly, recipe: str) -> bool:
    """Return whether a model and a guide have the weights of a file.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is damaged, or of another recipe.
    """
    stored, own = _weights_of(path, recipe), _weights(assembly)
    return stored.keys() == own.keys() and all(
        torch.equal(tensor.cpu(), stored[name].to(tensor.dtype)) for name, tensor in own.items()
    )


def load_weights(path: Path, assembly: Assembly, recipe: str) -> None:
    """Read weights into model and guide, wherever those live.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated or changed, of another recipe, its shapes do not fit, or
            a weight is no number.
    """
    _restore(path, assembly, _weights_of(path, recipe))


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
    write_tensors(path, tensors, about)


def load_learning(path: Path, learning: Learning, recipe: str) -> None:
    """Put everything back as `save_learning` found it.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated or changed, of another recipe, or does not fit: its shapes,
            the parameters of the optimizer, or how far training had come.
    """
    tensors, about, _ = read_tensors(path, recipe)
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


def _weights_of(path: Path, recipe: str) -> Tensors:
    """Read all weights of a file, and those that it has of the run above it."""
    tensors, about, _ = read_tensors(path, recipe)
    if not (shared := about.get(_SHARED)):
        return tensors
    base, _, digest = read_tensors(_above(path))
    if digest != about.get(_BASE) or not set(shared.values()) <= set(base):
        raise ValueError(
            f"{path} goes with other weights than {_above(path)}; copy the run whole, or train "
            "again."
        )
    return tensors | {name: base[of] for name, of in shared.items()}


def _above(path: Path) -> Path:
    """Return the weights of the run that a part, whose weights are given, learned after."""
    return path.parent.parent / WEIGHTS


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
