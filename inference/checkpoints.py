"""Checkpoints: weights, optimizer and random state as named tensors and JSON, never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from scene.files import replace_file

from .assemble import Assembly

Tensors = dict[str, Tensor]


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
        assembly: What was trained.
        recipe: Kept beside the weights, and asked for when they are read.
    """
    _save(path, _weights(assembly), {"recipe": recipe})


def load_weights(path: Path, assembly: Assembly, recipe: str) -> None:
    """Read weights into model and guide, wherever those live.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated, of another recipe, or its shapes do not fit.
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
    about = {
        "recipe": recipe,
        "groups": json.dumps(state["param_groups"]),
        "progress": json.dumps(progress),
    }
    _save(path, tensors, about)


def load_learning(path: Path, learning: Learning, recipe: str) -> None:
    """Put everything back as `save_learning` found it.

    Raises:
        LookupError: If there is no such file.
        ValueError: If it is truncated, of another recipe, or its shapes do not fit.
    """
    tensors, about = _load(path, recipe)
    _restore(path, learning.assembly, tensors)
    if not {"groups", "progress"} <= set(about) or "random/cpu" not in tensors:
        raise ValueError(f"{path} holds no state of training to resume from; train anew.")
    _restore_optimizer(learning.optimizer, tensors, json.loads(about["groups"]))
    progress = json.loads(about["progress"])
    learning.step, learning.best = progress["step"], float(progress["best"])
    learning.waited = progress["waited"]
    torch.set_rng_state(tensors["random/cpu"])
    for device in range(torch.cuda.device_count()):
        if (name := f"random/cuda/{device}") in tensors:
            torch.cuda.set_rng_state(tensors[name], device)


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
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"{path} does not fit this {prefix}: {reason}") from error


def _restore_optimizer(optimizer: Optimizer, tensors: Tensors, groups: list[Any]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            like = parameters[int(index)]
            if tensor.shape == like.shape:  # fused steps want the parameter's own memory layout
                tensor = torch.empty_like(like).copy_(tensor)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _save(path: Path, tensors: Tensors, about: dict[str, str]) -> None:
    held = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    replace_file(path, lambda part: save_file(held, part, metadata=about))


def _load(path: Path, recipe: str) -> tuple[Tensors, dict[str, Any]]:
    """Read a file written for a recipe, and refuse any other."""
    if not path.is_file():
        raise LookupError(f"There is no {path.name} in {path.parent}; did training get that far?")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            about = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is truncated or damaged; copy it again, or train anew."
        ) from error
    if about.get("recipe") != recipe:
        raise ValueError(f"{path} holds weights of {about.get('recipe')!r}, not of {recipe!r}.")
    return tensors, about
