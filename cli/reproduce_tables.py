"""The tables of `scene reproduce`: stages, kernels, widths; what was chosen, and what held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene.notices import against_weak

from .console import console

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inference.experiments.weak.reproduce import Reproduction
    from inference.experiments.weak.results import AcrossSeeds, Ordering, SeedResult, Summary


def show(result: Reproduction) -> None:
    """Print everything that came of it."""
    from inference.experiments.weak.results import RATIO

    plural = "s" if len(result.seeds) > 1 else ""
    seeds = f"seed{plural} {', '.join(map(str, result.seeds))}"
    scenes = f"{result.scenes} scenes{against_weak(result.weak[0], result.scenes)}"
    for name, summary in result.variants.items():
        console.print(
            f"{result.data} {result.split} ({scenes}, {seeds}), settings {name}",
            style="bold",
        )
        _show_stages(result, summary)
        _show_kernels(result, summary)
        _show_widths(summary)
        for order in summary.orders:
            console.print(f"{order.expected}: {_verdict(order)}.")
        console.print(
            f"SEC + CRF is {_figure(summary.ratio, 100)} % of supervised + CRF (published for "
            f"PASCAL VOC 2012 val: {100 * RATIO:.0f} %)."
        )
        for chain in summary.results:
            _show_choices(chain, result.weak[1])
        console.print()


def _show_stages(result: Reproduction, summary: Summary) -> None:
    from inference.experiments.weak.results import REPORT, STAGES

    reference = REPORT["stages"] if result.reference else {}
    console.print(_table("stage", STAGES, summary.stage, result.seeds, reference))
    for chain in summary.results:
        for name in chain.selected["no_crf"]:
            console.print(
                f"Seed {chain.seed}: no CRF after {STAGES[name]}, for none raises mIoU on "
                f"{chain.selected['split']}; the row + CRF repeats that without."
            )
    common = summary.results[0].stages["sec"]["common"]
    if common:

        def uncommon(name: str) -> AcrossSeeds:
            return summary.stage(name, "uncommon_miou")

        console.print(_table("without common classes", STAGES, uncommon, result.seeds, {}))
        console.print(f"Common, in 90 % of training images or more: {', '.join(common)}.")


def _show_kernels(result: Reproduction, summary: Summary) -> None:
    from inference.experiments.weak.results import KERNELS, REPORT

    reference = REPORT["kernels"] if result.reference else {}
    table = _table("kernels, after SEC", KERNELS, summary.kernel, result.seeds, reference)
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
    for name, title in names.items():
        across_seeds = figure(name)
        each = [f"{value:.1f}" for value in across_seeds.each] if several else []
        reported = [f"{reference[name]:.1f}" if name in reference else "–"] if reference else []
        table.add_row(title, *each, _figure(across_seeds), *reported)
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
    """Print the settings selected for a seed, and from how many candidates."""
    from inference.api.segment import Parameters
    from inference.experiments.weak.selection import describe_crf

    chosen, classifier, cues = chain.selected, chain.classifier, chain.cues
    background = f", background {chosen['background']}" if chosen.get("background") else ""
    lines = [
        f"present above {classifier['threshold']:g} (macro-F1 "
        f"{_number(classifier['macro_f1'])} on {classifier['split']})",
        f"maps of {chosen['layer']}{background}{_out_of(chosen['map_scores'])}",
        f"cues: {chosen['cues']}{_out_of(chosen['cue_scores'])}; "
        f"{_number(cues['precision']['all'])} % right, "
        f"{_number(cues['coverage']['all'])} % of pixels",
    ]
    for name, crf in chosen["crf"].items():
        scores = chosen["crf_scores"][name]
        lines.append(
            f"CRF after {name}: {describe_crf(Parameters.from_json(crf))}{_out_of(scores)}"
        )
    scenes = f"{chosen['scenes']} scenes of {chosen['split']}"
    console.print(f"Seed {chain.seed}, on {scenes}{against_weak(weak, chosen['scenes'])}:")
    for line in lines:
        console.print(f"  {line}")


def _out_of(candidates: Mapping[str, Any]) -> str:
    return f" (of {len(candidates)})" if candidates else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _verdict(order: Ordering) -> str:
    count, true_in = len(order.holds), sum(order.holds)
    if count == 1:
        return "held" if true_in else "did not hold"
    return "held in every seed" if true_in == count else f"held in {true_in} of {count} seeds"


def _figure(across_seeds: AcrossSeeds, scale: float = 1.0) -> str:
    deviation = across_seeds.deviation
    mean = f"{scale * across_seeds.mean:.1f}"
    return mean if deviation is None else f"{mean} ± {scale * deviation:.1f}"
