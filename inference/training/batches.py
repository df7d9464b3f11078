"""Training batches: which scenes a step sees, as a pure function of the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from scene.datasets.augment import augmenter
from scene.datasets.base import SceneDataset
from scene.views import Views

from ..process_pool import outlived_by_none

Draw = tuple[int, int]
"""A scene's index, and the seed that varies it."""


class Order(Sampler[list[Draw]]):
    """The scenes of each step: epoch after epoch, each a fresh permutation, without a seam.

    Because step n depends on nothing but the seed and n, training can resume at any step.

    Args:
        scenes: Number of scenes.
        batch_size: Scenes a step.
        seed: Seed of the permutations and of augmentation.
        start: First step.
        stop: One past the last step.

    >>> [[index for index, _ in step] for step in Order(3, 2, 0, 0, 3)] == [
    ...     [index for index, _ in step] for step in (*Order(3, 2, 0, 0, 2), *Order(3, 2, 0, 2, 3))
    ... ]
    True
    """

    def __init__(self, scenes: int, batch_size: int, seed: int, start: int, stop: int) -> None:
        self.scenes, self.batch_size, self.seed = scenes, batch_size, seed
        self.start, self.stop = start, stop
        self._epoch, self._order = -1, torch.empty(0)

    def __len__(self) -> int:
        return max(0, self.stop - self.start)

    def __iter__(self) -> Iterator[list[Draw]]:
        for step in range(self.start, self.stop):
            first = step * self.batch_size
            yield [self._draw(position) for position in range(first, first + self.batch_size)]

    def _draw(self, position: int) -> Draw:
        epoch, place = divmod(position, self.scenes)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(_mixed("epoch", self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.scenes, generator=generator)
        return int(self._order[place]), _mixed("scene", self.seed, position)


class Varied(Dataset[Views | Exception]):
    """A dataset that returns whole batches of draws, each augmented by its seed.

    Args:
        dataset: The scenes.
        augmentation: A name that `scene.datasets.augment.augmenter` knows.
    """

    def __init__(self, dataset: SceneDataset, augmentation: str) -> None:
        self.dataset = dataset
        self.plain = augmentation == "none"
        self.vary = augmenter(augmentation, dataset.schema.labels)

    def __getitem__(self, draws: list[Draw]) -> Views | Exception:
        """Return the scenes of a batch, or in a worker the error to raise in the main process."""
        try:
            if self.plain:
                return self.dataset.views([index for index, _ in draws])
            scenes = [self.vary(self.dataset[index], seed) for index, seed in draws]
            return self.dataset.augmented_views(scenes, [index for index, _ in draws])
        except (KeyError, IndexError):  # a mistake of ours, though a LookupError
            raise
        except (LookupError, ValueError, OSError) as refusal:
            if get_worker_info() is None:
                raise
            return refusal  # torch would raise it with a traceback for its sentence


class Batches:
    """The batches of some steps, in order; what a worker process refuses is refused here.

    Args:
        loader: Gives batches, and exceptions of its workers as values.
    """

    def __init__(self, loader: DataLoader[Views | Exception]) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Views]:
        steps = iter(self._loader)
        while True:
            try:
                batch = next(steps, None)
            except RuntimeError as error:
                if "exited unexpectedly" not in str(error) and "killed by" not in str(error):
                    raise
                raise ChildProcessError(
                    "A data-loading process stopped unexpectedly, perhaps out of memory; use "
                    "fewer --workers or a smaller --batch-size."
                ) from error
            if batch is None:
                return
            if isinstance(batch, Exception):
                raise batch
            yield batch


def batches(
    dataset: SceneDataset,
    batch_size: int,
    seed: int,
    steps: range,
    augmentation: str = "none",
    workers: int = 0,
) -> Batches:
    """Return the batch of each step of ``steps``, in order.

    Args:
        dataset: Where scenes come from.
        batch_size: Scenes a step.
        seed: Seed of order and augmentation.
        steps: Consecutive steps.
        augmentation: The augmentation of the scenes.
        workers: Processes that load them; 0 = this one.

    Raises:
        ValueError: If there are no scenes.
    """
    if not len(dataset):
        raise ValueError(f"The split {dataset.split!r} of {dataset.name} is empty.")
    order = Order(len(dataset), batch_size, seed, steps.start, steps.stop)
    loader = DataLoader(
        Varied(dataset, augmentation),
        sampler=order,
        batch_size=None,
        num_workers=workers,
        collate_fn=cast(Any, _as_it_is),
        worker_init_fn=_begin,
        persistent_workers=False,
        generator=torch.Generator(),  # or starting would draw from the global one
    )
    return Batches(loader)


def _mixed(what: str, seed: int, number: int) -> int:
    """Hash a seed and a number into one seed: torch reads the low 32 bits of a seed only."""
    digest = blake2b(f"{what} {seed} {number}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little")


def _begin(worker: int) -> None:
    outlived_by_none()


def _as_it_is(batch: Views | Exception) -> Views | Exception:
    return batch
