"""Seeds: the same one draws the same, and nothing else is touched."""

import pytest
import torch

from scene.seeds import seeded


def test_a_seed_draws_what_it_draws_everywhere():
    torch.manual_seed(5)
    expected = torch.randn(4)
    torch.manual_seed(77)
    with seeded(5):
        assert torch.randn(4).equal(expected)


def test_the_random_state_is_put_back_even_after_an_error():
    before = torch.get_rng_state()
    with seeded(1):
        torch.rand(3)
    with pytest.raises(ZeroDivisionError), seeded(1):
        raise ZeroDivisionError
    assert torch.get_rng_state().equal(before)


def test_a_device_that_is_not_asked_for_is_not_woken(monkeypatch):
    monkeypatch.setattr("torch.cuda.init", lambda: pytest.fail("woken"))
    monkeypatch.setattr("torch.cuda.manual_seed_all", lambda seed: pytest.fail("seeded"))
    with seeded(1, "cpu"):
        torch.rand(3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_from_the_seed_too_and_is_put_back():
    before = torch.cuda.get_rng_state()
    torch.manual_seed(5)
    expected = torch.rand(3, device="cuda")
    torch.cuda.set_rng_state(before)
    with seeded(5, "cuda"):
        assert torch.rand(3, device="cuda").equal(expected)
    assert torch.cuda.get_rng_state().equal(before)
