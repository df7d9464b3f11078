"""The tables of `scene reproduce`: stages, kernels, widths; what was chosen, and what held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene.notices import against_weak

from .console import console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.experiments.weak.reproduce import Reproduction
    from inference.experiments.weak.results import AcrossSeeds, Ordering, SeedResult, Summary


def show(found: Reproduction) -> None:
    """Print everything that came of it."""
    from inference.experiments.weak.results import RATIO

    plural = "s" if len(found.seeds) > 1 else ""
    seeds = f"seed{plural} {', '.join(map(str, found.seeds))}"
    scenes = f"{found.scenes} scenes{against_weak(found.weak[0], found.scenes)}"
    for name, summary in found.variants.items():
        console.print(
            f"{found.data} {found.split} ({scenes}, {seeds}), settings {name}",
            style="bold",
        )
        _show_stages(found, summary)
        _show_kernels(found, summary)
        _show_widths(summary)
        for order in summary.orders:
            console.print(f"{order.claim}: {_verdict(order)}.")
        console.print(
            f"SEC + CRF is {_figure(summary.ratio, 100)} % of the twin + CRF (published for "
            f"PASCAL VOC 2012 val: {100 * RATIO:.0f} %)."
        )
        for chain in summary.results:
            _show_choices(chain, found.weak[1])
        console.print()


def _show_stages(found: Reproduction, summary: Summary) -> None:
    from inference.experiments.weak.results import REPORT, STAGES

    reference = REPORT["stages"] if found.reference else {}
    console.print(_table("stage", STAGES, summary.stage, found.seeds, reference))
    common = summary.results[0].stages["sec"]["common"]
    if common:

        def uncommon(name: str) -> AcrossSeeds:
            return summary.stage(name, "uncommon_miou")

        console.print(_table("without common classes", STAGES, uncommon, found.seeds, {}))
        console.print(f"Common, in 90 % of training images or more: {', '.join(common)}.")


def _show_kernels(found: Reproduction, summary: Summary) -> None:
    from inference.experiments.weak.results import KERNELS, REPORT

    reference = REPORT["kernels"] if found.reference else {}
    table = _table("kernels, after SEC", KERNELS, summary.kernel, found.seeds, reference)
    console.print(table)
    if reference:
        console.print("The report's kernels were measured after Grad-CAM.")


def _table(
    title: str,
    names: Mapping[str, str],
    figure: Callable[[str], AcrossSeeds],
    seeds: tuple[int, ...],
    reference: Mapping[str, float],
) -> Any:
    from rich.table import Table

    table = Table(title)
    several = len(seeds) > 1
    for column in [f"seed {seed}" for seed in seeds] if several else []:
        table.add_column(column, justify="right")
    table.add_column("mean ± sd" if several else "mIoU, %", justify="right")
    if reference:
        table.add_column("the report", justify="right")
    for name, called in names.items():
        spread = figure(name)
        each = [f"{value:.1f}" for value in spread.each] if several else []
        theirs = [f"{reference[name]:.1f}" if name in reference else "–"] if reference else []
        table.add_row(called, *each, _figure(spread), *theirs)
    return table


def _show_widths(summary: Summary) -> None:
    from rich.table import Table

    grid = summary.results[0].grid
    table = Table(f"mIoU, %, on {grid['split']}", caption="SEC + CRF: θα (px) down, θβ across")
    for beta in grid["betas"]:
        table.add_column(f"{beta:g}", justify="right")
    for alpha, line in zip(grid["alphas"], summary.grid, strict=True):
        table.add_row(f"{alpha:g}", *(f"{value:.1f}" for value in line))
    console.print(table)


def _show_choices(chain: SeedResult, weak: int) -> None:
    """Say what was chosen for a seed, and from what."""
    from inference.api.segment import Parameters
    from inference.experiments.weak.selection import describe_crf

    chosen, classifier, cues = chain.selected, chain.classifier, chain.cues
    power = f", background (1 − Σ)^{chosen['exponent']:g}" if chosen["exponent"] else ""
    said = [
        f"present above {classifier['threshold']:g} (macro-F1 "
        f"{_number(classifier['macro_f1'])} on {classifier['split']})",
        f"maps of {chosen['layer']}{power}{_of(chosen['map_scores'])}",
        f"cues: {chosen['cues']}{_of(chosen['cue_scores'])}; "
        f"{_number(cues['precision']['all'])} % right, "
        f"{_number(cues['coverage']['all'])} % of pixels",
    ]
    for name, crf in chosen["crf"].items():
        tried = chosen["crf_scores"][name]
        said.append(f"CRF after {name}: {describe_crf(Parameters.from_json(crf))}{_of(tried)}")
    scenes = f"{chosen['scenes']} scenes of {chosen['split']}"
    console.print(f"Seed {chain.seed}, on {scenes}{against_weak(weak, chosen['scenes'])}:")
    for line in said:
        console.print(f"  {line}")


def _of(tried: Mapping[str, Any]) -> str:
    return f" (of {len(tried)})" if tried else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _verdict(order: Ordering) -> str:
    count, held = len(order.held), sum(order.held)
    if count == 1:
        return "held" if held else "did not hold"
    return "held in every seed" if held == count else f"held in {held} of {count} seeds"


def _figure(spread: AcrossSeeds, scale: float = 1.0) -> str:
    deviation = spread.deviation
    told = f"{scale * spread.mean:.1f}"
    return told if deviation is None else f"{told} ± {scale * deviation:.1f}"
