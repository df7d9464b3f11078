"""Starting from another run: weights with matching name and shape initialise a new model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..build import Assembly
from ..runs.run import WEIGHTS, Run

_SHOWN = 4  # names in the sentence; a config has them all

_CHOSEN = "_threshold"  # a classifier's: a choice of the settings, no weight


@dataclass(frozen=True)
class InitialWeights:
    """Which tensors of a new model came from another run.

    Attributes:
        run: The run's folder.
        copied: Names of the tensors that came from it.
        missing: Names of the model's tensors for which the run has none of that name and shape.
    """

    run: Path
    copied: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """Return the counts, and the first names of what is missing.

        >>> str(InitialWeights(Path("runs/a"), ("model/w",), ("model/b", "guide/w")))
        '1 of 3 tensors from runs/a; not model/b, guide/w'
        """
        total = len(self.copied) + len(self.missing)
        rest = len(self.missing) - _SHOWN
        names = ", ".join(self.missing[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        return f"{len(self.copied)} of {total} tensors from {self.run}" + (
            f"; not {names}" if names else ""
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"run": str(self.run), "taken": list(self.copied), "left": list(self.missing)}


def take_weights(assembly: Assembly, run: Run) -> InitialWeights:
    """Copy into model and guide every weight of a run whose name and shape fit.

    The run may be of another recipe. Only its tensors are read: no code that it carries is
    imported.

    Args:
        assembly: What will be trained; changed in place.
        run: A complete run.

    Returns:
        Which tensors were copied, and which were not.

    Raises:
        LookupError: If the run is not complete.
        ValueError: If its weights are damaged, hold what is no number, or none fits.
    """
    if not run.complete:
        raise LookupError(
            f"{run.folder} is not complete, so nothing starts from it; finish it with "
            f"`scene train --resume {run.folder}`."
        )
    own = _tensors(assembly)
    matching = _fitting(run.path(WEIGHTS), own)
    if not matching:
        raise ValueError(
            f"No weight of {run.folder} (recipe {run.settings.recipe}) matches this model in "
            "name and shape; use --from with a run of the same recipe, --width and --size."
        )
    broken = [name for name, tensor in matching.items() if not tensor.isfinite().all()]
    if broken:
        raise ValueError(
            f"{run.path(WEIGHTS)} holds NaN or infinite values in {broken[0]}; use --from with "
            "another run."
        )
    for name, tensor in matching.items():
        own[name].copy_(tensor)
    return InitialWeights(
        run.folder, tuple(matching), tuple(name for name in own if name not in matching)
    )


def _tensors(assembly: Assembly) -> dict[str, Tensor]:
    """Return every tensor of model and guide that is learned, by its name in a file of weights."""
    parts = {"model": assembly.model, "guide": assembly.guide}
    return {
        f"{prefix}/{name}": tensor.detach()
        for prefix, module in parts.items()
        for name, tensor in module.state_dict().items()
        if name != _CHOSEN
    }


def _fitting(path: Path, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Read the tensors of a file that have the name, shape and kind of one of ``own``."""
    matching: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for name in sorted(set(file.keys()) & set(own)):
                if tuple(file.get_slice(name).get_shape()) != tuple(own[name].shape):
                    continue
                tensor = file.get_tensor(name)
                if torch.is_floating_point(tensor) == torch.is_floating_point(own[name]):
                    matching[name] = tensor
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or damaged; start from another run.") from error
    return matching
