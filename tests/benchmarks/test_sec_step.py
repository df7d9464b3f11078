"""What the CRF takes of a training step of SEC: clocked inside the very steps it is a part of."""

import statistics
import time

import pytest
import torch

from inference.devices import flush_denormals
from inference.objectives.sec import SEC, grid_kernels
from scene.discriminative import CoarseScene
from scene.labels import Labels
from scene.views import Schema, Views

SHARE = 0.25


class Clocked(SEC):
    """SEC that counts the processor time its CRF takes."""

    spent = 0.0

    def refined(self, logits, images):
        start = time.process_time()
        result = super().refined(logits, images)
        self.spent += time.process_time() - start
        return result


def batch(model, scenes):
    """Make scenes of smooth noise, with cues in a tenth of the cells."""
    draw = torch.Generator().manual_seed(0)
    labels = len(model.labels.names)
    coarse = torch.rand(scenes, 3, 12, 12, generator=draw)
    image = torch.nn.functional.interpolate(coarse, model.size, mode="bicubic").clamp(0, 1)
    classes = (torch.rand(scenes, labels - 1, generator=draw) < 0.1).float()
    cues = torch.rand(scenes, labels, *model.cells, generator=draw) < 0.1 / labels
    return Views({"image": image, "classes": classes, "cues": cues})


@pytest.mark.parametrize(
    ("net", "size", "labels", "scenes", "steps"),
    [("largefov", 321, 21, 15, 2), ("small", 64, 9, 16, 20)],
)
def test_the_crf_takes_a_quarter_of_a_step_or_less(net, size, labels, scenes, steps, say):
    """LargeFOV at 321×321: a batch of 15 on 41×41 cells of 21 labels. Takes some minutes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = ("background", *(f"class {i}" for i in range(1, labels)))
    model = CoarseScene(Schema(Labels(names), (size, size)), net)
    objective, views = Clocked(grid_kernels(model.cells)), batch(model, scenes)
    sgd = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    with torch.no_grad():
        objective.refined(torch.rand(1, labels, *model.cells), torch.rand(1, 3, *model.cells))
    shares, whole = [], []
    with flush_denormals():  # as training does
        for _ in range(steps):
            start, objective.spent = time.process_time(), 0.0
            sgd.zero_grad(set_to_none=True)
            objective.differentiable_loss(model, None, views).backward()
            sgd.step()
            whole.append(time.process_time() - start)
            shares.append(objective.spent / whole[-1])
    torch.set_num_threads(threads)
    share, step = statistics.median(shares), statistics.median(whole)
    say(f"CRF {share:.1%} of a step of {step:.2f} s ({net}, {scenes} scenes)")
    assert share <= SHARE
