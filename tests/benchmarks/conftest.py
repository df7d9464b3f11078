"""How two ways of doing one thing are timed side by side, by hand: `pytest tests/benchmarks`."""

import hashlib
import os
import statistics
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from inference.crf.exact import Exact
from inference.crf.tiles import BOUND

WARM_UP, PAIRS = 5, 40


@dataclass(frozen=True)
class Comparison:
    """Milliseconds a call of each, and the median over pairs of first / second."""

    first: float
    second: float
    ratio: float
    spread: float

    def __str__(self):
        times = f"{self.first:.1f} ms against {self.second:.1f} ms"
        return f"{times}, ratio {self.ratio:.3f} (quartiles ± {self.spread:.3f})"


@pytest.fixture
def paired():
    """Give a function that times two others, A B B A A B …, so that drift hits both alike.

    It counts the processor time of one thread, which other programs change less than the clock.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield _paired
    torch.set_num_threads(threads)


@pytest.fixture
def exact_marginals(request):
    """Give a function that runs exact mean field; the cache of pytest keeps what took minutes."""
    folder = request.config.cache.mkdir("crf-exact-marginals")

    def run(field, iterations):
        kernels = [sorted(vars(kernel).items(), key=str) for kernel in field.kernels]
        key = hashlib.sha256(f"{BOUND} {iterations} {kernels}".encode())
        key.update(field.logits.numpy().tobytes() + field.image.numpy().tobytes())
        file = folder / f"{key.hexdigest()[:24]}.npy"
        if not file.is_file():
            partial = file.with_suffix(f".{os.getpid()}.npy")
            np.save(partial, Exact().marginals(field, iterations).numpy())
            partial.replace(file)
        return torch.from_numpy(np.load(file))

    return run


@pytest.fixture
def say(request, capsys):
    """Give a function that prints a line, whether or not output is captured."""

    def line(text):
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}")

    return line


def _paired(first, second, pairs=PAIRS):
    for _ in range(WARM_UP):
        first(), second()
    times = []
    for i in range(pairs):
        if i % 2:
            times.append((_time(first), _time(second)))
        else:
            late = _time(second)
            times.append((_time(first), late))
    ratios = sorted(a / b for a, b in times)
    low, _, high = statistics.quantiles(ratios, n=4)
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    return Comparison(a, b, statistics.median(ratios), (high - low) / 2)


def _time(call):
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)
