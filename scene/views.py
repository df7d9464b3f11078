"""The views of a scene: an image, the classes in it, its mask; and which of them were seen."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .labels import Labels

VIEWS = ("image", "classes", "mask")
"""Every view, in the order in which they are named, encoded and drawn."""


@dataclass(frozen=True)
class Schema:
    """What a model must know of a dataset: its labels and the size of its images.

    Args:
        labels: The vocabulary of masks and class vectors.
        size: Height and width in pixels.
    """

    labels: Labels
    size: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """One scene as a dataset gives it; a view that is not known is None.

    Args:
        image: ``(3, H, W)`` uint8.
        classes: ``(C,)`` float, 1 where the class is present.
        mask: ``(H, W)`` uint8 label ids, 255 = void.
        name: What to call the scene in messages.
        weak: Its views that are pseudo-labels: made by a model, not by a person.
        weights: What learning multiplies the log likelihood of a view by; 1 where not named.
    """

    image: Tensor | None = None
    classes: Tensor | None = None
    mask: Tensor | None = None
    name: str = ""
    weak: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)


class Views:
    """A batch of B scenes: a tensor per view, and for each scene whether that view was seen.

    ``views["image"]`` is ``(B, 3, H, W)`` float in [0, 1], ``views["classes"]`` ``(B, C)`` float
    in {0, 1}, ``views["mask"]`` ``(B, H, W)`` int64 with 255 = void. ``views.present[name]`` is
    ``(B,)`` bool; where it is False the row is a placeholder that no network should meet.
    ``views.weights[name]`` is ``(B,)`` float: what learning multiplies the view's log likelihood
    by, scene by scene. Models and guides do not look at it.

    Args:
        tensors: The views held, each with B as its first dimension.
        present: Which scenes have the view, ``(B,)``; all of them where a name is left out.
        weights: What each scene's view counts, ``(B,)``; 1 where a name is left out.

    Raises:
        ValueError: If the views, or what is said of them, disagree on B, or there are none.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        present: dict[str, Tensor] | None = None,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        self._tensors = dict(tensors)
        self.present = {
            name: (present or {}).get(name, torch.ones(len(t), dtype=torch.bool, device=t.device))
            for name, t in tensors.items()
        }
        self.weights = {
            name: (weights or {}).get(name, torch.ones(len(t), device=t.device))
            for name, t in tensors.items()
        }
        counts = {name: len(t) for name, t in tensors.items()}
        said = [len(of[name]) for name in tensors for of in (self.present, self.weights)]
        if len({*counts.values(), *said}) != 1:
            raise ValueError(
                f"The views of a batch hold equally many scenes, not {counts}, and say of each "
                "whether it is present and what it counts."
            )
        self._memory: dict[Any, Any] | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def items(self) -> Iterable[tuple[str, Tensor]]:
        """Pairs of a view's name and its tensor."""
        return self._tensors.items()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the views held."""
        return tuple(self._tensors)

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return next(iter(self._tensors.values())).device

    def only(self, names: Iterable[str]) -> Views:
        """Keep just the views named, for all B scenes."""
        kept = tuple(names)
        tensors, present, weights = (
            {n: of[n] for n in kept} for of in (self._tensors, self.present, self.weights)
        )
        found = Views(tensors, present, weights)
        found._memory = self._memory
        return found

    def remembering(self) -> Views:
        """Give the same batch with an empty memory for `recall`, shared by what `only` keeps.

        Scenes that `rows` keeps remember for themselves, however often they are kept. A memory is
        for as long as no network changes: within one step of training, say.
        """
        found = self.only(self.names)
        found._memory = {}
        return found

    def recall(self, name: str, reader: Hashable, read: Callable[[], Any]) -> Any:
        """Give what was read of a view before, if this batch remembers; else read it.

        Args:
            name: The view.
            reader: Who reads it; another reader may find something else.
            read: Called to read it.
        """
        if self._memory is None:
            return read()
        key = name, reader, torch.is_grad_enabled()
        if key not in self._memory:
            self._memory[key] = read()
        return self._memory[key]

    def having(self, names: Iterable[str]) -> Tensor:
        """Say which scenes have every view named: ``(B,)`` bool."""
        every = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for name in names:
            every = every & self.present[name] if name in self else torch.zeros_like(every)
        return every

    def rows(self, index: Tensor) -> Views:
        """Keep just the scenes of ``index``: ``(B,)`` bool or ``(N,)`` int64."""
        if index.dtype == torch.bool and bool(index.all()):
            return self
        if self._memory is None:
            return self._each(lambda t: t[index])
        key = self.names, index.dtype, tuple(index.tolist())
        if key not in self._memory:
            self._memory[key] = self._each(lambda t: t[index]).remembering()
        part: Views = self._memory[key]
        return part

    def to(self, device: torch.device | str) -> Views:
        """Move every tensor to ``device``; what comes back to the CPU has arrived."""
        ahead = torch.device(device).type == "cuda"  # the other way one could read it too early
        return self._each(lambda t: t.to(device, non_blocking=ahead))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Views:
        """Change every tensor, and what is said of it."""
        tensors, present, weights = (
            {n: change(t) for n, t in of.items()}
            for of in (self._tensors, self.present, self.weights)
        )
        return Views(tensors, present, weights)


def stack(scenes: Sequence[Scene], schema: Schema) -> Views:
    """Gather scenes into a batch, with placeholders where a view is not known.

    Args:
        scenes: B scenes, all of the schema's size.
        schema: Gives placeholders their shapes.

    Returns:
        A batch of B; every view is held, ``present`` says where it is real, ``weights`` what it
        counts.
    """
    height, width = schema.size
    blanks = {
        "image": torch.zeros(3, height, width, dtype=torch.uint8),
        "classes": torch.zeros(len(schema.labels.classes)),
        "mask": torch.zeros(height, width, dtype=torch.uint8),
    }
    tensors, present, weights = {}, {}, {}
    for name, blank in blanks.items():
        found = [getattr(scene, name) for scene in scenes]
        tensors[name] = torch.stack([blank if view is None else view for view in found])
        present[name] = torch.tensor([view is not None for view in found])
        weights[name] = torch.tensor([scene.weights.get(name, 1.0) for scene in scenes])
    return batch(tensors["image"], tensors["classes"], tensors["mask"], present, weights)


def batch(
    images: Tensor,
    classes: Tensor,
    masks: Tensor,
    present: dict[str, Tensor] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> Views:
    """Turn stored bytes into what networks read.

    Args:
        images: ``(B, 3, H, W)`` uint8.
        classes: ``(B, C)``.
        masks: ``(B, H, W)`` uint8.
        present: As in `Views`.
        weights: As in `Views`.
    """
    tensors = {"image": images.float() / 255, "classes": classes.float(), "mask": masks.long()}
    return Views(tensors, present, weights)
