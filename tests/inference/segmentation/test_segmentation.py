import pytest
import torch
import torch.nn.functional as F

from inference.segmentation import segmentation
from inference.segmentation.segmentation import Segmentation
from scene.labels import Labels

PETS = Labels(("background", "cat", "dog"))


def believed(rows, columns, labels=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(labels, rows, columns, generator=draw)).softmax(0)


@pytest.mark.parametrize("size", [(23, 31), (5, 7), (40, 7), (5, 60), (1, 1)])
def test_bands_are_what_interpolating_the_whole_gives(monkeypatch, size):
    """However few rows are worked out at once."""
    grid = believed(5, 7) if size != (1, 1) else believed(1, 1)
    whole = F.interpolate(grid[None], size, mode="bilinear", align_corners=False)[0]
    for band in (1, 400, 2**24):
        monkeypatch.setattr(segmentation, "BAND", band)
        result = Segmentation(grid, size, PETS)
        torch.testing.assert_close(result.probs, whole)
        assert result.mask.equal(whole.argmax(0).to(torch.uint8))
        torch.testing.assert_close(result.confidence, whole.amax(0))


def test_entropy_runs_from_sure_to_undecided():
    grid = torch.tensor([[1.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.0]])[:, None]
    result = Segmentation(grid, (1, 3), PETS).entropy
    torch.testing.assert_close(result, torch.tensor([[0.0, 1.0, 0.6309]]), atol=1e-4, rtol=0)


def test_shares_are_of_pixels_and_leave_out_who_is_not_there(monkeypatch):
    monkeypatch.setattr(segmentation, "BAND", 2)
    grid = torch.tensor([[0.6, 0.1, 0.2, 0.1], [0.1, 0.0, 0.1, 0.0], [0.3, 0.9, 0.7, 0.9]])
    result = Segmentation(grid.view(3, 2, 2), (2, 2), PETS)
    assert [(s.name, s.id, s.pixels) for s in result.shares] == [
        ("dog", 2, 0.75), ("background", 0, 0.25),
    ]  # fmt: skip
    assert result.shares[0].confidence == pytest.approx((0.9 + 0.7 + 0.9) / 3)
    assert result.to_json()["confidence"] == pytest.approx(result.confidence.mean().item())
