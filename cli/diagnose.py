"""`scene diagnose`: how tight, active, calibrated and coherent a model's posteriors are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import about, console, entitled, heading, notes
from .generation import SegmenterRun, segmenter_run, show_generation
from .options import (
    Data,
    Device,
    Download,
    Force,
    Json,
    NamedRun,
    RunArgument,
    Seed,
    Trust,
    choose_run,
    fitted,
    one_of,
    require_folder,
)
from .progress import working

if TYPE_CHECKING:
    from rich.table import Table

    from inference.diagnostics.diagnose import Diagnosis
    from inference.diagnostics.gradient_statistics import GradientNoise
    from inference.diagnostics.likelihoods import Mean


def diagnose(
    run: RunArgument = None,
    named: NamedRun = None,
    data: Data = None,
    split: Annotated[
        str, typer.Option(help="Split of the data: train, tune, val or test.")
    ] = "val",
    particles: Annotated[
        int, typer.Option(help="Draws of z for each log-likelihood, 1 or more.")
    ] = 64,
    limit: Annotated[
        int, typer.Option(help="Take the first N scenes only, 1 or more.", metavar="N")
    ] = 200,
    gradients: Annotated[
        int,
        typer.Option(
            help="Number of gradients for each estimate of gradient noise, 2 or more; 0 skips it."
        ),
    ] = 32,
    segmenter: SegmenterRun = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where to write: a folder for diagnose.json and the pictures.",
            show_default="RUN/diagnose",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    download: Download = False,
    trust: Trust = False,
) -> None:
    """Examine the posteriors of RUN: how tight, how active, how well they cover the prior.

    For each set of views that has a posterior, this reports log-likelihoods by importance
    sampling, active units and their KL, and a two-sample test against the prior. It also measures
    whether views decoded from one z agree, the calibration of predictions, and the noise of the
    generators' gradients. Figures, including latent traversals, go to RUN/diagnose/.
    """
    require_folder(out)
    for option, count in (("--particles", particles), ("--limit", limit)):
        if count < 1:
            raise ValueError(f"{option} must be 1 or more, not {count}.")
    if gradients < 0 or gradients == 1:
        raise ValueError(f"--gradients must be 0, or 2 or more, not {gradients}.")
    from inference.api.diagnose import diagnose as examine
    from inference.api.diagnose import require_diagnosis_folder
    from inference.api.load import has_latent, learned_after

    selected_run = choose_run(one_of(run, named), "diagnose")
    if learned_after(selected_run):
        raise ValueError(
            f"{selected_run.folder} learned after another run, with which it is examined: "
            f"scene diagnose {selected_run.settings.flow.run}."
        )
    if not has_latent(selected_run):
        raise ValueError(
            f"A {selected_run.settings.title} has no z to examine; take a run of cvae, jvae, "
            "jmvae or telbo."
        )
    folder = out or selected_run.output("diagnose")
    require_diagnosis_folder(folder, force)
    model = fitted(selected_run.folder, device=device, trust=trust)
    dataset = model.dataset(split, data=data, download=download)
    yardstick = segmenter_run(segmenter, dataset)
    if yardstick is None:
        notes.print("Masks that it would find in drawn images are left out.", style="dim")
    report = {
        **about(selected_run, dataset),
        "segmenter": None if yardstick is None else str(yardstick.folder),
        "seed": seed,
    }
    with working("diagnosing") as step:
        diagnosis = examine(
            model,
            dataset,
            folder,
            particles=particles,
            limit=limit,
            gradients=gradients,
            segmenter=yardstick,
            seed=seed,
            about=report,
            watch=step,
        )
    if json:
        console.print_json((folder / "diagnose.json").read_text())
        return
    show(report, diagnosis)
    console.print(entitled(folder, ", ".join(path.name for path in diagnosis.files)))


def show(about: dict[str, Any], diagnosis: Diagnosis) -> None:
    """Print a diagnosis as tables of at most 80 columns."""
    console.print(heading(about, diagnosis.scenes))
    console.print(_marginals(diagnosis))
    if diagnosis.conditionals:
        console.print(_conditionals(diagnosis))
        if any(row.loose for row in diagnosis.conditionals):
            console.print(
                "~ of bounds with fewer than 2 effective draws: it may be far off, either way; "
                "more --particles help."
            )
    console.print(_posteriors(diagnosis))
    console.print(
        "nats a scene, ± standard error over scenes; ESS: effective number of draws, median. "
        "p: of no difference from the prior."
    )
    if diagnosis.flow:
        console.print(_flow(diagnosis))
        console.print("The flow's draws against those given all views, in whose std. dev.")
    _show_coherence(diagnosis)
    if diagnosis.generation:
        show_generation(diagnosis.generation)
    console.print(_calibration(diagnosis))
    console.print(
        "ECE, %: how far probabilities, averaged over draws, are from the share that comes true; "
        "overconfident: their mean less that share. Masks: the likeliest label of each pixel at "
        f"{about['size']}; classes: that each is there."
    )
    if diagnosis.noise is not None:
        _show_noise(diagnosis.noise)


def _marginals(diagnosis: Diagnosis) -> Table:
    table = _table("log p of", "z given", "ELBO", f"IWAE {diagnosis.particles}", "ESS")
    for row in diagnosis.marginals:
        source = "prior" if set(row.given) <= set(row.conditions) else _source(row.given)
        table.add_row(row.title, source, _nats(row.elbo), _nats(row.iwae), f"{row.effective:.1f}")
    return table


def _conditionals(diagnosis: Diagnosis) -> Table:
    table = _table("log p of", "as a difference", "through q")
    for row in diagnosis.conditionals:
        loose = " ~" if row.loose else ""
        table.add_row(row.title, _nats(row.difference) + loose, _nats(row.through))
    return table


def _posteriors(diagnosis: Diagnosis) -> Table:
    table = _table("z given", "active", "KL", "std. dev.", "MMD²", "p")
    for unit, covered in zip(diagnosis.units, diagnosis.coverage, strict=True):
        table.add_row(
            _source(unit.given),
            f"{int(unit.active.sum())} of {len(unit.variance)}",
            f"{unit.total:.1f} ± {unit.error:.1f}",
            f"{covered.deviation:.2f}",
            f"{covered.test.squared:.4f}",
            f"{covered.test.p:.3f}",
        )
    return table


def _flow(diagnosis: Diagnosis) -> Table:
    table = _table("flow given", "std. dev.", "MMD²", "p")
    for row in diagnosis.flow:
        table.add_row(
            _source(row.given) if row.given else "nothing",
            f"{row.deviation:.2f}",
            f"{row.test.squared:.4f}",
            f"{row.test.p:.3f}",
        )
    return table


def _show_coherence(diagnosis: Diagnosis) -> None:
    """Print which figures there are: not every model draws classes, nor is there a segmenter."""
    fields = {
        "F1": "f1",
        "≥ 1 %": "large",
        "alike": "alike",
        "chance": "chance",
        "mIoU": "own",
        "of given": "given",
    }
    known = {
        title: [getattr(row, name) for row in diagnosis.coherence]
        for title, name in fields.items()
        if any(getattr(row, name) is not None for row in diagnosis.coherence[:-1])
    }
    if not known:
        return
    table = _table("z given", *known)
    for i, row in enumerate(diagnosis.coherence):
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


def _calibration(diagnosis: Diagnosis) -> Table:
    table = _table("calibration", "ECE", "overconfident")
    for row in diagnosis.calibration:
        title = row.title if row.trained else f"{row.title} †"
        table.add_row(
            title, f"{row.reliability.error:.1f}", f"{row.reliability.overconfidence:+.1f}"
        )
    if not all(row.trained for row in diagnosis.calibration):
        table.caption = "† no term trained this posterior on its own"
    return table


def _show_noise(noise: GradientNoise) -> None:
    table = _table("gradient of", "for", "length", "var z", "S/N", "var z, batch", "S/N")
    for row in noise.rows:
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
    if noise.agreements:
        table = _table("cosine between", *noise.generators)
        for pair in dict.fromkeys(one.terms for one in noise.agreements):
            cosines = [one.cosine for one in noise.agreements if one.terms == pair]
            cells = ("–" if cosine is None else f"{cosine:+.2f}" for cosine in cosines)
            table.add_row(", ".join(map(_term, pair)), *cells)
        console.print(table)
    console.print(
        f"{noise.repeats} gradients of minus a term, {noise.batch_size} scenes each, in training "
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
