"""Training: stochastic variational inference, watched, checkpointed and resumable."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from scene.datasets.base import SceneDataset
from scene.networks.memory import remembering
from scene.seeds import seeded
from scene.views import Views

from ..build import Assembly
from ..devices import Device, device_of, flush_denormals
from ..interruption import deferred
from ..runs.checkpoints import Learning, load_learning, load_weights, save_learning, save_weights
from ..runs.run import CHECKPOINT, WEIGHTS, Run
from ..settings.settings import Settings
from .batches import batches
from .log import Log, Report, StepCallback

MOMENTUM, DECAY = 0.9, 5e-4
"""Of SGD; the decay of weights in ``layerwise``."""

LR_MULTIPLIER = "pace"
"""What a group of parameters calls the multiple of the learning rate at which it learns."""


def optimizer(settings: Settings, module: nn.Module) -> Optimizer:
    """Make the optimizer that the settings name, of all parameters that learn.

    ``layerwise`` is SGD as VGG-like networks are usually tuned: biases learn twice as fast as
    weights and do not decay, and the last layer, which is called ``scores``, ten times as fast as
    the others.
    """
    rate = settings.optimizer.learning_rate
    learning = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if settings.optimizer.name == "layerwise":
        return SGD(_layers(learning), rate, momentum=MOMENTUM)
    if settings.optimizer.name == "sgd":
        return SGD(learning.values(), rate, momentum=MOMENTUM)
    kind = AdamW if settings.optimizer.name == "adamw" else Adam
    return kind(learning.values(), rate, fused=True)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate, of each group of parameters at its own pace."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(LR_MULTIPLIER, 1.0)


def _layers(learning: dict[str, nn.Parameter]) -> list[dict[str, Any]]:
    """Group parameters by pace and decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in learning.items():
        *layers, kind = name.split(".")
        multiplier = 10.0 if "scores" in layers else 1.0
        key = (2 * multiplier, 0.0) if kind == "bias" else (multiplier, DECAY)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": params, LR_MULTIPLIER: multiplier, "weight_decay": decay}
        for (multiplier, decay), params in groups.items()
    ]


REPEATED = ("none", "flip")
"""Augmentations after which a network sees the same images again."""

VALIDATED = 128
"""At most this many scenes are scored at each validation."""


class Diverged(ArithmeticError):
    """Something is no longer a number; the last good checkpoint is kept.

    Args:
        what: The name of the number.
        value: Its value.
        step: At which step.
        run: Where a checkpoint would be.
    """

    def __init__(self, what: str, value: float, step: int, run: Run) -> None:
        has_checkpoint = run.path(CHECKPOINT).is_file()
        where = (
            "the last good checkpoint is kept" if has_checkpoint else "before the first checkpoint"
        )
        super().__init__(
            f"The {what} became {value} at step {step}, {where}; try a smaller --learning-rate, "
            "or --clip 10."
        )


class Step(nn.Module):
    """One pass of the objective over a batch, as a module that Fabric can wrap."""

    def __init__(self, assembly: Assembly) -> None:
        super().__init__()
        self.model, self.guide = assembly.model, assembly.guide
        self.objective = assembly.objective

    def forward(self, views: Views) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and the parts of each term."""
        views = self.model.extend(views)
        terms = self.objective.terms(self.model, self.guide, views)
        loss = -self.objective.total(terms, views)
        parts = {
            f"{name}/{part}": value
            for name, term in terms.items()
            for part, value in term.parts.items()
        }
        return loss, parts


def fit(
    assembly: Assembly,
    train: SceneDataset,
    val: SceneDataset | None,
    run: Run,
    *,
    device: Device = "auto",
    watch: StepCallback = lambda report: None,
    resume: bool = False,
    settle: Callable[[], object] = lambda: None,
) -> Run:
    """Train until the settings' steps are done, or validation stops improving.

    A signal to end (`inference.interruption.SIGNALS`) is answered after the step, when that has
    been saved.

    Args:
        assembly: Model, guide and objective; trained in place.
        train: Scenes to learn from.
        val: Scenes to validate on; None = none.
        run: Where everything is written, and the settings.
        device: Where to compute; ``auto`` takes a GPU where there is one.
        watch: Called after every step.
        resume: Go on from the run's checkpoint.
        settle: Called when training is over and before the weights are written: what is chosen
            with what was trained.

    Returns:
        The run, now complete.

    Raises:
        Diverged: If the loss is not finite.
        ValueError: If a dataset is empty or no scene can be used, the device is not there, or
            the checkpoint damaged.
    """
    settings = run.settings
    fabric = _fabric(device, settings.training.precision)
    step_module = fabric.setup_module(Step(assembly))
    steps = fabric.setup_optimizers(optimizer(settings, step_module))
    learning = Learning(assembly, steps)
    torch.manual_seed(settings.training.seed)
    if resume:
        _load(learning, run)
    log = Log(run, learning.step)
    every = settings.training.validate_every or max(1, settings.training.steps // 5)
    assembly.model.train()
    assembly.guide.train()
    augmentation = settings.data.augment or train.augmentation
    order = batches(
        train,
        settings.training.batch_size,
        settings.training.seed,
        range(
            learning.step,
            learning.step if _waited(learning, settings) else settings.training.steps,
        ),
        augmentation,
        settings.data.workers,
    )
    used = learning.step > 0
    again = remembering() if augmentation in REPEATED else nullcontext()
    with flush_denormals(), deferred() as interruption, closing(log), again:
        for views in order:
            report = _step(fabric, step_module, learning, views.to(fabric.device), run)
            used = used or bool(report.terms)
            seen = learning.step * settings.training.batch_size
            if not used and (seen >= len(train) or learning.step == settings.training.steps):
                raise ValueError(
                    f"None of {min(seen, len(train))} training scenes has all the views that "
                    f"{settings.recipe} needs; count them with `scene data info "
                    f"{settings.data.source}`."
                )
            stop = bool(interruption)
            due = used and (learning.step % every == 0 or learning.step == settings.training.steps)
            if due:
                report = _validate(report, step_module, learning, val, run, fabric.device)
            log.write(report)
            if due or (stop and used):
                log.flush()
                save_learning(run.path(CHECKPOINT), learning, settings.title)
            watch(report)
            if stop or _waited(learning, settings):
                break
    if settings.training.patience and val is not None:
        load_weights(run.path("best.safetensors"), assembly, settings.title)
    assembly.model.eval()
    assembly.guide.eval()
    settle()
    save_weights(run.path(WEIGHTS), assembly, settings.title)
    return run


def _fabric(device: Device, precision: str) -> Fabric:
    """Start Fabric on a device."""
    kind: Any = {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]
    talk = logging.getLogger("lightning_fabric.utilities.rank_zero")
    level = talk.level
    talk.setLevel(logging.WARNING)  # Fabric announces what was asked for
    try:
        return Fabric(accelerator=device_of(device).type, devices=1, precision=kind)
    finally:
        talk.setLevel(level)


def rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step, counted from 0.

    ``onecycle`` rises over the first tenth and falls to nothing as a cosine; ``cosine`` only
    falls. ``stairs`` takes a tenth after each quarter.

    Source:
        Smith & Topin (2018), Super-Convergence, https://arxiv.org/abs/1708.07120
    """
    peak, progress = settings.optimizer.learning_rate, step / settings.training.steps
    if settings.optimizer.schedule == "constant":
        return peak
    if settings.optimizer.schedule == "stairs":
        return float(peak * 0.1 ** (4 * step // settings.training.steps))
    if settings.optimizer.schedule == "cosine":
        return peak * 0.5 * (1 + math.cos(math.pi * progress))
    if progress < 0.1:
        return peak * (0.04 + 0.96 * progress / 0.1)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


def _load(learning: Learning, run: Run) -> None:
    load_learning(run.path(CHECKPOINT), learning, run.settings.title)
    if learning.step > run.settings.training.steps:
        raise ValueError(
            f"{run.path(CHECKPOINT)} is at step {learning.step}, beyond the run's "
            f"{run.settings.training.steps} steps, so it belongs to another run; train again "
            "from the start."
        )


def _waited(learning: Learning, settings: Settings) -> bool:
    """Return whether validation has not improved for ``patience`` validations."""
    return 0 < settings.training.patience <= learning.waited


def _step(fabric: Fabric, module: Any, learning: Learning, views: Views, run: Run) -> Report:
    settings = run.settings
    now = rate(settings, learning.step)
    set_rate(learning.optimizer, now)
    warmed = (learning.step + 1) / settings.objective.warmup if settings.objective.warmup else 1.0
    learning.assembly.objective.warm(min(1.0, warmed))
    loss, parts = _scored(module, views)
    if not torch.isfinite(loss):
        raise Diverged("loss", float(loss.detach()), learning.step + 1, run)
    learning.optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if settings.optimizer.clip:
        norm = fabric.clip_gradients(
            module,
            learning.optimizer,
            max_norm=settings.optimizer.clip,
            error_if_nonfinite=False,
        )
        if norm is not None and not torch.isfinite(norm):
            raise Diverged("gradient", float(norm), learning.step + 1, run)
    learning.optimizer.step()
    learning.step += 1
    terms = {name: float(value) for name, value in parts.items()}
    return Report(learning.step, settings.training.steps, float(loss.detach()), terms, now)


_REFUSALS = ("to satisfy the constraint", "has a scale that is not positive")
"""What torch's densities and products of experts say of NaN."""


def _scored(module: Any, views: Views) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss and its parts; NaN where a density refuses its parameters."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Encountered (NaN|[+-]?inf)")  # `Diverged` says so
            loss, parts = module(views)
    except ValueError as error:
        if not any(words in str(error) for words in _REFUSALS):
            raise
        return torch.tensor(math.nan), {}
    return loss, parts


def _validate(
    report: Report,
    module: Any,
    learning: Learning,
    val: SceneDataset | None,
    run: Run,
    device: torch.device,
) -> Report:
    recipe = run.settings.title
    if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
        raise Diverged("weights", math.nan, learning.step, run)
    if val is not None:
        loss = _loss(module, learning.assembly, val, run.settings, device)
        if not math.isfinite(loss):
            raise Diverged("validation loss", loss, learning.step, run)
        learning.waited = 0 if loss < learning.best else learning.waited + 1
        if loss < learning.best and run.settings.training.patience:
            save_weights(run.path("best.safetensors"), learning.assembly, recipe)
        learning.best = min(loss, learning.best)
        report = replace(report, val=loss)
    return report


def _loss(
    module: Any, assembly: Assembly, val: SceneDataset, settings: Settings, device: torch.device
) -> float:
    """Average the loss over validation scenes, at full β, leaving the random state as it was."""
    assembly.model.eval()
    assembly.guide.eval()
    assembly.objective.warm(1.0)
    total, count = 0.0, min(len(val), VALIDATED)
    with torch.no_grad(), seeded(settings.training.seed, device):
        for first in range(0, count, settings.training.batch_size):
            rows = range(first, min(count, first + settings.training.batch_size))
            loss, _ = _scored(module, val.views(rows).to(device))
            total += float(loss) * len(rows)
    assembly.model.train()
    assembly.guide.train()
    return total / count
