"""The page's tabs about scenes already drawn: walks between two, and one view drawn anew."""

from __future__ import annotations

from html import escape
from time import perf_counter
from typing import Any

from scene.views import VIEWS

from ..prediction.sample import Samples
from .answers import MODELS, answering
from .models import Models
from .photographs import whole_seconds
from .pictures import caption, cards, image_uri, mask_uri, sheet
from .widgets import count_and_seed, help_text, status, widget

Answer = tuple[Any, ...]

STEPS = 10
"""Scenes of a walk."""


def tiles(samples: Samples | None) -> dict[str, Any]:
    """Return scenes as the tiles that one drags, with neither end of a walk chosen."""
    return {"scenes": [] if samples is None else cards(samples), "first": None, "last": None}


def walk(models: Models, name: str, samples: Samples | None, value: Any) -> Answer:
    """Draw the scenes between two of those that were drawn.

    Args:
        models: The models that there are.
        name: The one in use.
        samples: The scenes of the tiles.
        value: What the tiles hold: the numbers of the two scenes, ``first`` and ``last``.

    Raises:
        ValueError: If the tiles are of another model, or an end is missing.
    """
    ends = [value.get(end) for end in ("first", "last")] if isinstance(value, dict) else []
    if samples is None or samples.z is None:
        raise ValueError("There are no scenes yet; draw some first.")
    chosen = [end for end in ends if isinstance(end, int) and 0 <= end < len(samples)]
    if len(chosen) < 2:
        raise ValueError("A walk needs two ends; drag a scene into each.")
    start = perf_counter()
    between = models.fitted(name).interpolate(samples, chosen[0], chosen[1], STEPS)
    took = whole_seconds(perf_counter() - start)
    title = f"{STEPS} scenes from the first to the second"
    return sheet(cards(between), title), f"Drawn in {took}."


def resample(models: Models, name: str, held: Any, view: str, count: int, seed: int) -> Answer:
    """Draw one view of a scene anew, given the others.

    Args:
        models: The models that there are.
        name: The one in use.
        held: The views of the scene, by name, see `scene_views`.
        view: The view that is drawn.
        count: How many draws.
        seed: Seed of the draws.

    Raises:
        ValueError: If there is no scene, or the model has no posterior given the others.
    """
    if not held:
        raise ValueError("There is no scene yet; draw one, or take one of the data.")
    start = perf_counter()
    given = {other: held[other] for other in VIEWS if other != view and other in held}
    samples = models.fitted(name).sample(int(count), seed=int(seed or 0), **given)
    took = whole_seconds(perf_counter() - start)
    title = f"{view.capitalize()} drawn anew, given {' and '.join(given)}"
    return sheet(_only(samples, view), title), f"{len(samples)} draws in {took}."


def scene_views(samples: Samples) -> dict[str, Any]:
    """Return the views of the first of some scenes, to be held."""
    views = {name: view[0] for name, view in samples.views.items()}
    if "classes" in views:
        views["classes"] = (views["classes"] >= 0.5).float()
    return views


def walk_tab(models: Models, model: Any) -> None:
    """Lay out the tab of walks.

    Args:
        models: The models that there are.
        model: The component that names the one in use.
    """
    import gradio as gr

    help_text(
        "Draw scenes, then drag two of them (or click them) into *From* and *To*: the page draws "
        "what lies between them in z."
    )
    kept = gr.State(None)
    count, seed = count_and_seed()
    draw = gr.Button("Draw scenes", variant="primary", elem_id="draw-tiles")
    says = status()
    board = widget("walk", tiles(None), elem_id="walk", min_height=80)
    path = gr.HTML(elem_id="walk-scenes", apply_default_css=False, min_height=80)

    def drawn(name: str, number: int, chosen: int) -> Answer:
        samples = models.fitted(name).sample(int(number), seed=int(chosen or 0))
        return samples, tiles(samples), ""

    def walked(name: str, samples: Samples | None, value: Any) -> Answer:
        return walk(models, name, samples, value)

    def changed(name: str) -> Answer:
        return None, tiles(None), ""

    events = {"concurrency_id": MODELS, "concurrency_limit": 1, "api_visibility": "private"}
    model.change(answering(changed, 3), model, [kept, board, path, says], **events)
    draw.click(
        answering(drawn, 3), [model, count, seed], [kept, board, path, says],
        show_progress_on=board, **events,
    )  # fmt: skip
    board.change(
        answering(walked, 1), [model, kept, board], [path, says], show_progress_on=path, **events
    )


def resample_tab(models: Models, model: Any) -> None:
    """Lay out the tab that draws one view anew; the arguments are those of `walk_tab`."""
    import gradio as gr

    help_text("Take a scene, hold two of its views, and draw the third one anew.")
    held = gr.State(None)
    with gr.Row():
        with gr.Column(scale=3, min_width=240):
            with gr.Row():
                draw = gr.Button("Draw a scene", size="sm", min_width=110, elem_id="new-scene")
                of_data = gr.Button("Scene of the data", size="sm", min_width=110)
            shown = gr.HTML(elem_id="held", apply_default_css=False, min_height=60)
        with gr.Column(scale=7, min_width=300):
            view = gr.Radio(list(VIEWS), value="image", label="View to draw anew")
            count, seed = count_and_seed("Draws")
            again = gr.Button("Draw it anew", variant="primary", elem_id="resample")
            says = status()
            scenes = gr.HTML(elem_id="resampled", apply_default_css=False, min_height=80)

    def drawn(name: str, chosen: int) -> Answer:
        samples = models.fitted(name).sample(1, seed=int(chosen or 0))
        return scene_views(samples), sheet(cards(samples), "The scene"), ""

    def from_data(name: str, chosen: int) -> Answer:
        fitted = models.fitted(name)
        scenes = fitted.dataset()
        number = int(chosen or 0) % len(scenes)
        views = scenes.views([number])
        known = {n: views[n][0] for n in VIEWS if n in views and bool(views.present[n][0])}
        return known, _shown(known, fitted.labels, f"Scene {number} of {scenes.name}"), ""

    def resampled(name: str, views: Any, which: str, number: int, chosen: int) -> Answer:
        return resample(models, name, views, which, number, chosen)

    def changed(name: str) -> Answer:
        return None, "", ""

    events = {"concurrency_id": MODELS, "concurrency_limit": 1, "api_visibility": "private"}
    model.change(answering(changed, 3), model, [held, shown, scenes, says], **events)
    draw.click(answering(drawn, 3), [model, seed], [held, shown, scenes, says], **events)
    of_data.click(answering(from_data, 3), [model, seed], [held, shown, scenes, says], **events)
    again.click(
        answering(resampled, 1), [model, held, view, count, seed], [scenes, says],
        show_progress_on=scenes, **events,
    )  # fmt: skip


def _only(samples: Samples, view: str) -> list[dict[str, Any]]:
    """Return scenes of which one view is shown; classes are words."""
    shown = cards(samples)
    if view == "classes":
        return [{"caption": scene["caption"]} for scene in shown]
    return [{view: scene[view], "caption": ""} for scene in shown]


def _shown(views: dict[str, Any], labels: Any, title: str) -> str:
    scene = {
        "image": image_uri(views["image"]) if "image" in views else None,
        "mask": mask_uri(views["mask"], labels) if "mask" in views else None,
        "caption": caption(labels, views["classes"]) if "classes" in views else "",
    }
    return sheet([scene], escape(title))
