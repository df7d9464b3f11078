"""The tables of `scene diagnose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .about import heading
from .console import console

if TYPE_CHECKING:
    from rich.table import Table

    from inference.diagnostics.diagnose import Diagnosis
    from inference.diagnostics.gradient_statistics import GradientNoise
    from inference.diagnostics.likelihoods import Mean


def show(about: dict[str, Any], found: Diagnosis) -> None:
    """Print what was found as tables of at most 80 columns."""
    console.print(heading(about, found.scenes))
    console.print(_marginals(found))
    if found.conditionals:
        console.print(_conditionals(found))
        if any(row.loose for row in found.conditionals):
            console.print(
                "~ of bounds with fewer than 2 effective draws: it may be far off, either way; "
                "more --particles help."
            )
    console.print(_posteriors(found))
    console.print(
        "nats a scene, ± standard error over scenes; ESS: effective number of draws, median. "
        "p: of no difference from the prior."
    )
    _show_coherence(found)
    console.print(_calibration(found))
    console.print(
        "ECE, %: how far probabilities, averaged over draws, are from the share that comes true; "
        "too sure: their mean less that share. Masks: the likeliest label of each pixel at "
        f"{about['size']}; classes: that each is there."
    )
    if found.noise is not None:
        _show_noise(found.noise)


def _marginals(found: Diagnosis) -> Table:
    table = _table("log p of", "z given", "ELBO", f"IWAE {found.particles}", "ESS")
    for row in found.marginals:
        given = "prior" if set(row.given) <= set(row.conditions) else _source(row.given)
        table.add_row(row.title, given, _nats(row.elbo), _nats(row.iwae), f"{row.effective:.1f}")
    return table


def _conditionals(found: Diagnosis) -> Table:
    table = _table("log p of", "as a difference", "through q")
    for row in found.conditionals:
        loose = " ~" if row.loose else ""
        table.add_row(row.title, _nats(row.difference) + loose, _nats(row.through))
    return table


def _posteriors(found: Diagnosis) -> Table:
    table = _table("z given", "active", "KL", "spread", "MMD²", "p")
    for unit, covered in zip(found.units, found.coverage, strict=True):
        table.add_row(
            _source(unit.given),
            f"{int(unit.active.sum())} of {len(unit.variance)}",
            f"{unit.total:.1f} ± {unit.error:.1f}",
            f"{covered.deviation:.2f}",
            f"{covered.test.squared:.4f}",
            f"{covered.test.p:.3f}",
        )
    return table


def _show_coherence(found: Diagnosis) -> None:
    """Print which figures there are: not every model draws classes, nor is there a segmenter."""
    shown = {
        "F1": "f1",
        "≥ 1 %": "large",
        "alike": "alike",
        "chance": "chance",
        "mIoU": "own",
        "of given": "given",
    }
    known = {
        title: [getattr(row, name) for row in found.coherence]
        for title, name in shown.items()
        if any(getattr(row, name) is not None for row in found.coherence[:-1])
    }
    if not known:
        return
    table = _table("z given", *known)
    for i, row in enumerate(found.coherence):
        values = (column[i] for column in known.values())
        table.add_row(row.source, *("–" if v is None else f"{v:.1f}" for v in values))
    console.print(table)
    if "F1" in known:
        console.print(
            "F1, %: classes in the drawn mask (≥ 1 %: of its pixels) against the drawn classes; "
            "alike: scenes where they are the same; chance: F1 against another scene's classes."
        )
    if "mIoU" in known:
        console.print(
            "mIoU, %: what the segmenter sees in the image, against the drawn mask, or the mask "
            "given."
        )


def _calibration(found: Diagnosis) -> Table:
    table = _table("calibration", "ECE", "too sure")
    for row in found.calibration:
        title = row.title if row.trained else f"{row.title} †"
        table.add_row(
            title, f"{row.reliability.error:.1f}", f"{row.reliability.overconfidence:+.1f}"
        )
    if not all(row.trained for row in found.calibration):
        table.caption = "† no term trained this posterior on its own"
    return table


def _show_noise(found: GradientNoise) -> None:
    table = _table("gradient of", "for", "length", "var z", "S/N", "var z, batch", "S/N")
    for row in found.rows:
        table.add_row(
            _term(row.term),
            row.generator,
            _figure(row.batch.norm if row.batch.clear else None),
            _figure(row.latent.variance),
            _figure(row.latent.ratio if row.latent.clear else None),
            _figure(row.batch.variance),
            _figure(row.batch.ratio if row.batch.clear else None),
        )
    console.print(table)
    if found.agreements:
        table = _table("cosine between", *found.generators)
        for pair in dict.fromkeys(one.terms for one in found.agreements):
            cosines = [one.cosine for one in found.agreements if one.terms == pair]
            shown = ("–" if cosine is None else f"{cosine:+.2f}" for cosine in cosines)
            table.add_row(", ".join(map(_term, pair)), *shown)
        console.print(table)
    console.print(
        f"{found.repeats} gradients of minus a term, {found.batch_size} scenes each, in training "
        "mode. length: of their mean over draws of z and batch. var: trace of the covariance, "
        "over draws of z or of both. S/N: length over standard deviation, for a given batch or "
        "for any. –: too short to tell from noise; more --gradients help."
    )


def _table(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(first)
    for name in others:
        table.add_column(name, justify="left" if name in ("z given", "for") else "right")
    return table


def _source(given: tuple[str, ...]) -> str:
    return " + ".join(given)


def _term(name: str) -> str:
    return name.replace("+", " + ")


def _figure(value: float | None) -> str:
    return f"{value:.3g}" if value else "–"


def _nats(mean: Mean | None) -> str:
    return "–" if mean is None else f"{mean.value:.1f} ± {mean.error:.1f}"
