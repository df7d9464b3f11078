"""Trackers of experiments, through Lightning's loggers: TensorBoard, CSV, W&B, MLflow."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scene.notices import notice
from scene.storage.files import read_json, replace_file

from ..runs.run import Run
from ..settings.training import NO_TRACKER

IDS = "trackers.json"
"""The file of a run with the ids under which W&B and MLflow know it, so that it is continued."""

_LIGHTNING = ("pytorch_lightning", "lightning.pytorch")

_REMOTE = ("wandb", "mlflow")
"""Trackers that the extra installs, and that may fail without stopping a training."""


def require_trackers(names: Iterable[str]) -> None:
    """Refuse trackers whose packages are not installed.

    Raises:
        LookupError: If there is one; the message says how to install it.
    """
    for name in names:
        if name in _REMOTE and (find_spec(name) is None or _lightning() is None):
            raise LookupError(
                f"--log {name} needs packages that are not installed; install the extra trackers "
                f"(`uv sync --extra trackers`), or leave {name} out: every run has metrics.jsonl."
            )


class Trackers:
    """The trackers of a run.

    Args:
        names: From `inference.settings.training.TRACKERS`, or ``none``.
        run: The run.
        step: The step that training continues at; 0 = it begins.
        lines: The metrics up to that step.

    Raises:
        ValueError: If W&B or MLflow refuses the run, as without a key.
    """

    def __init__(
        self, names: Sequence[str], run: Run, step: int, lines: Sequence[Mapping[str, Any]]
    ) -> None:
        self.run = run
        self.loggers: dict[str, Any] = {}
        ids = _ids(run) if step else {}
        for name in names:
            if name == "tensorboard":
                self.loggers[name] = _tensorboard(run.folder, step)
            elif name == "csv":
                self.loggers[name] = _csv(run.folder, lines)
            elif name != NO_TRACKER:
                self.loggers[name] = _remote(name, run, ids.get(name))
        new = {n: str(self.loggers[n].version) for n in _REMOTE if n in self.loggers}
        if new:
            text = json.dumps(new) + "\n"
            replace_file(run.path(IDS), lambda part: part.write_text(text))

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Keep the values of a step."""
        for name in list(self.loggers):
            sent = {_plain(k): v for k, v in values.items()} if name == "mlflow" else dict(values)
            self._try(name, "log_metrics", sent, step)

    def flush(self) -> None:
        """Have everything on the disk."""
        for name in ("tensorboard", "csv"):
            if name in self.loggers:
                self.loggers[name].save()

    def close(self) -> None:
        """Flush what is left, and end."""
        for name in list(self.loggers):
            self._try(name, "finalize", "success")
        if "wandb" in self.loggers:
            self._try("wandb", "experiment.finish")
        self.loggers.clear()

    def _try(self, name: str, method: str, *arguments: Any) -> None:
        """Call a logger; W&B or MLflow that fails is left out from then on, and this is noted."""
        call = self.loggers.get(name)
        if call is None:
            return
        try:
            for part in method.split("."):
                call = getattr(call, part)
            call(*arguments)
        except Exception as error:
            if name not in _REMOTE:
                raise
            del self.loggers[name]
            notice(f"{name} is not written to any more ({_first_line(error)}); training goes on.")


def _tensorboard(folder: Path, step: int) -> Any:
    """Return a logger that writes events into a folder; those of later steps are hidden."""
    from lightning_fabric.loggers import TensorBoardLogger

    logger = TensorBoardLogger(folder, name="", version="", purge_step=step + 1 if step else None)
    assert logger.experiment is not None
    return logger


def _csv(folder: Path, lines: Sequence[Mapping[str, Any]]) -> Any:
    """Return a logger that writes ``csv/metrics.csv``, with the lines that there are already."""
    from lightning_fabric.loggers import CSVLogger

    shutil.rmtree(folder / "csv", ignore_errors=True)
    logger = CSVLogger(folder, name="csv", version="")
    for line in lines:
        logger.log_metrics({k: v for k, v in line.items() if k != "step"}, line["step"])
    return logger


def _remote(name: str, run: Run, known: str | None) -> Any:
    """Return a logger of W&B or MLflow, which has begun or continued its record of the run."""
    module = _lightning()
    assert module is not None
    loggers = import_module(f"{module}.loggers")
    for talkative in ("mlflow", module):
        logging.getLogger(talkative).setLevel(logging.ERROR)
    try:
        if name == "wandb":
            logger = loggers.WandbLogger(
                project=os.environ.get("WANDB_PROJECT") or "scene",
                name=run.folder.name,
                id=known,
                resume="allow",
                save_dir=str(run.folder),
            )
        else:
            logger = loggers.MLFlowLogger(
                experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME") or "scene",
                run_name=run.folder.name,
                run_id=known,
                tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db",
            )
        assert logger.experiment is not None
        if known is None:
            logger.log_hyperparams(run.settings.values())
    except Exception as error:  # of the tracker's own kinds
        raise ValueError(
            f"--log {name} cannot begin: {_first_line(error)} Check its settings, or leave {name} "
            "out."
        ) from error
    return logger


def _lightning() -> str | None:
    """Return the name of Lightning's package, if it is installed."""
    for name in _LIGHTNING:
        if find_spec(name.partition(".")[0]) is not None:
            return name
    return None


def _ids(run: Run) -> dict[str, str]:
    """Return the ids under which trackers know the run; none if the file is not there."""
    try:
        content = read_json(run.path(IDS))
    except (OSError, ValueError):
        return {}
    items = content.items() if isinstance(content, dict) else ()
    return {name: value for name, value in items if isinstance(value, str)}


def _plain(name: str) -> str:
    """Return the name of a metric as MLflow allows it.

    >>> _plain("image+classes/kl")
    'image-classes/kl'
    """
    return re.sub(r"[^\w/. -]", "-", name)


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__).strip()
    return f"{line.rstrip('.')}."
