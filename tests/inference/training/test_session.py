"""Sessions: trained, scored and drawn in one call; refused before anything is written."""

import json
import signal
from contextlib import ExitStack
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from inference.interruption import Interruption, raised
from inference.runs.checkpoints import restore, save_learning
from inference.runs.run import create, read
from inference.training.fit import Diverged, Step, fit
from inference.training.session import resume, train
from inference.training.threshold import calibrate
from scene.datasets.catalogue import open_data
from scene.datasets.synthetic.dataset import SyntheticScenes
from scene.storage.locks import locked


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "runs"


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the picture, which takes longer than the rest."""
    for draw in ("draw_predictions", "draw_class_maps"):
        monkeypatch.setattr(f"inference.training.session.{draw}", lambda *_, **__: None)


@pytest.fixture
def broken(tiny):
    """Train until the first checkpoint, then pull the plug."""

    def train_some(name="telbo", **choices):
        result = []

        def pull(report):
            if report.step == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(tiny(name, **choices), device="cpu", watch=pull, started=result.append)
        return read(result[0].folder)

    return train_some


@pytest.mark.parametrize("name", ["cvae", "jvae", "jmvae", "telbo", "segmenter"])
def test_every_recipe_is_trained_scored_and_drawn(tiny, runs, name):
    started = []
    outcome = train(tiny(name, steps=3), device="cpu", started=started.append)
    assert outcome.run.complete
    assert [run.folder for run in started] == [outcome.run.folder] == list(runs.iterdir())
    source = "image + classes" if name == "jvae" else "image"
    assert outcome.cell.title == f"{source} → mask"
    assert (outcome.cell.scenes, outcome.split) == (6, "test")
    assert 0 <= outcome.cell.score.miou <= 100
    assert outcome.picture.read_bytes().startswith(b"\x89PNG")
    summary = json.loads(outcome.run.path("summary.json").read_text())
    assert summary["headline"]["score"]["miou"] == outcome.cell.score.miou


def test_a_classifier_is_scored_on_classes_and_leaves_the_test_split_for_masks(tiny):
    outcome = train(tiny("classifier", steps=2), device="cpu")
    assert (outcome.cell.title, outcome.cell.scenes, outcome.split) == (
        "image → classes",
        4,
        "val",
    )
    assert outcome.picture.read_bytes().startswith(b"\x89PNG")
    summary = json.loads(outcome.run.path("summary.json").read_text())
    assert summary["threshold"] == 0.5
    assert summary["headline"]["score"]["map"] == outcome.cell.score.map


def test_a_classifier_never_sees_a_mask(tiny, undrawn, monkeypatch):
    """Whatever the masks are: crops that read classes from them would differ."""
    settings = tiny("classifier", steps=3, augment="crop", seed=1)
    result = [train(settings, device="cpu").run.path("weights.safetensors").read_bytes()]
    paint = SyntheticScenes._render

    def blank(scenes, chunk):
        paint(scenes, chunk)
        scenes._masks.zero_()

    monkeypatch.setattr(SyntheticScenes, "_render", blank)
    result.append(train(settings, device="cpu").run.path("weights.safetensors").read_bytes())
    assert result[0] == result[1]


@pytest.mark.parametrize("threshold", [0.3, "auto"])
def test_the_threshold_is_chosen_on_tune_and_kept_in_the_run(tiny, undrawn, threshold):
    settings = tiny("classifier", steps=2, threshold=threshold)
    run = train(settings, device="cpu").run
    kept = restore(read(run.folder))
    summary = json.loads(run.path("summary.json").read_text())
    assert kept.model.threshold == summary["threshold"]
    if threshold == "auto":
        threshold = calibrate(kept, open_data(settings.data.source, "tune", settings.data.size))
    assert summary["threshold"] == threshold


def test_an_interrupted_classifier_still_chooses_its_threshold(tiny, broken, undrawn):
    whole = train(tiny("classifier", threshold="auto"), device="cpu").run
    rest = resume(broken("classifier", threshold="auto"), device="cpu").run
    states = [restore(read(run.folder)).model.state_dict() for run in (whole, rest)]
    assert all(states[0][key].equal(states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("name", "choices", "title"),
    [
        ("jvae", {"encode": ("image",)}, "image → mask"),
        ("jvae", {"encode": ("image", "classes")}, "image + classes → mask"),
        ("jvae", {"encode": ("mask",)}, "mask → mask"),
    ],
)
def test_a_run_is_summed_up_by_a_direction_it_can_go(tiny, undrawn, name, choices, title):
    assert train(tiny(name, steps=1, **choices), device="cpu").cell.title == title


def test_partly_labelled_scenes_are_scored_where_they_have_masks(tiny, voc_folder):
    outcome = train(tiny(data=str(voc_folder), steps=2), device="cpu")
    assert (outcome.split, outcome.cell.scenes) == ("val", 4)
    assert outcome.run.settings.data.source == str(voc_folder)


@pytest.fixture
def weak_folder(voc_folder):
    """Make a folder whose first five training masks are weak, and all classes known."""
    names = "".join(f"photo_{i:02d}\n" for i in range(5))
    (voc_folder / "ImageSets" / "Segmentation" / "weak.txt").write_text(names)
    return voc_folder


def test_weak_masks_that_count_1_are_masks(tiny, undrawn, weak_folder):
    for path in (weak_folder / "ImageSets" / "Main").glob("*_train.txt"):
        path.unlink()
    settings = tiny(data=str(weak_folder), steps=2, weak_weight=1.0)
    one = train(settings, device="cpu").run.path("weights.safetensors").read_bytes()
    (weak_folder / "ImageSets" / "Segmentation" / "weak.txt").unlink()
    assert train(settings, device="cpu").run.path("weights.safetensors").read_bytes() == one


@pytest.mark.parametrize("name", ["telbo", "cvae", "segmenter"])
def test_weak_masks_count_less_in_training_and_in_no_other_split(
    tiny, undrawn, monkeypatch, weak_folder, name
):
    seen = {}

    def noted(assembly, scenes, val, *rest, **more):
        seen["train"], seen["val"] = scenes.views(range(len(scenes))), val.views(range(4))
        return fit(assembly, scenes, val, *rest, **more)

    monkeypatch.setattr("inference.training.session.fit", noted)
    settings = tiny(name, data=str(weak_folder), steps=1, weak_weight=0.25)
    assert train(settings, device="cpu").run.settings.data.weak_weight == 0.25
    assert set(seen["train"].likelihood_weights["mask"].tolist()) == {0.25, 1.0}
    assert set(seen["val"].likelihood_weights["mask"].tolist()) == {1.0}


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_an_interrupted_session_with_weak_masks_is_resumed_to_the_same_end(
    tiny, broken, undrawn, weak_folder, weight
):
    choices = {"data": str(weak_folder), "weak_weight": weight, "augment": "crop"}
    whole = train(tiny(**choices), device="cpu").run.path("weights.safetensors").read_bytes()
    resumed = resume(broken(**choices), device="cpu").run
    assert resumed.path("weights.safetensors").read_bytes() == whole


def test_a_weight_for_weak_masks_where_there_are_none_is_refused(tiny, runs):
    with pytest.raises(ValueError, match=r"has no weak masks for a weight of 0.3; list them"):
        train(tiny(weak_weight=0.3), device="cpu")
    assert not runs.exists()


def test_the_same_settings_give_the_same_score(tiny, undrawn):
    scores = [train(tiny(steps=2), device="cpu").cell.score for _ in range(2)]
    assert scores[0] == scores[1]


def test_an_interrupted_session_is_resumed_to_the_same_end(tiny, broken, undrawn):
    whole = train(tiny(), device="cpu")
    resumed = resume(broken(), device="cpu")
    assert resumed.cell == whole.cell
    with pytest.raises(LookupError, match="is complete; there is nothing to resume"):
        resume(resumed.run)


@pytest.mark.parametrize("lost", [("summary.json",), ("summary.json", "samples.png")])
def test_what_is_missing_of_a_trained_run_is_done(tiny, lost):
    """A kill after the weights were written, and before the score was."""
    whole = train(tiny(), device="cpu")
    before = {name: whole.run.path(name).read_bytes() for name in lost}
    weights = whole.run.path("weights.safetensors").stat().st_mtime_ns
    for name in lost:
        whole.run.path(name).unlink()
    assert resume(read(whole.run.folder), device="cpu").cell == whole.cell
    assert {name: whole.run.path(name).read_bytes() for name in lost} == before
    assert whole.run.path("weights.safetensors").stat().st_mtime_ns == weights


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 3])
def test_a_signal_loses_no_step(tiny, undrawn, runs, number, step):
    """Whenever it comes, what was learned until then is saved, and gone on with."""

    def send(report):
        if report.step == step:
            signal.raise_signal(number)

    whole = train(tiny(), device="cpu").run
    with pytest.raises(Interruption) as caught, raised():
        train(tiny(), device="cpu", folder=runs / "cut", watch=send)
    assert caught.value.__notes__[-1].endswith(f"go on with: scene train --resume {runs / 'cut'}")
    steps = []
    rest = resume(read(runs / "cut"), device="cpu", watch=lambda r: steps.append(r.step)).run
    assert steps == list(range(step + 2, 5))  # one more was taken, and saved
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert rest.path(name).read_bytes() == whole.path(name).read_bytes()


def test_a_kill_between_a_line_and_its_checkpoint_loses_no_line(tiny, undrawn, runs, monkeypatch):
    def killed(path, learning, recipe):
        if learning.step == 4:
            raise KeyboardInterrupt
        save_learning(path, learning, recipe)

    whole = train(tiny(steps=6), device="cpu").run
    with monkeypatch.context() as patch:
        patch.setattr("inference.training.fit.save_learning", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(steps=6), device="cpu", folder=runs / "cut")
    rest = resume(read(runs / "cut"), device="cpu").run
    assert rest.path("metrics.jsonl").read_bytes() == whole.path("metrics.jsonl").read_bytes()
    assert _scalars(rest) == _scalars(whole)


def test_a_full_disk_keeps_the_last_checkpoint_and_says_how_to_go_on(
    tiny, undrawn, runs, full_disk
):
    limits = ExitStack()

    def fill(report):
        if report.step == 3:
            limits.enter_context(full_disk(20_000))

    whole = train(tiny(), device="cpu").run
    with limits, pytest.raises(OSError, match="File too large") as caught:
        train(tiny(), device="cpu", folder=runs / "full", watch=fill)
    assert caught.value.filename.endswith("checkpoint.safetensors")
    assert "go on with: scene train --resume" in caught.value.__notes__[-1]
    assert not list((runs / "full").glob(".*"))
    rest = resume(read(runs / "full"), device="cpu").run
    assert (
        rest.path("weights.safetensors").read_bytes()
        == whole.path("weights.safetensors").read_bytes()
    )


def test_a_run_in_use_is_neither_resumed_nor_replaced(tiny, broken, undrawn):
    run = broken()
    before = run.path("config.json").read_bytes()
    with locked(run.folder):
        for start in (
            lambda: resume(run, device="cpu"),
            lambda: train(tiny(), device="cpu", folder=run.folder, force=True),
        ):
            with pytest.raises(BlockingIOError, match=r"is in use by process \d+ on "):
                start()
    assert run.path("config.json").read_bytes() == before
    assert resume(run, device="cpu").run.complete


def test_data_that_moved_are_named_and_checked(broken, voc_folder, undrawn):
    run = broken(data=str(voc_folder))
    moved = voc_folder.rename(voc_folder.with_name("moved"))
    with pytest.raises(FileNotFoundError, match="There is no data at"):
        resume(run, device="cpu")
    done = resume(run, data=str(moved), device="cpu").run
    assert done.complete
    assert read(done.folder).settings.data.source == str(moved)


def test_a_guide_that_ends_the_program_is_a_sentence(tiny, tmp_path, runs):
    path = tmp_path / "rude.py"
    path.write_text(
        "from inference.guides import ProductGuide\n\n\n"
        "class Rude(ProductGuide):\n"
        "    def posterior(self, views):\n"
        "        raise SystemExit(0)\n"
    )
    with pytest.raises(
        ValueError, match=r"called sys.exit; remove the call, because a guide or an"
    ):
        train(tiny(guide=f"{path}:Rude"), device="cpu")
    assert not list(runs.iterdir())


def test_a_run_that_was_killed_before_its_checkpoint_gives_back_the_one_it_was_to_replace(
    tiny, tmp_path, undrawn
):
    old = train(tiny(seed=1), device="cpu", folder=tmp_path / "run").run
    kept = {p.name: p.read_bytes() for p in old.folder.iterdir()}
    aside = old.folder.rename(tmp_path / "aside")
    new = _run(tiny(seed=2), tmp_path / "run")
    aside.rename(new.folder / ".replaced")
    with pytest.raises(LookupError, match="so the previous run was restored"):
        resume(new, device="cpu")
    assert {p.name: p.read_bytes() for p in old.folder.iterdir()} == kept


def test_a_run_without_a_checkpoint_cannot_be_resumed(tiny, tmp_path):
    with pytest.raises(LookupError, match="has no checkpoint to resume from; train it again"):
        resume(_run(tiny(), tmp_path / "run"))


def test_a_session_interrupted_before_its_first_checkpoint_leaves_nothing(tiny, runs):
    def pull(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), device="cpu", watch=pull)
    assert not list(runs.iterdir())


def test_labels_that_changed_since_are_refused(broken, voc_folder):
    run = broken(data=str(voc_folder))
    path = voc_folder / "labelmap.txt"
    path.write_text(path.read_text().replace("cat:", "lynx:"))
    for file in (voc_folder / "ImageSets" / "Main").glob("cat_*.txt"):
        file.rename(file.with_name(file.name.replace("cat", "lynx")))
    with pytest.raises(ValueError, match="was trained on other labels than those of pets"):
        resume(run, device="cpu")


def test_scenes_of_which_none_can_be_used_are_refused(tiny, runs, voc_folder):
    """A segmenter learns from masks, and here training scenes have none."""
    lists = voc_folder / "ImageSets" / "Segmentation" / "train.txt"
    main = voc_folder / "ImageSets" / "Main" / "train.txt"
    names = lists.read_text().split()
    lists.write_text("")
    for name in names:
        (voc_folder / "SegmentationClass" / f"{name}.png").unlink()
    assert len(main.read_text().split()) == 12
    with pytest.raises(
        ValueError, match=r"None of .* training scenes has all the views that segmenter"
    ):
        train(tiny("segmenter", data=str(voc_folder), steps=40), device="cpu")
    assert not list(runs.iterdir())


def test_a_run_does_not_ask_again_for_the_weights_it_began_with(broken, monkeypatch, undrawn):
    run = broken("cvae")
    settings = run.settings.changed(backbone_weights="gone.safetensors")
    assert resume(replace(run, settings=settings), device="cpu").run.complete


def test_a_session_that_diverges_keeps_its_checkpoint(tiny, runs, monkeypatch):
    forward, calls = Step.forward, []

    def step(self, views):
        calls.append(views)
        loss, parts = forward(self, views)
        return loss * (float("nan") if len(calls) > 6 else 1), parts

    monkeypatch.setattr(Step, "forward", step)
    with pytest.raises(Diverged, match="the last good checkpoint is kept"):
        train(tiny(steps=20), device="cpu")
    (folder,) = runs.iterdir()
    assert (folder / "checkpoint.safetensors").is_file()
    assert not read(folder).complete


def test_a_session_that_fails_before_its_first_checkpoint_leaves_nothing(tiny, runs, voc_folder):
    for name in ("photo_01", "photo_03"):
        (voc_folder / "SegmentationClass" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        train(tiny(data=str(voc_folder), batch_size=12), device="cpu")
    assert not list(runs.iterdir())


@pytest.mark.parametrize(
    "choices",
    [
        {"augment": "flpi"},
        {"guide": "peo"},
        {"objective": "iwea"},
        {"subsets": "sum"},
        {"data": "synthetic:easy"},
        {"guide": "joint"},
    ],
)
def test_what_is_refused_leaves_the_run_that_force_would_replace(tiny, tmp_path, choices):
    old = _run(tiny(), tmp_path / "run")
    with pytest.raises((LookupError, ValueError)):
        train(tiny(**choices), folder=old.folder, force=True)
    assert read(old.folder) == old


def test_a_training_that_fails_leaves_the_run_that_force_would_replace(tiny, tmp_path, voc_folder):
    old = _run(tiny(), tmp_path / "run")
    for name in ("photo_01", "photo_03"):
        (voc_folder / "SegmentationClass" / f"{name}.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        train(tiny(data=str(voc_folder), batch_size=12), folder=old.folder, force=True)
    assert read(old.folder) == old


def test_force_replaces_a_run(tiny, tmp_path, undrawn):
    old = _run(tiny(seed=1), tmp_path / "run")
    old.path("letter.txt").touch()
    new = train(tiny(seed=2), device="cpu", folder=old.folder, force=True).run
    assert read(new.folder).settings.training.seed == 2
    assert not new.path("letter.txt").exists()


def _scalars(run):
    """Read what TensorBoard will show: steps and values by name."""
    board = EventAccumulator(str(run.folder)).Reload()
    names = board.Tags()["scalars"]
    return {name: [(e.step, e.value) for e in board.Scalars(name)] for name in names}


def _run(settings, folder):
    scenes = open_data(settings.data.source, "train", settings.data.size)
    return create(settings, scenes.schema, scenes.name, folder)
