"""Pictures of a run: what its model can do, and no more."""

import pytest
import torch

from inference.prediction.figures import draw_predictions, draw_samples
from inference.prediction.sample import averaged, composed_scenes, decided
from inference.settings.recipes import RECIPES
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.figures.grid import named
from scene.labels import Labels

ANY = [
    "image → mask", "image+classes → mask", "mask → mask", "mask → image", "classes → image",
    "all → image",
]  # fmt: skip
COLUMNS = {
    "cvae": ["image → mask"],
    "segmenter": ["image → mask"],
    "sec": ["image → mask"],
    "supervised": ["image → mask"],
    "classifier": [],
    "jvae": ["image+classes → mask"],
    "telbo": ANY,
    "jmvae": ANY,
    "prior": ANY,
    "details": ANY,
}


@pytest.fixture
def grids(monkeypatch):
    """Note what would be drawn."""
    drawn = []
    monkeypatch.setattr(
        "inference.prediction.figures.draw_grid", lambda *args, **more: drawn.append((*args, more))
    )
    return drawn


@pytest.fixture
def ready(built):
    """Build what can predict at once."""

    def build(schema, name="telbo"):
        assembly = built(schema, name)
        assembly.model.eval()
        assembly.guide.eval()
        return assembly

    return build


@pytest.mark.parametrize("name", RECIPES)
def test_predictions_stand_beside_the_truth(ready, tmp_path, grids, name):
    scenes = SyntheticScenes("test", size=(16, 16), count=5)
    draw_predictions(tmp_path / "a.png", ready(scenes.schema, name), scenes, scenes=3)
    ((_, rows, labels, more),) = grids
    assert more["columns"] == ["image", "mask", *COLUMNS[name]]
    assert labels == scenes.schema.labels
    assert [len(row) for row in rows] == [2 + len(COLUMNS[name])] * 3
    for row, scene in zip(rows, scenes, strict=False):
        assert row[1].picture.equal(scene.mask.long())
        assert row[1].caption == (", ".join(labels.decode(scene.classes)) or "none")


def test_only_scenes_with_every_view_are_drawn(ready, tmp_path, grids, voc_folder):
    for name in ("cat", "dog", "bird"):
        (voc_folder / "ImageSets" / "Main" / f"{name}_train.txt").unlink()
    scenes = VOCScenes(voc_folder, "train", (16, 16))
    draw_predictions(tmp_path / "a.png", ready(scenes.schema), scenes, scenes=20)
    masked = sum(scene.mask is not None for scene in scenes)
    assert len(grids[0][1]) == masked < len(scenes)


def test_pictures_are_drawn_from_a_seed_and_leave_the_random_state(ready, tmp_path, grids):
    scenes = SyntheticScenes("test", size=(16, 16), count=2)
    assembly = ready(scenes.schema)
    before = torch.get_rng_state()
    for seed in (1, 1, 2):
        draw_predictions(tmp_path / "a.png", assembly, scenes, seed=seed)
    assert torch.get_rng_state().equal(before)
    first, again, other = ([row[-1].picture for row in rows] for _, rows, _, _ in grids)
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not all(a.equal(b) for a, b in zip(first, other, strict=True))


def decoded(assembly, z, given):
    """Decode draws of z of one scene: probabilities, or means."""
    means, _ = composed_scenes(assembly.model, z, given)
    return {name: view.squeeze(1) for name, view in means.items()}


@pytest.mark.parametrize("count", [1, 3, 8, 11])
@pytest.mark.parametrize("given", [None, ("image",), ("classes",), ("image", "classes", "mask")])
def test_samples_make_rows_of_equal_length(ready, tmp_path, grids, schema, views, given, count):
    assembly = ready(schema)
    one = views.rows(torch.tensor([0])).only(given) if given else None
    samples = decided(decoded(assembly, torch.randn(count, 1, 4), one))
    draw_samples(tmp_path / "a.png", one, samples, schema.labels, "drawn")
    ((_, rows, _, more),) = grids
    assert len({len(row) for row in rows}) == 1
    pictures = sum(panel.picture is not None for row in rows for panel in row)
    first = len({"image", "mask"} & set(given or ()))
    assert pictures == 2 * count + first
    lines = -(-count // 8)
    assert more["rows"] == ["given"] * bool(first) + ["image", "mask"] * lines


@pytest.mark.parametrize("given", [None, ("image", "mask")])
def test_means_and_entropy_stand_above_samples(ready, tmp_path, grids, schema, views, given):
    assembly = ready(schema)
    one = views.rows(torch.tensor([0])).only(given) if given else None
    result = decoded(assembly, torch.randn(2, 1, 4), one)
    batch = averaged({name: view[:, None] for name, view in result.items()})
    means = {name: view.squeeze(0) for name, view in batch.items()}
    draw_samples(tmp_path / "a.png", one, decided(result), schema.labels, "drawn", means)
    ((_, rows, _, more),) = grids
    top = [panel for panel in rows[0] if panel.picture is not None]
    assert [p.caption.split(":")[0] for p in top[-3:]] == ["mean", "mean", "entropy"]
    assert top[-2].picture.equal(result["mask"].mean(0).argmax(0))
    assert more["rows"] == ["given, mean" if given else "mean", "image", "mask"]
    assert len({len(row) for row in rows}) == 1


def test_a_title_is_written_as_it_is(ready, tmp_path, grids, schema, views):
    one = views.rows(torch.tensor([0])).only(["classes"])
    samples = decided(decoded(ready(schema), torch.randn(2, 1, 4), one))
    draw_samples(tmp_path / "a.png", one, samples, schema.labels, "drawn given cat")
    assert grids[0][-1]["title"] == "drawn given cat"


def test_what_is_sampled_is_what_the_model_says(ready, schema):
    assembly, z = ready(schema), torch.randn(3, 1, 4)
    result = decided(decoded(assembly, z, None))
    with torch.no_grad():
        expected = assembly.model.decode(z, None, ("image", "classes", "mask"))
    assert result["image"].equal(expected["image"].mean[:, 0])
    assert result["classes"].equal(expected["classes"].probs[:, 0])
    assert result["mask"].equal(expected["mask"].logits[:, 0].argmax(1))


def test_a_scene_of_nothing_is_captioned_none():
    assert named(Labels(("background", "cat")), torch.zeros(1)) == "none"
    assert named(Labels(("background", "cat", "dog")), torch.ones(2)) == "cat, dog"
