"""`scene crf`: the dense (fully connected) CRF on its own."""

from __future__ import annotations

import typer

from .crf_ablate import ablate
from .crf_fit import fit
from .crf_refine import refine

app = typer.Typer(help="Refine masks with a dense CRF; measure it; fit it.", no_args_is_help=True)
app.command()(refine)
app.command()(ablate)
app.command()(fit)
