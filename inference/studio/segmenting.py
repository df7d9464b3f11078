"""The page's tab that segments a photograph, stage by stage."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from torch import Tensor

from ..api.segment import Parameters
from .answers import MODELS, answering
from .models import IMAGENET, Models
from .photographs import (
    Source,
    parameters_of,
    read_photograph,
    sources,
    stages,
    whole_seconds,
)
from .pictures import stage_values
from .widgets import help_text, status, taking_files, widget

Answer = tuple[Any, ...]

CRF = {
    "appearance_weight": ("Appearance weight", 0, 30, 0.5),
    "appearance_sigma_xy": (
        "Appearance σ of positions (pixels of a 500×375 photograph)",
        1,
        200,
        1,
    ),
    "appearance_sigma_rgb": ("Appearance σ of colours (0 to 255)", 1, 60, 1),
    "smoothness_weight": ("Smoothness weight", 0, 30, 0.5),
    "smoothness_sigma": ("Smoothness σ (pixels)", 0.5, 20, 0.5),
    "iterations": ("Iterations of mean field", 0, 20, 1),
}
"""Parameters of the CRF that the page changes: title, least, most and step."""


def changed_parameters(values: Any) -> dict[str, Any]:
    """Return the CRF's parameters by name, from the values of the page's sliders."""
    changes = dict(zip(CRF, values, strict=True))
    return {**changes, "iterations": int(changes["iterations"])}


def photo_tab(models: Models) -> None:
    """Lay out the tab of photographs.

    Args:
        models: The models that there are.
    """
    import gradio as gr

    help_text(
        "Upload a photograph. The slider leads from stage to stage; between two of them, it "
        "blends one into the other. The first CRF on a machine is compiled, which takes half a "
        "minute."
    )
    names = models.segmenting
    usual = parameters_of(models, models.chain)
    photo, read = gr.State(None), gr.State(None)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            chosen = gr.Dropdown(
                names, value=models.chain, multiselect=True, label="Models",
                info="Each has two stages: without a CRF, and with it.", elem_id="segmenters",
            )  # fmt: skip
            file = taking_files(
                gr.File(label="Photograph", type="filepath", height=130, elem_id="photo")
            )
            of_data = gr.Button("Image of the data", size="sm", visible=set(names) != {IMAGENET})
            with gr.Accordion("Parameters of the CRF", open=False, elem_id="crf"):
                sliders = [
                    gr.Slider(
                        least, most, _within(usual, name, least, most), step=step, label=title
                    )
                    for name, (title, least, most, step) in CRF.items()
                ]
        with gr.Column(scale=6, min_width=300):
            says = status()
            view = widget("stages", {}, elem_id="stages", min_height=80)

    def segmented(image: Tensor | None, used: list[str], values: Any) -> Answer:
        if image is None:
            raise ValueError("There is no photograph yet; upload one.")
        start = perf_counter()
        each = sources(models, used, image)
        value = stage_values(stages(each, changed_parameters(values)))
        took = whole_seconds(perf_counter() - start)
        height, width = image.shape[-2:]
        return image, each, value, f"{width}×{height} pixels, segmented in {took}."

    def from_file(path: str | None, used: list[str], *values: Any) -> Answer:
        if path is None:
            raise ValueError("No file came; choose a photograph again.")
        return segmented(read_photograph(Path(path)), used, values)

    def from_data(used: list[str], *values: Any) -> Answer:
        runs = [name for name in used or names if name != IMAGENET]
        if not runs:
            raise ValueError(f"{IMAGENET} has no data here; upload a photograph.")
        return segmented(_any_image(models, runs[0]), used, values)

    def with_others(image: Tensor | None, used: list[str], *values: Any) -> Answer:
        if image is None:
            return None, None, {}, ""
        return segmented(image, used, values)

    def refined(each: list[Source] | None, *values: Any) -> Answer:
        if not each:
            return ({},)
        start = perf_counter()
        value = stage_values(stages(each, changed_parameters(values)))
        return value, f"The CRF took {whole_seconds(perf_counter() - start)}."

    events = {"concurrency_id": MODELS, "concurrency_limit": 1, "api_visibility": "private"}
    outputs = [photo, read, view, says]
    file.upload(
        answering(from_file, 3), [file, chosen, *sliders], outputs, show_progress_on=view, **events
    )
    of_data.click(
        answering(from_data, 3), [chosen, *sliders], outputs, show_progress_on=view, **events
    )
    chosen.input(
        answering(with_others, 3), [photo, chosen, *sliders], outputs,
        show_progress_on=view, **events,
    )  # fmt: skip
    for slider in sliders:
        slider.input(
            answering(refined, 1), [read, *sliders], [view, says],
            trigger_mode="always_last", show_progress="hidden", **events,
        )  # fmt: skip


def _any_image(models: Models, name: str) -> Tensor:
    """Return a random image of the data of a run, at the size that its model reads."""
    from random import Random

    scenes = models.fitted(name).dataset(target="classes")
    for number in Random().sample(range(len(scenes)), min(20, len(scenes))):
        image = scenes[number].image
        if image is not None:
            return image
    raise LookupError(f"{scenes.name} has hardly any images; upload a photograph.")


def _within(parameters: Parameters, name: str, least: float, most: float) -> float:
    value: float = getattr(parameters, name)
    return min(max(value, least), most)
