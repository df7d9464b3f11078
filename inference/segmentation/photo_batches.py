"""Segmentation of many photographs: networks in batches, the CRF and files in several threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from scene.images.io import picture_size, read_image
from scene.storage.files import sweep

from .photos import Done, Failed, PhotoTask, sentence
from .segmentation import Segmentation, write

BATCH = 4
"""Photographs that a network reads at once, at most."""

HELD = 64_000_000
"""Pixels of the photographs that are held at once, at most, unless a single one has more."""

_READING = threading.Lock()
"""Held while a photograph is read: Pillow's warnings are caught for all threads at once."""


class SegmentsPhotos(Protocol):
    """What segments photographs: a run's stage, or a classifier of ImageNet."""

    def segment(self, image: Tensor, known: Tensor | None = None) -> Segmentation:
        """Segment a photograph, ``(3, H, W)`` uint8."""

    def prepare(self, images: Sequence[Tensor]) -> list[Callable[[], Segmentation]]:
        """Run the network on several photographs; return a call for each, which does the rest."""


def segment_files(
    segmenter: SegmentsPhotos, tasks: Iterable[PhotoTask], opacity: float = 0.5
) -> Iterator[Done | Failed]:
    """Segment photographs and write their files; one that fails stops no other.

    Each thread takes a batch of photographs: the network reads all of it, then the CRF and the
    files of one photograph follow those of another. There are as many threads as torch uses,
    and every computation within is on one. Masks are those of `SegmentsPhotos.segment`, but for
    rounding. If the iterator is closed, or interrupted, photographs that have begun are finished,
    and no other begins.

    Args:
        segmenter: The segmenter.
        tasks: From `inference.segmentation.photos.outputs_of`.
        opacity: Opacity of overlays, 0 to 1.

    Yields:
        What came of each photograph, in order.
    """
    tasks = list(tasks)
    for folder in {path.parent for task in tasks for path in task.files.values()}:
        sweep(folder, below=False)
    work = _Work(segmenter, opacity)
    yield from work.batch(tasks[:1])  # on all threads; code is compiled, and libraries are loaded
    threads = torch.get_num_threads()
    batches = _batches(tasks[1:], min(BATCH, -(-(len(tasks) - 1) // threads)))
    if threads == 1 or len(tasks) < 3:
        for batch in batches:
            yield from work.batch(batch.tasks)
        return
    with _single_threads(threads) as executor:
        try:
            yield from _in_order(executor, work, batches, threads + 1)
        finally:
            work.stopped.set()


class _Batch(NamedTuple):
    tasks: list[PhotoTask]
    pixels: int


def _batches(tasks: Sequence[PhotoTask], count: int) -> Iterator[_Batch]:
    """Yield photographs in batches, large ones in smaller batches."""
    some, pixels = list[PhotoTask](), 0
    for task in tasks:
        size = _pixels(task)
        if some and (len(some) == count or pixels + size > HELD // 16):
            yield _Batch(some, pixels)
            some, pixels = [], 0
        some.append(task)
        pixels += size
    if some:
        yield _Batch(some, pixels)


def _pixels(task: PhotoTask) -> int:
    """Return the number of pixels of a photograph; 0 if it cannot be read, which is said later."""
    try:
        with _READING:
            height, width = picture_size(task.photo)
    except (OSError, ValueError):
        return 0
    return height * width


def _in_order(
    executor: ThreadPoolExecutor, work: _Work, batches: Iterable[_Batch], most: int
) -> Iterator[Done | Failed]:
    """Yield the results of batches in order; at most so many batches are held at once."""
    running: deque[tuple[Future[list[Done | Failed]], int]] = deque()
    pixels = 0
    for batch in batches:
        while running and (len(running) == most or pixels + batch.pixels > HELD):
            pixels -= running[0][1]
            yield from _results(running.popleft()[0])
        running.append((executor.submit(work.batch, batch.tasks), batch.pixels))
        pixels += batch.pixels
    while running:
        yield from _results(running.popleft()[0])


def _results(batch: Future[list[Done | Failed]]) -> Iterator[Done | Failed]:
    """Yield the results of a batch; none is held when it has been yielded."""
    results = batch.result()[::-1]
    del batch
    while results:
        yield results.pop()


class _Work:
    """What a thread does with a batch."""

    def __init__(self, segmenter: SegmentsPhotos, opacity: float) -> None:
        self.segmenter, self.opacity = segmenter, opacity
        self.stopped = threading.Event()

    def batch(self, tasks: Sequence[PhotoTask]) -> list[Done | Failed]:
        """Segment photographs; after `stopped` is set, none begins."""
        read = [self._read(task) for task in tasks]
        images = [image for image in read if isinstance(image, Tensor)]
        calls = iter(self._prepared(images))
        results: list[Done | Failed] = []
        for task, image in zip(tasks, read, strict=True):
            if self.stopped.is_set():
                break
            results.append(
                image if isinstance(image, Failed) else self._finished(task, next(calls))
            )
        return results

    def _read(self, task: PhotoTask) -> Tensor | Failed:
        try:
            with _READING:
                return read_image(task.photo)
        except (OSError, ValueError) as error:
            return Failed(str(task.photo), sentence(error))

    def _prepared(self, images: Sequence[Tensor]) -> list[Callable[[], Segmentation]]:
        """Run the network; if it refuses one photograph, each is segmented by itself."""
        if not images or self.stopped.is_set():
            return []
        try:
            return self.segmenter.prepare(images)
        except (OSError, ValueError):
            return [partial(self.segmenter.segment, image) for image in images]

    def _finished(self, task: PhotoTask, call: Callable[[], Segmentation]) -> Done | Failed:
        try:
            segmentation = call()
            for kind, path in task.files.items():
                write(kind, path, segmentation, self.opacity)
        except (OSError, ValueError) as error:
            return Failed(str(task.photo), sentence(error))
        return Done(task, segmentation)


@contextmanager
def _single_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Start threads in each of which torch and the CRF use that one thread."""
    executor = ThreadPoolExecutor(count, "segment", torch.set_num_threads, (1,))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
        torch.set_num_threads(count)  # of threads that start later; this one's has not changed
