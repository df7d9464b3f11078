"""The page's tabs that draw scenes: given a painted mask, and given classes."""

from __future__ import annotations

from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from ..api.fitted import Fitted
from .answers import MODELS, answering
from .masks import painted, painting, uploaded
from .models import Models
from .photographs import whole_seconds
from .pictures import cards, legend, sheet
from .widgets import count_and_seed, guidance_slider, help_text, status, taking_files, widget

Answer = tuple[Any, ...]


def draw_given_mask(
    models: Models, name: str, value: Any, count: int, seed: int, guidance: float = 1
) -> Answer:
    """Draw scenes that have the painted mask.

    Args:
        models: The models that there are.
        name: The one to draw with.
        value: What the canvas holds.
        count: How many scenes.
        seed: Seed of the draws.
        guidance: Of the model's flow, where it has one.

    Returns:
        The scenes as HTML, and a note.

    Raises:
        ValueError: If nothing is painted, or the model cannot be given a mask.
    """
    run = models.run(name)
    mask = painted(value, run.schema)
    scenes, note = _drawn(models.fitted(name), count, seed, guidance, mask=mask)
    if not run.settings.model.mask_first:
        note += " This model learned without --mask-first: its scenes follow the mask roughly."
    return scenes, note


def draw_given_classes(
    models: Models, name: str, classes: list[str], count: int, seed: int, guidance: float = 1
) -> Answer:
    """Draw scenes with these classes; see `draw_given_mask`.

    Args:
        models: The models that there are.
        name: The one to draw with.
        classes: Names of the classes that are present; all others are absent.
        count: How many scenes.
        seed: Seed of the draws.
        guidance: Of the model's flow, where it has one.
    """
    return _drawn(models.fitted(name), count, seed, guidance, classes=list(classes))


def mask_of_the_data(models: Models, name: str) -> Answer:
    """Return a mask of the model's data for the canvas.

    Raises:
        FileNotFoundError: If the data are not there.
        LookupError: If they have no mask.
    """
    fitted = models.fitted(name)
    scenes = fitted.dataset()
    chosen = Random()
    for _ in range(20):
        number = chosen.randrange(len(scenes))
        mask = scenes[number].mask
        if mask is not None:
            note = f"The mask of scene {number} of {scenes.name}, {scenes.split}."
            return painting(fitted.schema, mask), note
    raise LookupError(f"{scenes.name} has hardly any masks; paint one, or upload one.")


def uploaded_mask(models: Models, name: str, path: str | None) -> Answer:
    """Return the mask of a file for the canvas.

    Raises:
        ValueError: If it is no mask with the model's labels.
    """
    if path is None:
        raise ValueError("No file came; choose a mask again.")
    schema = models.run(name).schema
    return painting(schema, uploaded(Path(path), schema)), f"The mask {Path(path).name}."


def mask_tab(models: Models, model: Any) -> None:
    """Lay out the tab that draws scenes given a painted mask.

    Args:
        models: The models that there are.
        model: The component that names the one in use.
    """
    import gradio as gr

    schema = models.run(model.value).schema
    help_text("Choose a class, paint where it should be, and draw scenes that have this mask.")
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            canvas = widget("paint", painting(schema), elem_id="paint")
            with gr.Row():
                of_data = gr.Button("Mask of the data", size="sm", min_width=120)
                upload = taking_files(gr.UploadButton("Upload a mask", size="sm", min_width=120))
        with gr.Column(scale=6, min_width=300):
            count, seed = count_and_seed()
            guidance = guidance_slider(models.guidance(model.value))
            draw = gr.Button("Draw scenes", variant="primary", elem_id="draw-mask")
            says = status()
            scenes = gr.HTML(elem_id="mask-scenes", apply_default_css=False, min_height=80)

    def changed(name: str) -> Answer:
        return painting(models.run(name).schema), guidance_slider(models.guidance(name)), ""

    def from_data(name: str) -> Answer:
        return mask_of_the_data(models, name)

    def from_file(name: str, path: str | None) -> Answer:
        return uploaded_mask(models, name, path)

    def drawn(name: str, value: Any, number: int, chosen: int, strength: float) -> Answer:
        return draw_given_mask(models, name, value, number, chosen, strength)

    events = {"concurrency_id": MODELS, "concurrency_limit": 1, "api_visibility": "private"}
    model.change(answering(changed, 3), model, [canvas, guidance, scenes, says], **events)
    of_data.click(answering(from_data, 1), model, [canvas, says], **events)
    upload.upload(answering(from_file, 1), [model, upload], [canvas, says], **events)
    draw.click(
        answering(drawn, 1), [model, canvas, count, seed, guidance], [scenes, says],
        show_progress_on=scenes, **events,
    )  # fmt: skip


def classes_tab(models: Models, model: Any) -> None:
    """Lay out the tab that draws scenes given classes; the arguments are those of `mask_tab`."""
    import gradio as gr

    labels = models.run(model.value).schema.labels
    help_text("Tick the classes that the scene should have; it will have no others.")
    classes = gr.CheckboxGroup(
        list(labels.classes), value=[labels.classes[0]], label="Classes", elem_id="classes"
    )
    count, seed = count_and_seed()
    guidance = guidance_slider(models.guidance(model.value))
    draw = gr.Button("Draw scenes", variant="primary", elem_id="draw-classes")
    says = status()
    scenes = gr.HTML(elem_id="classes-scenes", apply_default_css=False, min_height=80)
    colours = gr.HTML(legend(labels), apply_default_css=False)

    def changed(name: str) -> Answer:
        other = models.run(name).schema.labels
        choices = gr.CheckboxGroup(choices=list(other.classes), value=[other.classes[0]])
        return choices, guidance_slider(models.guidance(name)), "", legend(other)

    def drawn(name: str, ticked: list[str], number: int, chosen: int, strength: float) -> Answer:
        return draw_given_classes(models, name, ticked, number, chosen, strength)

    events = {"concurrency_id": MODELS, "concurrency_limit": 1, "api_visibility": "private"}
    model.change(
        answering(changed, 4), model, [classes, guidance, scenes, colours, says], **events
    )
    draw.click(
        answering(drawn, 1), [model, classes, count, seed, guidance], [scenes, says],
        show_progress_on=scenes, **events,
    )  # fmt: skip


def _drawn(fitted: Fitted, count: int, seed: int, guidance: float, **given: Any) -> Answer:
    start = perf_counter()
    if fitted.assembly.flow is not None:
        fitted = fitted.guided(guidance)
    samples = fitted.sample(int(count), seed=_whole(seed), **given)
    title = f"Scenes {samples.title}".removesuffix(" by the flow")
    took = whole_seconds(perf_counter() - start)
    return sheet(cards(samples), title), f"{len(samples)} scenes in {took}, seed {_whole(seed)}."


def _whole(seed: Any) -> int:
    """Return a seed as a whole number; an empty field is 0."""
    return int(seed or 0)
