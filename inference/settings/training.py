"""The sections of the settings about how it is learned: the optimiser, and training."""

from __future__ import annotations

from dataclasses import dataclass

from scene.registry import unknown

from .fields import LARGE, STEPS, setting

TRACKERS = ("tensorboard", "csv", "wandb", "mlflow")
"""Trackers that metrics can be sent to, see `inference.training.trackers`."""

NO_TRACKER = "none"
"""What stands for no tracker."""


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimiser and its learning rate.

    Attributes:
        name: Which.
        learning_rate: Its peak.
        schedule: How the learning rate changes over the steps.
        clip: Largest norm of the gradient; 0 = no clipping.
    """

    name: str = setting(
        "adam",
        "Optimiser; layerwise is SGD with a rate for each layer of LargeFOV.",
        option="optimizer",
        choices=("adam", "adamw", "sgd", "layerwise"),
    )
    learning_rate: float = setting(
        1e-2, "Largest learning rate of the schedule.", also=("--lr",), positive=True
    )
    schedule: str = setting(
        "onecycle",
        "How the learning rate changes over the steps.",
        choices=("constant", "cosine", "onecycle", "stairs"),
    )
    clip: float = setting(
        0.0,
        "Gradient clipping: largest norm of the gradient; 0 = no clipping.",
        least=0,
        most=LARGE,
    )


def _check_log(flag: str, names: tuple[str, ...]) -> None:
    if names == (NO_TRACKER,):
        return
    for name in names:
        if name not in TRACKERS:
            raise LookupError(f"{flag}: {unknown(name, (*TRACKERS, NO_TRACKER), 'tracker')}.")


@dataclass(frozen=True)
class TrainingSettings:
    """How long is trained, on how much at once, and from which seed.

    Attributes:
        steps: Optimisation steps.
        batch_size: Scenes a step.
        patience: Validations without improvement before stopping; 0 = never stop early.
        validate_every: Steps between validations; 0 = a fifth of all steps.
        seed: Seed of weights, order, augmentation and noise.
        precision: Precision of the networks' arithmetic.
        log: Trackers that metrics are sent to, beside ``metrics.jsonl``.
    """

    steps: int = setting(720, "Optimisation steps.", least=1, most=STEPS)
    batch_size: int = setting(16, "Batch size: scenes per step.", least=1, most=2**16)
    patience: int = setting(
        0,
        "Validations without improvement after which training stops; 0 never stops early.",
        least=0,
        most=STEPS,
    )
    validate_every: int = setting(
        0, "Steps between validations; 0 is a fifth of all steps.", least=0, most=STEPS
    )
    seed: int = setting(
        0, "Seed of weights, order, augmentation and noise.", least=0, most=2**32 - 1
    )
    precision: str = setting("fp32", "Arithmetic of the networks.", choices=("fp32", "bf16"))
    log: tuple[str, ...] = setting(
        ("tensorboard",),
        "Trackers of metrics, beside metrics.jsonl: tensorboard, csv, wandb, mlflow (the last two "
        "need the extra trackers), or none.",
        check=_check_log,
        metavar="TRACKER,...",
    )
