"""A memory of feature maps: frozen stages need to read an image only once.

Training reads the same images again and again, and stages that do not learn give the same maps
each time. Within `remembering` they are computed once, one image at a time, so that they do not
depend on the batch, and kept as float16. What was not kept is rounded in the same way, so a
training that is cut short and resumed ends in the same weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

BYTES = 2**30
"""The most that is kept, in bytes; maps of further images are computed each time."""


class Memory:
    """Feature maps by the digests of networks and images.

    Args:
        limit: Bytes that are kept at most.
    """

    def __init__(self, limit: int = BYTES) -> None:
        self.limit, self.size = limit, 0
        self._maps: dict[bytes, Tensor] = {}

    @torch.no_grad()
    def maps(self, stages: nn.Module, inputs: Tensor) -> Tensor:
        """Return what stages make of images, rounded to float16.

        Args:
            stages: Stages in evaluation mode that do not learn.
            inputs: ``(B, 3, H, W)``, float32, on the CPU.

        Returns:
            ``(B, …)``, float32, such as maps ``(B, K, h, w)``.
        """
        network = _digest(stages)
        return torch.cat([self._one(stages, network, image[None]) for image in inputs]).float()

    def _one(self, stages: nn.Module, network: bytes, image: Tensor) -> Tensor:
        key = hashlib.blake2b(network, digest_size=16)
        key.update(repr(image.shape).encode())
        key.update(image.contiguous().numpy().data)
        kept = self._maps.get(key.digest())
        if kept is None:
            kept = stages(image).half()
            size = kept.numel() * kept.element_size()
            if self.size + size <= self.limit:
                self._maps[key.digest()] = kept
                self.size += size
        return kept


def _digest(stages: nn.Module) -> bytes:
    """Return a digest of weights, structure and arithmetic."""
    tensors = [*stages.parameters(), *stages.buffers()]
    state = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    known = vars(stages).get(_KNOWN)
    if known is None or known[0] != state:
        digest = hashlib.blake2b(repr(stages).encode(), digest_size=16)
        for tensor in tensors:
            digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        known = state, digest.digest()
        vars(stages)[_KNOWN] = known
    arithmetic = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
    return known[1] + repr(arithmetic).encode()


_KNOWN = "_digest_of_weights"
"""What stages keep their digest as, with the addresses and versions of the weights it is of."""

_active: list[Memory] = []


@contextmanager
def remembering(limit: int = BYTES) -> Iterator[Memory]:
    """Remember maps of frozen stages until the outermost of such contexts ends.

    Args:
        limit: Bytes that are kept at most; of the outermost context.
    """
    memory = _active[-1] if _active else Memory(limit)
    _active.append(memory)
    try:
        yield memory
    finally:
        _active.pop()


def remembered(stages: nn.Module | None, inputs: Tensor) -> Tensor | None:
    """Return what frozen stages make of images, if that is remembered at all.

    Args:
        stages: Stages that do not learn; None = there are none.
        inputs: ``(B, 3, H, W)``.

    Returns:
        ``(B, …)``, float32; None outside `remembering`, on a GPU, and where something learns.
    """
    if not _active or stages is None or inputs.device.type != "cpu" or inputs.requires_grad:
        return None
    learns = any(tensor.requires_grad for tensor in chain(stages.parameters(), stages.buffers()))
    return None if learns or stages.training else _active[-1].maps(stages, inputs)
