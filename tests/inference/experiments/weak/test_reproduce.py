"""Reproducing: all of it from one call, gone on with, and nothing chosen where it is reported."""

import json
import shutil
from dataclasses import replace

import pytest

from inference.crf.parameters import Parameters
from inference.experiments.weak import pipeline
from inference.experiments.weak.reproduce import _run_task_elsewhere, prepare_folder, reproduce
from inference.experiments.weak.request import Request, Variant
from inference.experiments.weak.results import KERNELS, STAGES
from inference.runs import run as runs
from inference.runs.checkpoints import restore
from inference.runs.run import WEIGHTS
from inference.segmentation.score import score_stage
from inference.segmentation.segmenter import load
from inference.training import session
from inference.training.fit import Diverged
from scene.datasets.catalogue import open_data

TINY = Request(
    data="synthetic:default", size=(16, 16), classifier_steps=2, sec_steps=2, supervised_steps=2,
    alphas=(3.0,), betas=(10.0, 20.0), engine="exact",
)  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, few):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    for picture in (
        "inference.training.session.draw_predictions",
        "inference.training.session.draw_class_maps",
    ):
        monkeypatch.setattr(picture, lambda *_, **__: None)  # slow
    monkeypatch.setattr("inference.experiments.weak.pipeline.draw_stages", lambda *_: None)
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def made(do, home, shelf):
    """Give what one call makes, in the folder ``all``; it is made once for all tests."""
    both = ("report", "best")
    if not (shelf / "all").exists():
        do(seeds=(3,), variants=both)
        shutil.copytree(home / "all", shelf / "all")
        (shelf / "home").write_text(str(home))
    else:
        shutil.copytree(shelf / "all", home / "all")
        there = (shelf / "home").read_text()
        for path in home.rglob("*.json"):
            path.write_text(path.read_text().replace(there, str(home)))
    return do(seeds=(3,), variants=both)


@pytest.fixture
def do(home):
    return lambda request=TINY, **more: reproduce(
        request, folder=home / "all", device="cpu", **more
    )


def test_one_call_gives_every_row(made, home):
    result = made
    assert list(result.variants) == ["report", "best"]
    for name, summary in result.variants.items():
        (one,) = summary.results
        assert (one.seed, one.variant) == (3, name)
        assert (set(one.stages), set(one.kernels)) == (set(STAGES), {*KERNELS, "chosen"})
        assert runs.read(home / "all" / "seed-3" / name / "sec").complete
    assert result.variants["report"].stage("supervised") == result.variants["best"].stage(
        "supervised"
    )
    assert not (home / "all" / "seed-3" / "unaries").exists()
    assert [path.name for path in result.files] == [
        "reproduce.json", "stages.png", "widths-report.png", "widths-best.png"
    ]  # fmt: skip
    assert all(path.is_file() for path in result.files)
    report = json.loads(result.files[0].read_text())
    assert report["settings"] == json.loads(json.dumps(result.to_json()))["settings"]


def test_stages_are_scored_as_evaluate_scores_them(made, home):
    (one,) = made.variants["report"].results
    for stage, name in (("gradcam", "classifier"), ("sec", "report/sec"), ("mask", "supervised")):
        segmenter = load(runs.read(home / "all" / "seed-3" / name), stage, engine="exact")
        key = "supervised" if stage == "mask" else stage
        crf = Parameters.from_json(one.selected["crf"][key])
        dataset = open_data(TINY.data, "val", TINY.size)
        literal = score_stage(segmenter, dataset, {key: None, f"{key}+crf": crf})
        for row, score in literal.items():
            assert one.stages[row] == json.loads(json.dumps(score.to_json()))


def test_kernels_are_those_of_sec(made):
    (one,) = made.variants["report"].results
    assert one.kernels["unary"]["miou"] == one.stages["sec"]["miou"]
    assert one.kernels["both"]["parameters"] == one.selected["kernels"]["sec"]
    same = "unary" if "sec" in one.selected["no_crf"] else "both"
    assert one.kernels[same]["miou"] == one.stages["sec+crf"]["miou"]
    assert (one.grid["alphas"], one.grid["betas"]) == ([3.0], [10.0, 20.0])
    assert one.grid["split"] == "tune"


def test_what_is_reported_decides_nothing(do, made):
    """Choices are the same whatever split is reported; so are the networks."""
    ours = made.variants
    theirs = do(replace(TINY, split="test"), seeds=(3,), variants=("report", "best")).variants
    for name, summary in ours.items():
        assert summary.results[0].selected == theirs[name].results[0].selected
        assert summary.results[0].stages != theirs[name].results[0].stages


def test_a_second_call_reads_everything_back(do, made, monkeypatch):
    monkeypatch.setattr(session, "train", None)
    monkeypatch.setattr(pipeline, "load", None)
    assert do(seeds=(3,), variants=("report", "best")) == made


@pytest.mark.parametrize("where", ["training classifier", "training sec", "CRFs of sec on tune"])
def test_an_interrupted_call_continues(do, home, made, where):
    (fresh,) = made.variants["report"].results
    shutil.rmtree(home / "all")

    def stop(title, done, total):
        if where in title and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do(seeds=(3,), watch=stop)
    assert not (home / "all" / "reproduce.json").exists()
    (ours,) = do(seeds=(3,)).variants["report"].results
    assert ours.stages == fresh.stages
    assert ours.key == fresh.key


def test_seeds_differ_and_can_be_added(do, home, made):
    before = (home / "all" / "seed-3" / "classifier" / WEIGHTS).stat().st_mtime_ns
    result = do(seeds=(3, 1)).variants["report"]
    assert (home / "all" / "seed-3" / "classifier" / WEIGHTS).stat().st_mtime_ns == before
    assert [one.seed for one in result.results] == [3, 1]
    assert result.results[0].key != result.results[1].key


def test_runs_of_other_settings_are_not_passed_off_as_these(do, home, made):
    with pytest.raises(ValueError, match=r"trained with --steps 2, not 3; choose another --out"):
        do(replace(TINY, sec_steps=3), seeds=(3,))
    do(replace(TINY, sec_steps=3), seeds=(3,), force=True)
    assert runs.read(home / "all" / "seed-3" / "report" / "sec").settings.training.steps == 3


@pytest.mark.parametrize(
    ("variant", "found"),
    [
        (Variant("", ("finer",), foregrounds=(0.35,), shares=(0.2,)), ("stride4", 0.35, 0.2, ())),
        (
            Variant("", ("both",), ("max",), (2.0,), sure=(0.6,)),
            ("stride8+stride4", 0.6, 0.1, "of its CRF"),
        ),
        (Variant("", ("usual",)), ("stride8", 0.9, 0.3, ())),
    ],
)
def test_sec_learns_what_was_chosen(do, home, monkeypatch, variant, found):
    monkeypatch.setitem(pipeline.VARIANTS, "report", variant)
    (one,) = do().variants["report"].results
    sec = runs.read(home / "all" / "seed-0" / "report" / "sec").settings
    layer, foreground, background, crf = found
    assert (sec.cues.layer, sec.cues.foreground) == (layer, foreground)
    assert sec.cues.classifier == str(home / "all" / "seed-0" / "classifier")
    assert bool(sec.cues.background) == bool(background)
    if crf:
        theirs = Parameters.from_json(one.selected["kernels"]["gradcam"])
        assert sec.cues.crf == (theirs.appearance_weight, 3.0, theirs.appearance_sigma_rgb)
        assert (sec.cues.background_map, sec.cues.exponent) == ("max", 2)
    else:
        assert (sec.cues.background, sec.cues.crf) == (background, ())


def test_its_runs_segment(made, home):
    run = runs.read(home / "all" / "seed-3" / "report" / "sec")
    image = open_data(TINY.data, "test", (16, 16))[0].image
    assert load(run, engine="exact").segment(image).mask.shape == (16, 16)
    assert restore(runs.read(home / "all" / "seed-3" / "classifier")).model.threshold > 0


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (replace(TINY, data="synthetic:dull"), "No preset of synthetic scenes is called 'dull'"),
        (replace(TINY, split="vla"), "No split is called 'vla'"),
        (replace(TINY, backbone="vgg", size=(32, 32)), "No network is called 'vgg'"),
        (replace(TINY, classifier_steps=0), "--steps must be 1 or more, not 0."),
        (replace(TINY, engine="exat"), "No engine is called 'exat'"),
        (replace(TINY, betas=(-1.0,)), "appearance-sigma-rgb must be positive, not -1.0."),
        (replace(TINY, weights="imagenet"), "is always trained from scratch"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(do, home, request_, sentence):
    with pytest.raises((LookupError, ValueError), match=sentence.replace(".", r"\.")):
        do(request_)
    assert not home.exists()


def test_settings_cannot_be_chosen_where_they_are_reported():
    with pytest.raises(ValueError, match="cannot be reported there; give another --split"):
        Request(split="tune")
    for name in ("limit", "tuned"):
        with pytest.raises(ValueError, match="limit must be 1 or more, not 0"):
            Request(**{name: 0})


def test_photographs_hold_some_of_train_out_and_need_masks_there(do, voc_folder, home):
    photographs = replace(TINY, data=str(voc_folder), engine="lattice")  # many pixels for exact
    result = do(photographs).variants["report"].results[0]
    assert result.selected["split"] == "tune"
    assert result.stages["sec"]["scenes"] == 4
    lists = voc_folder / "ImageSets" / "Segmentation"
    (lists / "train.txt").unlink()
    with pytest.raises(ValueError, match="No scene of pets tune has a mask"):
        do(photographs, force=True)
    assert (home / "all" / "reproduce.json").is_file()


def test_a_dataset_without_background_needs_the_option(do, voc_folder, home):
    shutil.rmtree(voc_folder / "ImageSets" / "Main")
    labels = voc_folder / "labelmap.txt"
    labels.write_text(labels.read_text().replace("background", "ground"))
    bare = replace(TINY, data=str(voc_folder), engine="lattice")
    with pytest.raises(ValueError, match="use --background none"):
        do(bare)
    assert not home.exists()
    (one,) = do(replace(bare, background=False), variants=("best",)).variants["best"].results
    assert one.selected["cue_settings"]["background"] == 0
    assert one.selected["background"] is None


def test_only_a_reproduction_is_gone_on_with_or_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    for force in (False, True):
        with pytest.raises(ValueError, match="holds thesis, which is no part of a reproduction"):
            prepare_folder(tmp_path, force)
    run = tmp_path / "thesis"
    (run / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"holds config\.json, which is no part of"):
        prepare_folder(run, True)
    with pytest.raises(ValueError, match="is a file"):
        prepare_folder(run / "config.json", False)
    assert (run / "config.json").is_file()


def test_a_training_that_diverges_elsewhere_still_says_so(monkeypatch, home):
    """An exception goes from process to process as its sentence."""
    run = runs.Run(home, TINY.classifier(0), open_data(TINY.data, "val", TINY.size).schema)

    def diverge(*_):
        raise Diverged("loss", float("nan"), 3, run)

    monkeypatch.setattr("inference.experiments.weak.reproduce.run_seed", diverge)
    part = pipeline.SeedTask(TINY, 0, ("report",), home, (4, 4))
    with pytest.raises(ArithmeticError, match="The loss became nan at step 3") as caught:
        _run_task_elsewhere(print, part)
    assert type(caught.value) is ArithmeticError
