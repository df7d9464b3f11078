"""The model that ships with scene draws before any training, and says that it is not one's own."""

import warnings

import pytest

from inference import load
from inference.runs.places import DEMO


@pytest.fixture(autouse=True)
def _unnoticed(monkeypatch):
    """Begin as a process does that has given no notice."""
    monkeypatch.setattr("scene.notices._GIVEN", set())


def _listing():
    return {p.name: p.read_bytes() for p in sorted(DEMO.rglob("*")) if p.is_file()}


def test_it_is_small_and_holds_no_pickle():
    files = [path for path in DEMO.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    assert {path.suffix for path in files} == {".json", ".md", ".safetensors"}
    text = (DEMO / "README.md").read_text(encoding="utf-8")
    assert "scene train telbo" in text
    assert "generated scenes only" in text


@pytest.mark.filterwarnings("default::scene.notices.Notice")
def test_scenes_are_drawn_before_any_training(scene, place, tmp_path):
    before = _listing()
    result = scene("sample", "--from-mask", "-n", 1, "--device", "cpu")
    assert result.code == 0
    said = " ".join(result.err.split())
    assert (
        "No run here: using the demo model that ships with scene (telbo of synthetic:def" in said
    )
    assert "`scene train telbo` trains your own." in said
    picture = tmp_path / "runs" / "scene-demo" / "samples" / "from-mask-1.png"
    assert picture.is_file()
    assert _listing() == before


def test_it_has_a_name_everywhere(scene, place, tmp_path):
    words = ("--format", "torch.export", "--part", "encoder", "--given", "classes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = scene("export", "--run", "demo", *words)
    assert result.code == 0, result.err
    folder = tmp_path / "runs" / "scene-demo" / "export"
    assert (folder / "encoder-classes.pt2").is_file()
    assert "demo" in repr(load("demo", device="cpu"))


def test_a_folder_of_that_name_goes_before_it(place):
    (place / "demo").mkdir()
    with pytest.raises(LookupError, match="demo is not a run"):
        load("demo")


def test_it_stands_in_for_no_run_of_ones_own(refused, trained):
    """Neither where there is a run that cannot do it, nor to be scored."""
    assert "There is no complete run of any recipe in " in refused("evaluate")
    trained("cvae")
    assert "no complete run of a model that samples from classes in" in refused(
        "sample", "--from-classes", "ring"
    )
