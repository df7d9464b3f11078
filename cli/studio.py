"""`scene studio`: a local page on which one draws scenes and segments photographs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from inference.interruption import Interruption

from .console import console, entitled, notes
from .options import Device, Trust


def studio(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]…",
            help="Folders of runs that the page offers.",
            show_default="the complete runs in runs/",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the page on 127.0.0.1, 1 to 65535.",
            min=1,
            max=65535,
            show_default="the first that is free from 7860",
        ),
    ] = None,
    show: Annotated[
        bool,
        typer.Option(
            "--open/--no-open",
            help="Open the page in the browser of the desktop, if there is one.",
        ),
    ] = True,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """Show a page in the browser: paint a mask and draw scenes, or segment a photograph.

    The page is for this machine alone: it is served at 127.0.0.1 and needs no network. Ctrl-C
    stops it.
    """
    from inference.studio.page import require_gradio, served

    require_gradio()
    from inference.studio.models import Models, all_runs, is_demo, named_runs

    selected = named_runs(runs) if runs else all_runs()
    if not runs:
        own = sum(not is_demo(run) for run in selected)
        notes.print(f"{own} complete run{'s' * (own != 1)}", style="dim")
        if own < len(selected):
            notes.print("The demo model that ships with scene draws scenes.", style="dim")
    with served(Models(selected, device, trust), port) as address:
        console.print(entitled("scene studio", f"{address} (Ctrl-C stops it)"))
        if show:
            _open(address)
        _wait()


def _wait() -> None:
    """Wait for Ctrl-C, which is how one stops a server."""
    try:
        threading.Event().wait()
    except (KeyboardInterrupt, Interruption) as stop:
        if getattr(stop, "number", signal.SIGINT) != signal.SIGINT:
            raise


def _open(address: str) -> None:
    """Open a page in the browser of the desktop, if there is one; never one of the terminal."""
    shown = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if shown or sys.platform in ("darwin", "win32"):
        webbrowser.open(address)
