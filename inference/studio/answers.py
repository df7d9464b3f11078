"""What the page answers: results, or a sentence that says why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

REFUSALS = (LookupError, ValueError, TypeError, ArithmeticError, OSError, MemoryError)
"""Errors whose message is for the person at the page."""

MODELS = "models"
"""What calculations wait for: one at a time, since torch has one random state."""


def answering(work: Callable[..., Sequence[Any]], outputs: int) -> Callable[..., list[Any]]:
    """Make of a calculation an answer: its results and a note, or nothing new and a refusal.

    Args:
        work: Returns ``outputs`` results, and perhaps a note in words after them.
        outputs: How many components it fills, beside that of the note.
    """

    @wraps(work)
    def answer(*inputs: Any) -> list[Any]:
        try:
            results = list(work(*inputs))
        except (KeyError, IndexError):  # a mistake of ours, though a LookupError
            raise
        except REFUSALS as error:
            import gradio as gr

            return [*(gr.skip() for _ in range(outputs)), refusal(error, inputs)]
        text = results.pop() if len(results) > outputs else ""
        return [*results, f'<p class="note">{escape(text)}</p>' if text else ""]

    return answer


def refusal(error: BaseException, inputs: Sequence[Any] = ()) -> str:
    """Write why something is refused as HTML; uploaded files go by their own names.

    >>> refusal(ValueError("/home/ada/x.txt is no mask."), ["/home/ada/x.txt"])
    '<p class="refusal" role="alert">x.txt is no mask.</p>'
    """
    text = sentence(error)
    for value in inputs:
        if isinstance(value, str) and len(Path(value).parts) > 1:
            text = text.replace(value, Path(value).name)
    return f'<p class="refusal" role="alert">{escape(text, quote=False)}</p>'


def sentence(error: BaseException) -> str:
    """Return what an error says, without the number that the system gives it."""
    if isinstance(error, MemoryError):
        return "Memory ran out; draw fewer scenes, or take a smaller picture."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    return str(error.args[0] if len(error.args) == 1 else error)
