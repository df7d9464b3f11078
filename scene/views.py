"""The views of a scene: an image, a class vector and a mask; batches of scenes with views."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .labels import Labels

VIEWS = ("image", "classes", "mask")
"""The names of all views, in their order everywhere."""


@dataclass(frozen=True)
class Schema:
    """The labels and the image size of a dataset, which a model is made for.

    Args:
        labels: The vocabulary of masks and class vectors.
        size: Height and width in pixels.
    """

    labels: Labels
    size: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """One scene of a dataset; a view that is not known is None.

    Args:
        image: ``(3, H, W)`` uint8.
        classes: ``(C,)`` float, 1 where the class is present.
        mask: ``(H, W)`` uint8 label ids, 255 = void.
        name: Its name in messages.
        weak: Its views that are pseudo-labels, predicted by a model.
        likelihood_weights: Factor of each view's log likelihood in training; 1 for a view that is
            not in it.
        mirrored: Whether augmentation mirrored it.
    """

    image: Tensor | None = None
    classes: Tensor | None = None
    mask: Tensor | None = None
    name: str = ""
    weak: tuple[str, ...] = ()
    likelihood_weights: Mapping[str, float] = field(default_factory=dict)
    mirrored: bool = False


class Views:
    """A batch of B scenes: a tensor for each view, and for each scene whether it has the view.

    ``views["image"]`` is ``(B, 3, H, W)`` float in [0, 1], ``views["classes"]`` ``(B, C)`` float
    in {0, 1}, ``views["mask"]`` ``(B, H, W)`` int64 with 255 = void. ``views.present[name]`` is
    ``(B,)`` bool; where it is False the row is a placeholder that no network may read.
    ``views.likelihood_weights[name]`` is ``(B,)`` float: the factor of the view's log likelihood
    in training, for each scene. Models and guides do not use it.

    Args:
        tensors: The views held, each with B as its first dimension.
        present: Which scenes have the view, ``(B,)``; for a name that is not in it, all.
        likelihood_weights: Factors ``(B,)``; for a name that is not in it, 1.

    Raises:
        ValueError: If there are no views, or first dimensions differ.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        present: dict[str, Tensor] | None = None,
        likelihood_weights: dict[str, Tensor] | None = None,
    ) -> None:
        self._tensors = dict(tensors)
        self.present = {
            name: (present or {}).get(name, torch.ones(len(t), dtype=torch.bool, device=t.device))
            for name, t in tensors.items()
        }
        self.likelihood_weights = {
            name: (likelihood_weights or {}).get(name, torch.ones(len(t), device=t.device))
            for name, t in tensors.items()
        }
        counts = {name: len(t) for name, t in tensors.items()}
        others = [
            len(of[name]) for name in tensors for of in (self.present, self.likelihood_weights)
        ]
        if len({*counts.values(), *others}) != 1:
            raise ValueError(
                f"The views of a batch have the same number of scenes, not {counts}, and "
                "an entry of present and of likelihood_weights for each."
            )
        self._cache: dict[Any, Any] | None = None

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(next(iter(self._tensors.values())))

    def items(self) -> Iterable[tuple[str, Tensor]]:
        """Return pairs of a view's name and tensor."""
        return self._tensors.items()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the views held."""
        return tuple(self._tensors)

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return next(iter(self._tensors.values())).device

    def only(self, names: Iterable[str]) -> Views:
        """Return only the views named, of all B scenes."""
        kept_names = tuple(names)
        tensors, present, likelihood_weights = (
            {n: of[n] for n in kept_names}
            for of in (self._tensors, self.present, self.likelihood_weights)
        )
        batch = Views(tensors, present, likelihood_weights)
        batch._cache = self._cache
        return batch

    def with_cache(self) -> Views:
        """Return the same batch with an empty cache for `recall`, shared by batches of `only`.

        A batch of `rows` has a cache of its own, the same for the same rows. A cache is valid
        while no network changes, such as within one training step.
        """
        batch = self.only(self.names)
        batch._cache = {}
        return batch

    def recall(self, name: str, reader: Hashable, read: Callable[[], Any]) -> Any:
        """Return the cached result of an encoder for a view, or compute it.

        Args:
            name: The view.
            reader: The encoder, part of the key of the cache.
            read: Computes the result.
        """
        if self._cache is None:
            return read()
        key = name, reader, torch.is_grad_enabled()
        if key not in self._cache:
            self._cache[key] = read()
        return self._cache[key]

    def having(self, names: Iterable[str]) -> Tensor:
        """Return which scenes have every view named: ``(B,)`` bool."""
        every = torch.ones(len(self), dtype=torch.bool, device=self.device)
        for name in names:
            every = every & self.present[name] if name in self else torch.zeros_like(every)
        return every

    def rows(self, index: Tensor) -> Views:
        """Return only the scenes of ``index``: ``(B,)`` bool or ``(N,)`` int64."""
        if index.dtype == torch.bool and bool(index.all()):
            return self
        if self._cache is None:
            return self._each(lambda t: t[index])
        key = self.names, index.dtype, tuple(index.tolist())
        if key not in self._cache:
            self._cache[key] = self._each(lambda t: t[index]).with_cache()
        part: Views = self._cache[key]
        return part

    def to(self, device: torch.device | str) -> Views:
        """Return the batch on ``device``; a copy to the CPU is complete when this returns."""
        ahead = (
            torch.device(device).type == "cuda"
        )  # a copy to the CPU could be read before it is complete
        return self._each(lambda t: t.to(device, non_blocking=ahead))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Views:
        """Return the batch with every tensor changed, those of presence and weights, too."""
        tensors, present, likelihood_weights = (
            {n: change(t) for n, t in of.items()}
            for of in (self._tensors, self.present, self.likelihood_weights)
        )
        return Views(tensors, present, likelihood_weights)


def stack(scenes: Sequence[Scene], schema: Schema) -> Views:
    """Stack scenes into a batch, with placeholders where a view is not known.

    Args:
        scenes: B scenes, all of the schema's size.
        schema: Gives placeholders their shapes.

    Returns:
        A batch of B that holds every view; ``present`` is False for placeholders.
    """
    height, width = schema.size
    blanks = {
        "image": torch.zeros(3, height, width, dtype=torch.uint8),
        "classes": torch.zeros(len(schema.labels.classes)),
        "mask": torch.zeros(height, width, dtype=torch.uint8),
    }
    tensors, present, likelihood_weights = {}, {}, {}
    for name, blank in blanks.items():
        some = [getattr(scene, name) for scene in scenes]
        tensors[name] = torch.stack([blank if view is None else view for view in some])
        present[name] = torch.tensor([view is not None for view in some])
        likelihood_weights[name] = torch.tensor(
            [scene.likelihood_weights.get(name, 1.0) for scene in scenes]
        )
    return batch(
        tensors["image"], tensors["classes"], tensors["mask"], present, likelihood_weights
    )


def batch(
    images: Tensor,
    classes: Tensor,
    masks: Tensor,
    present: dict[str, Tensor] | None = None,
    likelihood_weights: dict[str, Tensor] | None = None,
) -> Views:
    """Return stored bytes as a batch for networks.

    Args:
        images: ``(B, 3, H, W)`` uint8.
        classes: ``(B, C)``.
        masks: ``(B, H, W)`` uint8.
        present: As in `Views`.
        likelihood_weights: As in `Views`.
    """
    tensors = {"image": images.float() / 255, "classes": classes.float(), "mask": masks.long()}
    return Views(tensors, present, likelihood_weights)
