"""Scenes with several masks: objects half hidden by a board, and objects with two labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .layout import HALVES, Field, Ids, Layer, Names, sample_decoys, sample_layer, sample_palettes
from .presets import Ambiguity
from .rendering import Bytes, footprint_mask, render_layers

WHOLES: dict[frozenset[str], str] = {
    frozenset({"round"}): "disc",
    frozenset({"square"}): "block",
    frozenset({"pointed"}): "rhombus",
    frozenset({"round", "square"}): "arch",
    frozenset({"round", "pointed"}): "drop",
    frozenset({"square", "pointed"}): "house",
}
"""The class of an object by its two halves; it does not matter which is which."""

DISPUTED = ("disc", "block")
"""The two classes that a rounded square may be labelled as."""


@dataclass(frozen=True)
class AmbiguousLayout:
    """The layout of N scenes, and R readings of the object in each.

    Args:
        palette: Colours of each scene, ``(N, colours, 3)``.
        decoys: Distractors, from back to front.
        objects: The object under each reading. They differ in label, and in the half that a
            board hides.
        board: What hides one half of the object; present in some of the scenes.
        probabilities: ``(N, R)``, each row sums to 1; 0 = no such reading.
        drawn: The reading that the mask of each scene shows, ``(N,)``.
    """

    palette: Field
    decoys: list[Layer]
    objects: list[Layer]
    board: Layer
    probabilities: NDArray[np.float64]
    drawn: Ids

    def masks(self, size: tuple[int, int]) -> Bytes:
        """Return the mask of each scene under each reading, ``(N, R, H, W)``."""
        return np.stack([footprint_mask(layer, size) for layer in self.objects], axis=1)

    def object(self, reading: Ids) -> Layer:
        """Return the object of each scene under one reading, ``(N,)``."""
        rows = np.arange(len(reading))
        shapes = np.stack([layer.shape for layer in self.objects], axis=1)
        labels = np.stack([layer.label for layer in self.objects], axis=1)
        return replace(self.objects[0], shape=shapes[rows, reading], label=labels[rows, reading])


def ambiguous_layout(
    difficulty: Ambiguity, rng: np.random.Generator, count: int
) -> AmbiguousLayout:
    """Sample the layout of N scenes, independently of their size in pixels.

    A board that hides a half of the object, or else the rounded square itself, has the colour
    of a cue, which no other object has.
    """
    palette = sample_palettes(difficulty, rng, count)
    ground = palette * np.float32(difficulty.dusk)
    decoys = sample_decoys(difficulty, rng, ground)
    kind = rng.random(count)
    hidden = kind < difficulty.hidden
    disputed = ~hidden & (kind < difficulty.hidden + difficulty.disputed)
    cue = rng.integers(0, len(difficulty.cues), count)
    front = rng.integers(0, len(HALVES), count)
    back = rng.integers(0, len(HALVES), count)  # of scenes with one reading
    probabilities = _probabilities(difficulty, hidden, disputed, cue)
    drawn = (rng.random(count)[:, None] >= probabilities.cumsum(1)[:, :-1]).sum(1)
    colour = _shifted(rng, palette[:, -1], difficulty.colour_jitter)
    cue_colour = np.array([c.colour for c in difficulty.cues], dtype=np.float32)[cue]
    cue_colour = _shifted(rng, cue_colour, difficulty.colour_jitter)
    texture = np.array(difficulty.textures)[rng.integers(0, len(difficulty.textures), count)]
    shapes, labels = _readings(difficulty, hidden, disputed, front, back)
    pose = sample_layer(
        difficulty,
        rng,
        np.ones(count, dtype=np.bool_),
        labels[:, 0],
        shapes[:, 0],
        texture,
        np.where(disputed[:, None], cue_colour, colour),
        [],
    )
    side = np.float32(np.pi) * rng.integers(0, 2, count).astype(np.float32)
    pose = replace(pose, angle=pose.angle + side)
    objects = [
        replace(pose, shape=shapes[:, r], label=labels[:, r]) for r in range(shapes.shape[1])
    ]
    board = replace(
        pose,
        present=hidden,
        label=np.zeros(count, dtype=np.int64),
        shape=np.full(count, "board"),
        texture=np.full(count, "plain"),
        colour=cue_colour,
        tone=np.zeros(count, dtype=np.float32),
    )
    return AmbiguousLayout(ground, decoys, objects, board, probabilities, drawn)


def render_ambiguous(
    difficulty: Ambiguity,
    rng: np.random.Generator,
    count: int,
    size: tuple[int, int],
    reading: int | None = None,
) -> tuple[Bytes, Bytes]:
    """Render N scenes, each with the mask of one of its readings.

    Args:
        difficulty: The preset's parameters.
        rng: The source of all random numbers.
        count: N, the number of scenes.
        size: Height and width in pixels.
        reading: Show this reading in every scene that has it, in place of the one drawn.

    Returns:
        Images ``(N, 3, H, W)`` and masks ``(N, H, W)`` of label ids, 0 = background. The masks
        label whole objects, also behind a board.
    """
    scenes = ambiguous_layout(difficulty, rng, count)
    shown = scenes.drawn
    if reading is not None:
        shown = np.where(scenes.probabilities[:, reading] > 0, reading, shown)
    shown_object = scenes.object(shown)
    layers = [*scenes.decoys, shown_object, scenes.board]
    images, _ = render_layers(difficulty, rng, scenes.palette, layers, size)
    return images, footprint_mask(shown_object, size)


def _probabilities(
    difficulty: Ambiguity, hidden: NDArray[np.bool_], disputed: NDArray[np.bool_], cue: Ids
) -> NDArray[np.float64]:
    """Return the probability of each reading, ``(N, R)``, R as many as there are halves."""
    halves = np.array([c.halves for c in difficulty.cues])
    names = np.array([(*c.names, 0.0) for c in difficulty.cues])
    one = np.array([1.0, 0.0, 0.0])
    rest = np.where(disputed[:, None], names[cue], one)
    result: NDArray[np.float64] = np.where(hidden[:, None], halves[cue], rest)
    return result


def _readings(
    difficulty: Ambiguity,
    hidden: NDArray[np.bool_],
    disputed: NDArray[np.bool_],
    front: Ids,
    back: Ids,
) -> tuple[Names, Ids]:
    """Return shape and label of the object under each reading, each ``(N, R)``."""
    halves = np.array(list(HALVES))
    label_of = {name: 1 + k for k, name in enumerate(difficulty.classes)}
    hides = np.where(hidden[:, None], np.arange(len(halves)), back[:, None])
    shapes = np.array([[f"{left} {right}" for right in halves] for left in halves])
    wholes = np.array(
        [[label_of[WHOLES[frozenset({left, right})]] for right in halves] for left in halves]
    )
    names = np.array([label_of[DISPUTED[min(k, 1)]] for k in range(len(halves))])
    shape = np.where(disputed[:, None], "squircle", shapes[front[:, None], hides])
    return shape, np.where(disputed[:, None], names, wholes[front[:, None], hides])


def _shifted(rng: np.random.Generator, colour: Field, most: float) -> Field:
    """Shift colours ``(N, 3)`` by at most so many grey levels."""
    return colour + rng.uniform(-most, most, colour.shape).astype(np.float32)
