"""The difficulty of synthetic scenes: its parameters, and named presets."""

from __future__ import annotations

from dataclasses import dataclass

from ...labels import Colour


@dataclass(frozen=True)
class Difficulty:
    """The parameters of a preset. Grey levels are of 255.

    Args:
        version: Part of every seed; it rises whenever the preset gives other scenes.
        classes: Shapes that are classes, in the order of their label ids from 1.
        decoys: Shapes of distractors, which have no class.
        textures: Textures of objects.
        class_textures: Whether class k always has texture k, so that a class is a shape with a
            texture; else an object has any texture.
        palette: Colours of objects, distractors and background.
        colours: Number of palette colours in a scene.
        camouflage: Whether objects may have the colours of the background.
        objects: Probabilities of 1, 2, … objects in a scene.
        distractors: Largest number of distractors in a scene; 0 to this are equally likely.
        radius: Smallest and largest radius of an object, as a share of the shorter side.
        turn: Largest rotation in either direction, in radians.
        apart: Desired distance of two objects' centres, in sums of their radii; below about 0.9
            they can occlude each other.
        edge: Smallest distance of an object's centre from the image border, in its radii; below 1
            the border may cut it.
        dusk: Brightness of the ground and of distractors, as a share of that of objects.
        ground: Share of the second colour in the background, 0 to 1.
        colour_jitter: Largest shift of an object's colour from the palette, in grey levels.
        tone: Largest difference of an object's two halves from its colour, in grey levels.
        period: Smallest and largest period of textures, as a share of the shorter side.
        contrast: Amplitude of textures, in grey levels, on the third of an object where they are
            strongest.
        clouds: Standard deviation of smooth noise, in grey levels.
        grain: Standard deviation of band-pass noise, in grey levels.
        light: Largest relative difference of light between the middle and an edge.
        noise: Standard deviation of sensor noise, in grey levels.
        augmentation: The augmentation that keeps classes, see `scene.datasets.augment`.
    """

    version: int
    classes: tuple[str, ...]
    decoys: tuple[str, ...]
    textures: tuple[str, ...]
    class_textures: bool
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
    colour_jitter: float
    tone: float
    period: tuple[float, float]
    contrast: float
    clouds: float
    grain: float
    light: float
    noise: float
    augmentation: str


@dataclass(frozen=True)
class Cue:
    """A colour that an image shows, and what it says about the mask.

    Args:
        colour: RGB, each 0 to 255.
        halves: Of an object half behind a board of this colour: the probabilities of each of
            `scene.datasets.synthetic.layout.HALVES` as the hidden half.
        names: Of a rounded square of this colour: the probabilities that it is labelled as the
            first and as the second class.
    """

    colour: Colour
    halves: tuple[float, float, float]
    names: tuple[float, float]


@dataclass(frozen=True)
class Ambiguity(Difficulty):
    """The parameters of a preset whose images have several masks, of known probabilities.

    Args:
        hidden: Share of scenes in which a board hides one half of the object.
        disputed: Share of scenes with a rounded square, which has two labels. The other scenes
            have one mask.
        cues: Which probabilities go with which colour; the colours are equally likely.
    """

    hidden: float
    disputed: float
    cues: tuple[Cue, ...]


_VIVID: tuple[Colour, ...] = (
    (206, 84, 72), (232, 150, 70), (226, 204, 104), (104, 166, 92),
    (76, 152, 166), (70, 104, 178), (144, 92, 164), (216, 212, 204),
)  # fmt: skip
_MUTED: tuple[Colour, ...] = (
    (176, 120, 96), (120, 150, 104), (104, 124, 168), (188, 168, 112),
    (150, 112, 150), (112, 156, 156), (140, 140, 140), (168, 144, 128),
)  # fmt: skip
_SOME: tuple[Colour, ...] = (
    (206, 84, 72), (226, 204, 104), (104, 166, 92), (70, 104, 178), (216, 212, 204),
)  # fmt: skip
_SEVEN = ("circle", "square", "triangle", "ellipse", "cross", "diamond", "star")

PRESETS: dict[str, Difficulty] = {
    "default": Difficulty(
        version=1,
        classes=("circle", "square", "triangle", "cross", "star", "ring"),
        decoys=("bar",),
        textures=("plain", "across", "checks", "rings"),
        class_textures=False,
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
        colour_jitter=12.0,
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
        class_textures=True,
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
        colour_jitter=30.0,
        tone=12.0,
        period=(4 / 64, 7 / 64),
        contrast=26.0,
        clouds=8.0,
        grain=16.0,
        light=0.2,
        noise=5.0,
        augmentation="none",
    ),
    "ambiguous": Ambiguity(
        version=1,
        classes=("disc", "block", "rhombus", "arch", "drop", "house"),
        decoys=("bar",),
        textures=("plain", "across", "checks", "rings"),
        class_textures=False,
        palette=_SOME,
        colours=4,
        camouflage=False,
        objects=(1.0,),
        distractors=0,
        radius=(0.26, 0.33),
        turn=0.3,
        apart=0.75,
        edge=1.35,
        dusk=0.45,
        ground=0.2,
        colour_jitter=12.0,
        tone=6.0,
        period=(0.14, 0.25),
        contrast=14.0,
        clouds=6.0,
        grain=4.0,
        light=0.1,
        noise=4.0,
        augmentation="flip",
        hidden=0.6,
        disputed=0.2,
        cues=(
            Cue((236, 150, 60), halves=(0.5, 0.5, 0.0), names=(0.5, 0.5)),
            Cue((150, 84, 176), halves=(0.2, 0.0, 0.8), names=(0.8, 0.2)),
            Cue((64, 176, 190), halves=(0.1, 0.6, 0.3), names=(0.1, 0.9)),
        ),
    ),
}
"""Frozen: a preset that must change gets a new version, and with it new scenes."""
