"""From a run's folder back to the model and guide that were trained in it."""

from __future__ import annotations

import torch

from ..build import Assembly, assemble
from .checkpoints import load_weights
from .plugins import located
from .run import WEIGHTS, Run


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
    assembly = rebuilt(run, trust)
    load_weights(run.path(WEIGHTS), assembly, run.settings.title)
    assembly.model.to(device).eval()
    assembly.guide.to(device).eval()
    return assembly


def rebuilt(run: Run, trust: bool) -> Assembly:
    """Build what a run trains from its folder alone, before its weights are loaded.

    The backbone's first weights are not asked for again: they may be gone, and the run has
    its own.

    Raises:
        LookupError: If code that the run carries is missing.
        PermissionError: If it is not trusted.
    """
    settings = run.settings.changed(backbone_weights="none")
    return assemble(located(settings, run.folder, trust), run.schema)
