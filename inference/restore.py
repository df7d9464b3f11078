"""From a run's folder back to the model and guide that were trained in it."""

from __future__ import annotations

from dataclasses import replace

import torch

from inference.assemble import Assembly, assemble
from inference.checkpoints import load_weights
from inference.foreign import located
from inference.runs import WEIGHTS, Run


def restore(run: Run, *, device: torch.device | str = "cpu", trust: bool = False) -> Assembly:
    """Build what a run trained and load its weights, ready to infer.

    Args:
        run: A complete run.
        device: Where to put it.
        trust: Run the code that the run carries even if it was not trained here.

    Raises:
        LookupError: If the run is not complete.
        PermissionError: If it carries code that is not trusted.
        ValueError: If its weights are damaged or of another recipe.
    """
    if not run.complete:
        raise LookupError(
            f"{run.folder} is not complete; finish it with `scene train --resume {run.folder}`."
        )
    settings = located(replace(run.settings, backbone_weights="none"), run.folder, trust)
    assembly = assemble(settings, run.schema)
    load_weights(run.path(WEIGHTS), assembly, run.settings.recipe)
    assembly.model.to(device).eval()
    assembly.guide.to(device).eval()
    return assembly
