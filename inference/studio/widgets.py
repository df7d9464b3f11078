"""Parts of the page that Gradio has not: a canvas for masks, tiles to drag, a viewer of stages."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def asset(name: str) -> str:
    """Return a file of the page: HTML, a script or a style sheet."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def widget(name: str, value: Any, **choices: Any) -> Any:
    """Return a component of one's own, whose value is plain data.

    Args:
        name: ``paint``, ``walk`` or ``stages``.
        value: What it shows first.
        choices: As of ``gradio.HTML``.
    """
    import gradio as gr

    return gr.HTML(
        value,
        html_template=asset(f"{name}.html"),
        js_on_load=asset(f"{name}.js"),
        apply_default_css=False,
        **choices,
    )


def guidance_slider(guidance: float | None) -> Any:
    """Return what asks for the guidance of a flow; hidden where there is none.

    Args:
        guidance: That of the model's flow; None = it has no flow.
    """
    import gradio as gr

    return gr.Slider(
        1, 5, value=guidance or 1, step=0.5, label="Guidance", visible=guidance is not None,
        info="1 = as learned; with more, scenes show what was given more clearly.",
    )  # fmt: skip


def status() -> Any:
    """Return the line in which the page answers in words."""
    import gradio as gr

    return gr.HTML("", elem_classes="status", apply_default_css=False)


def taking_files(component: Any) -> Any:
    """Return a component that takes files without the example of one, an address of the web."""
    component.example_payload = component.example_value = _nothing
    return component


def help_text(text: str) -> Any:
    """Return a short text that says what one can do here."""
    import gradio as gr

    return gr.Markdown(text, elem_classes="help")


def count_and_seed(what: str = "Scenes") -> tuple[Any, Any]:
    """Return what asks for a number of draws, and for their seed."""
    import gradio as gr

    with gr.Row():
        count = gr.Radio([4, 8, 16], value=8, label=what, min_width=160)
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**32 - 1, min_width=100)
    return count, seed


def _nothing() -> None:
    return None
