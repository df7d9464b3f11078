import pytest
import torch

from inference.objectives.telbo import deal
from scene.views import VIEWS, Views

SETS = (VIEWS, ("image", "classes"), ("mask",))


@pytest.mark.parametrize("lacking", [(), (1, 4)], ids=["whole", "partly labelled"])
def test_every_scene_draws_one_of_the_terms_it_has_the_views_for(views, lacking):
    masked = torch.ones(6, dtype=torch.bool)
    masked[list(lacking)] = False
    batch = Views(dict(views.items()), {"mask": masked})
    for seed in range(20):
        torch.manual_seed(seed)
        shares = deal(batch, SETS)
        rows = torch.cat([share.rows for share in shares])
        assert sorted(rows.tolist()) == list(range(6))
        for inputs, share in zip(SETS, shares, strict=True):
            assert batch.having(inputs)[share.rows].all()
            assert share.counts.tolist() == [3.0 if masked[row] else 1.0 for row in share.rows]
        whole = [int(masked[share.rows].sum()) for share in shares]
        assert max(whole) - min(whole) <= 1


def test_a_scene_without_any_of_the_sets_is_in_no_share(views):
    blind = Views(dict(views.items()), {"image": torch.arange(6) < 4})
    shares = deal(blind, (("image",), ("image", "mask")))
    assert sorted(torch.cat([share.rows for share in shares]).tolist()) == [0, 1, 2, 3]
