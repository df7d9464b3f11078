"""Generated datasets: complete or not there, as the seed says, and counts for what was asked."""

import json
from collections import Counter

import pytest
import torch

from inference.experiments import generate as generation
from inference.experiments.generate import GenerationSettings, generate, latent_sampler
from inference.prediction.predict import Prediction, posterior
from inference.runs.checkpoints import restore
from scene.datasets.folders.voc import VOCScenes
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.likelihoods import ClassVector, LabelMap, Pixels
from scene.views import VIEWS

LOOSE = {"drop": 0.0, "least_area": 0.0}


@pytest.fixture
def run(fitted):
    return fitted(steps=1)[0]


@pytest.fixture(autouse=True)
def painted(monkeypatch):
    """Let every model decode shapes that z alone decides, and classes that are those of the mask.

    z₀ > 0 is a circle (label 1), else a square (2); where z₁ > 1 the classes are wrong, where
    z₂ > 1 the mask is empty; and the larger z₃, the surer the mask.
    """
    monkeypatch.setattr("scene.models.JointScene.decode", lambda model, z, views, names: _say(z))
    monkeypatch.setattr(
        "inference.experiments.generate.draw_scenes", lambda path, *_: path.touch()
    )


def _say(z):
    lead, count = z.shape[:-1], len(SyntheticScenes("val", count=1).schema.labels.names)
    label = torch.where(z[..., 0] > 0, 1, 2)
    full = torch.nn.functional.one_hot(label, count).float() * (2 + z[..., 3:4].exp())
    logits = torch.zeros(*lead, count, 16, 16)
    logits[..., 0, :, :] = 1.0
    area = (z[..., 2] <= 1).float()[..., None, None, None]
    logits[..., 4:12, 4:12] += area * full[..., None, None]
    classes = torch.full((*lead, count - 1), -9.0)
    wrong = torch.where(z[..., 1] > 1, 3, label - 1)
    classes.scatter_(-1, wrong[..., None], 9.0)
    image = z[..., :3].sigmoid()[..., None, None].expand(*lead, 3, 16, 16)
    return {
        "image": Pixels(image, 0.2), "classes": ClassVector(classes), "mask": LabelMap(logits),
    }  # fmt: skip


def _generate(run, folder, **choices):
    options = GenerationSettings(**{"count": 20, **choices})
    return generate(run, options, folder, device="cpu")


def test_the_result_is_a_dataset_of_coherent_scenes(run, tmp_path):
    generated = _generate(run, tmp_path / "new", drop=0.0)
    train = VOCScenes(generated.folder, "train", (16, 16))
    assert len(train) == 20
    for scene in train:
        ids = set(scene.mask.unique().tolist()) - {0}
        assert ids in ({1}, {2})
        assert scene.classes.nonzero().flatten().tolist() == [min(ids) - 1]
    assert generated.scenes == {"train": 20, "tune": 4, "val": 4, "test": 6}
    test, true = (
        VOCScenes(generated.folder, "test", (16, 16)),
        SyntheticScenes("test", size=(16, 16)),
    )
    assert all(a.mask.equal(b.mask) for a, b in zip(test, true, strict=True))


def test_the_report_counts_every_scene_once(run, tmp_path):
    generated = _generate(run, tmp_path / "new", count=100)
    counts = generated.counts
    assert counts.accepted == 100
    assert counts.sampled == counts.accepted + sum(counts.rejected.values())
    assert set(counts.rejected) == {"improbable", "empty", "incoherent", "misjudged"}
    assert counts.rejected["improbable"] > 0
    assert counts.rejected["misjudged"] == 0
    about = json.loads((generated.folder / "about.json").read_text())
    assert (about["sampled"], about["accepted"], about["rejected"]) == (
        counts.sampled, counts.accepted, counts.rejected,
    )  # fmt: skip
    assert about["run"] == str(run.folder)
    assert generated.picture.is_file()


def test_of_each_batch_the_least_likely_are_dropped(run, tmp_path, monkeypatch):
    """Where nothing else is wrong, those kept are the likeliest: the surest masks."""
    z = torch.zeros(64, 4)
    z[:, 0], z[:, 3] = 1.0, torch.randperm(64) / 20
    sampler = "inference.experiments.generate.latent_sampler"
    monkeypatch.setattr(sampler, lambda *_: lambda count: z)
    seen = []
    monkeypatch.setattr(
        "inference.experiments.generate._scene", lambda v, row, name: seen.append(row)
    )
    with pytest.raises(AttributeError):
        _generate(run, tmp_path / "new", drop=0.25, count=48)
    worst = z[:, 3].argsort()[:16].tolist()
    assert not set(seen) & set(worst)


def test_the_same_seed_draws_the_same_dataset(run, tmp_path):
    before = torch.get_rng_state()
    a, b, c = (
        _generate(run, tmp_path / n, seed=s, **LOOSE) for n, s in (("a", 1), ("b", 1), ("c", 2))
    )
    masks = [_bytes(generated.folder / "SegmentationClass") for generated in (a, b, c)]
    images = [_bytes(generated.folder / "JPEGImages") for generated in (a, b, c)]
    assert masks[0] == masks[1]
    assert images[0] == images[1] != images[2]
    assert torch.get_rng_state().equal(before)


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.glob("generated*")}


def test_real_training_scenes_come_along_if_asked(run, tmp_path):
    generated = _generate(run, tmp_path / "new", keep=3)
    assert generated.scenes["train"] == 23
    train, true = (
        VOCScenes(generated.folder, "train", (16, 16)),
        SyntheticScenes("train", size=(16, 16)),
    )
    assert all(train[i].mask.equal(true[i].mask) for i in range(3))
    alone = _generate(run, tmp_path / "alone", count=0, keep=3)
    assert alone.scenes["train"] == 3
    assert alone.counts.sampled == 0


def test_sampled_masks_are_rougher_than_the_most_probable(run, tmp_path):
    choices = {"drop": 0.0, "least_area": 0.15}
    plain, rough = (_generate(run, tmp_path / str(s), sampled=s, **choices) for s in (False, True))
    areas = [
        Counter(len(scene.mask.unique()) for scene in VOCScenes(m.folder, "train", (16, 16)))
        for m in (plain, rough)
    ]
    assert max(areas[0]) == 2 < max(areas[1])


def test_a_judge_that_sees_something_else_is_obeyed(run, tmp_path, monkeypatch, fitted):
    judge, _ = fitted("segmenter", folder="judge", steps=1)

    blank = Prediction({"mask": torch.eye(7)[0].view(1, 7, 1, 1).expand(64, 7, 16, 16)})
    monkeypatch.setattr(generation, "predict", lambda *_: blank)
    monkeypatch.setattr("inference.experiments.generate._PATIENCE", 100)
    for overlap, passes in ((0.0, True), (0.9, False)):
        options = GenerationSettings(20, overlap=overlap)
        if passes:
            generated = generate(run, options, tmp_path / "new", judge=judge, device="cpu")
            assert generated.counts.rejected["misjudged"] == 0
        else:
            with pytest.raises(ValueError, match=r"only 0 passed \(.* misjudged\); train"):
                generate(run, options, tmp_path / "none", judge=judge, device="cpu")
    assert not (tmp_path / "none").exists()


def test_the_prior_and_the_aggregate_posterior_are_where_z_comes_from(run):
    assembly, scenes = restore(run), SyntheticScenes("train", size=(16, 16))
    torch.manual_seed(0)
    assert latent_sampler("prior", assembly, scenes)(2000).std() == pytest.approx(1, abs=0.05)
    z = latent_sampler("posterior", assembly, scenes)(2000)
    q = posterior(assembly, scenes.views(range(len(scenes))).only(VIEWS))
    mixture = q.mean.mean(0)
    spread = (q.variance.mean(0) + q.mean.var(0, correction=0)).sqrt()
    assert ((z.mean(0) - mixture) / spread).abs().max() < 0.15
    torch.testing.assert_close(z.std(0), spread, rtol=0.1, atol=0)


def test_a_walk_lies_between_its_ends(run, monkeypatch):
    assembly, scenes = restore(run), SyntheticScenes("train", size=(16, 16))
    ends = [torch.zeros(500, 4), torch.ones(400, 4)]
    posterior = "inference.experiments.generate._sample_posterior"
    monkeypatch.setattr(posterior, lambda *_: ends.pop(0))
    z = latent_sampler("walk", assembly, scenes)(500)
    assert z.shape == (400, 4)
    assert z.equal(z[:, :1].expand(-1, 4))
    assert 0 <= z.min() < 0.05
    assert 0.95 < z.max() <= 1


def test_a_folder_of_partly_labelled_scenes_gives_the_posteriors_of_complete_ones(
    built, voc_folder
):
    for name in ("cat", "dog", "bird"):
        (voc_folder / "ImageSets" / "Main" / f"{name}_train.txt").unlink()
    scenes = VOCScenes(voc_folder, "train", (16, 16))
    assembly = built(scenes.schema)
    assembly.guide.eval()
    assert 0 < len(latent_sampler("posterior", assembly, scenes)(40)) < 40


def test_other_models_are_refused(fitted, tmp_path):
    for name in ("cvae", "segmenter"):
        run, _ = fitted(name, folder=name, steps=1)
        with pytest.raises(ValueError, match=f"A {name} does not draw an image with its classes"):
            _generate(run, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_is_replaced_only_by_force_and_only_if_it_is_ours(run, tmp_path):
    folder = _generate(run, tmp_path / "new", count=1).folder
    with pytest.raises(FileExistsError, match="exists; choose another --out, or --force"):
        _generate(run, folder)
    generate(run, GenerationSettings(2), folder, device="cpu", force=True)
    assert len(VOCScenes(folder, "train", (16, 16))) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    with pytest.raises(ValueError, match="which is no part of a dataset"):
        generate(run, GenerationSettings(2), tmp_path / "mine", device="cpu", force=True)


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"count": 0}, "Ask for 1 scene or more"),
        ({"drop": 1.0}, "--drop is a share from 0 to below 1"),
        ({"least_area": -0.1}, "--min-area is a share"),
        ({"overlap": 2.0}, "--agreement is a share from 0 to 1"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(choices, sentence):
    with pytest.raises(ValueError, match=sentence):
        GenerationSettings(**{"count": 1, **choices})
