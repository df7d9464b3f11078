"""What runs can do, told from their settings alone, to choose among runs without loading them."""

from __future__ import annotations

from .fields import VIEWS
from .recipes import recipe
from .settings import Settings


def able(settings: Settings, names: tuple[str, ...]) -> bool:
    """Return whether a run of these settings has a posterior given these views.

    A guess from names alone, to choose among runs without loading them; a guide of one's own is
    taken to accept what its recipe would ask of it.
    """
    if settings.recipe in ("segmenter", "classifier", "sec", "supervised"):
        return settings.recipe != "classifier" and names == ("image",)
    if settings.recipe == "cvae":
        return set(names) in ({"image"}, {"image", "mask"})
    encode = settings.guide.encode
    if not names or settings.guide.name in ("poe", "retrofit", "masked"):
        return set(names) <= set(encode) if settings.recipe == "jvae" else True
    return settings.recipe != "jvae" or set(names) == set(encode)


def refinable(settings: Settings, names: tuple[str, ...]) -> bool:
    """Return whether a run of these settings could refine a posterior given these views."""
    if not recipe(settings.recipe).takes("latent"):
        return False
    if settings.recipe == "cvae":
        return set(names) >= {"image", "mask"}
    return bool(names)


def generates(settings: Settings) -> bool:
    """Return whether a run of these settings can draw a scene with all its views."""
    one = recipe(settings.recipe)
    return one.takes("latent") and set(one.explains) == set(VIEWS)
