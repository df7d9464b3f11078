"""The CRF fitted to a run: the file that the run keeps of it, and the stage that it decides."""

from __future__ import annotations

from ..crf.parameters import StoredParameters, load_stored
from ..runs.run import Run
from .stages import stage_of

FILE = "crf.json"
"""The file of a run's own folder, as `inference.crf.parameters.save` writes it."""


def fitted_crf(run: Run) -> StoredParameters | None:
    """Return the CRF that was fitted to a run; None if none was.

    Raises:
        ValueError: If the file is damaged.
    """
    path = run.output(FILE)
    return load_stored(path) if path.is_file() else None


def fitted_stage_of(run: Run, name: str | None = None, crf: bool | None = None) -> str:
    """Choose the stage of a run as `stage_of`, but with a CRF if the one fitted to it helps.

    Args:
        run: The run.
        name: A stage, which is then taken.
        crf: Ask for the CRF, or for none; None = as its file says, else as the run's last stage.

    Raises:
        LookupError: If there is no such stage.
        ValueError: If it is not one of this run's, or the file of its CRF is damaged.
    """
    if name is None and crf is None and (fitted := fitted_crf(run)) is not None:
        crf = fitted.helps
    return stage_of(run, name, crf)


def line_about(run: Run, stage_has_crf: bool) -> str:
    """Say in one line that a fitted CRF is used, or is left out because it does not help.

    Args:
        run: The run.
        stage_has_crf: Whether the stage that was chosen has a CRF.

    Returns:
        The line; empty where no CRF was fitted, or it is left out although it helps.
    """
    fitted = fitted_crf(run)
    if fitted is None or (fitted.helps and not stage_has_crf):
        return ""
    note = f": {fitted.note}" if fitted.note else ""
    if stage_has_crf and fitted.helps:
        return f"CRF of {run.output(FILE)}{note}"
    if stage_has_crf:
        return f"CRF of {run.output(FILE)}, although it does not help{note}"
    return f"no CRF: that of {run.output(FILE)} does not help{note}"
