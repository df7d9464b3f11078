"""How hard generated scenes are: a few named parameters, and the presets that freeze them."""

from __future__ import annotations

from dataclasses import dataclass

from ...labels import Colour


@dataclass(frozen=True)
class Difficulty:
    """What makes generated scenes easy or hard. Grey levels are of 255.

    Args:
        version: Rises whenever the preset draws other scenes; part of every seed.
        classes: Shapes that are classes, in the order of their label ids from 1.
        decoys: Shapes of distractors, which belong to no class.
        textures: Patterns that objects wear.
        telling: Whether class k wears texture k, so that only shape and texture together name
            it; otherwise an object wears any of them.
        palette: Colours that objects, distractors and background share.
        colours: How many palette colours a scene uses.
        camouflage: Whether objects may take the colours of the background beneath them.
        objects: Probabilities of 1, 2, … objects a scene.
        distractors: A scene has 0 to this many, all equally likely.
        radius: Least and greatest radius of an object, as a share of the shorter side.
        turn: Greatest rotation either way, in radians.
        apart: Distance of two objects' centres aimed at, in sums of their radii; less than
            about .9 lets them occlude each other.
        edge: Least distance of a thing's centre from the frame, in its radii; below 1 the frame
            may cut it.
        dusk: Share of its brightness that the ground keeps, distractors with it; at 1 the ground
            is as bright as the objects.
        ground: How far the background moves towards its second colour, 0 to 1.
        spread: Greatest shift of an object's colour off the palette, either way.
        tone: Greatest grey levels by which the two halves of a thing differ from its colour.
        period: Least and greatest period of textures, as a share of the shorter side.
        contrast: Amplitude of textures on the third of an object that shows them best.
        clouds: Standard deviation of smooth noise.
        grain: Standard deviation of band-pass noise.
        light: Greatest share by which the light differs between middle and edge.
        noise: Standard deviation of the sensor's noise.
        augmentation: What keeps the classes of these scenes, see `scene.datasets.augment`.
    """

    version: int
    classes: tuple[str, ...]
    decoys: tuple[str, ...]
    textures: tuple[str, ...]
    telling: bool
    palette: tuple[Colour, ...]
    colours: int
    camouflage: bool
    objects: tuple[float, ...]
    distractors: int
    radius: tuple[float, float]
    turn: float
    apart: float
    edge: float
    dusk: float
    ground: float
    spread: float
    tone: float
    period: tuple[float, float]
    contrast: float
    clouds: float
    grain: float
    light: float
    noise: float
    augmentation: str


_VIVID: tuple[Colour, ...] = (
    (206, 84, 72), (232, 150, 70), (226, 204, 104), (104, 166, 92),
    (76, 152, 166), (70, 104, 178), (144, 92, 164), (216, 212, 204),
)  # fmt: skip
_MUTED: tuple[Colour, ...] = (
    (176, 120, 96), (120, 150, 104), (104, 124, 168), (188, 168, 112),
    (150, 112, 150), (112, 156, 156), (140, 140, 140), (168, 144, 128),
)  # fmt: skip
_SEVEN = ("circle", "square", "triangle", "ellipse", "cross", "diamond", "star")

PRESETS: dict[str, Difficulty] = {
    "default": Difficulty(
        version=1,
        classes=("circle", "square", "triangle", "cross", "star", "ring"),
        decoys=("bar",),
        textures=("plain", "across", "checks", "rings"),
        telling=False,
        palette=_VIVID,
        colours=6,
        camouflage=False,
        objects=(0.75, 0.2, 0.05),
        distractors=1,
        radius=(0.28, 0.37),
        turn=0.35,
        apart=0.75,
        edge=1.15,
        dusk=0.45,
        ground=0.2,
        spread=12.0,
        tone=6.0,
        period=(0.14, 0.25),
        contrast=14.0,
        clouds=6.0,
        grain=4.0,
        light=0.1,
        noise=4.0,
        augmentation="flip",
    ),
    "confounded": Difficulty(
        version=1,
        classes=_SEVEN,
        decoys=_SEVEN,
        textures=("across", "along", "diagonal", "checks", "dots", "rings", "weave"),
        telling=True,
        palette=_MUTED,
        colours=3,
        camouflage=True,
        objects=(0.6, 0.35, 0.05),
        distractors=2,
        radius=(0.19, 0.30),
        turn=0.5,
        apart=0.85,
        edge=0.85,
        dusk=1.0,
        ground=1.0,
        spread=30.0,
        tone=12.0,
        period=(4 / 64, 7 / 64),
        contrast=26.0,
        clouds=8.0,
        grain=16.0,
        light=0.2,
        noise=5.0,
        augmentation="none",
    ),
}
"""Frozen: a preset that must change gets a new version, and with it new scenes."""
