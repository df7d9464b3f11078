"""What a newcomer types, one command after the other."""

import io
import json
import re

import pytest
from rich.console import Console

from inference.runs.run import read
from scene.images.io import read_image

PLAIN = "--size 16x16 --batch-size 4 --width 4 --device cpu".split()
TINY = [*PLAIN, "--latent", 4, "--guide-width", 4]
DRAWN = r"scenes drawn with the flow  (\S+)/prior/samples.png\n"
LAST = re.compile(r"image → mask mIoU \d{1,3}\.\d( †)? \(test, 6 scenes, 8 draws\)  (\S+\.png)\n")
BOTH = re.compile(DRAWN + LAST.pattern)


def test_train_sample_evaluate_and_look_at_data(scene, tmp_path, place):
    result = scene("train", "telbo", "--particles", 5, "--steps", 2, *TINY)
    assert result.code == 0
    actual = BOTH.fullmatch(result.out)
    assert actual
    (run,) = (tmp_path / "runs").iterdir()
    assert (actual[1], actual[3]) == (str(run), str(run / "samples.png"))
    assert read_image(actual[3]).shape[0] == 3
    assert read_image(run / "prior" / "samples.png").shape[0] == 3
    assert result.err.splitlines()[0] == result.last == f"run {run}"

    result = scene("sample", "--from-mask", "-n", 2, "--device", "cpu", "--out", "views")
    assert result.code == 0
    assert result.err == f"run {run}\n"
    picture, out = result.out.splitlines()
    assert picture == f"{run}/samples/from-mask-1.png: drawn given the mask by the flow"
    assert out == "views: 8 files"
    assert {path.name for path in (place / "views").iterdir()} == {
        *(f"{scene}_{view}.png" for scene in ("000", "001", "mean") for view in ("image", "mask")),
        "classes.json",
        "entropy.png",
    }

    result = scene("evaluate", "--json", "--device", "cpu")
    assert result.code == 0
    assert result.err == f"run {run}\n"
    assert json.loads(result.out)["recipe"] == "telbo"

    result = scene("data", "info", "--size", "16x16", "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["views"] == {"image": 8, "classes": 8, "mask": 8}

    result = scene("data", "preview", "--size", "16x16", "-n", 3)
    assert (result.out, result.err) == ("preview.png: 3 of 8 scenes\n", "")
    assert (place / "preview.png").is_file()


@pytest.mark.parametrize("name", ["cvae", "jvae", "jmvae", "segmenter"])
def test_every_recipe_ends_with_its_score_and_a_picture(scene, name):
    words = ("--encode", "image") if name == "jvae" else ()
    result = scene("train", name, "--steps", 3, *(PLAIN if name == "segmenter" else TINY), *words)
    assert result.code == 0
    assert LAST.fullmatch(result.out)


def test_progress_goes_to_standard_error(scene):
    result = scene("train", "segmenter", "--steps", 10, "--validate-every", 5, *PLAIN)
    assert re.search(r"\nstep 5: loss -?\d+\.\d, val -?\d+\.\d\nstep 10: loss ", result.err)
    assert "step 5" not in result.out


def test_a_terminal_is_shown_a_bar_with_each_term(scene, monkeypatch):
    seen = io.StringIO()
    monkeypatch.setenv("TERM", "xterm")  # whatever the tests run in
    terminal = Console(file=seen, force_terminal=True, width=120, markup=False)
    for place in ("train", "progress"):
        monkeypatch.setattr(f"cli.{place}.notes", terminal)
    result = scene("train", "telbo", "--subsets", "report", "--steps", 3, *TINY)
    assert (result.code, result.err) == (0, "")
    assert BOTH.fullmatch(result.out)
    assert "3/3" in seen.getvalue()
    assert re.search(
        r"loss -?\d+  mask nats: joint -\d+  image\+classes -\d+  mask -\d+", seen.getvalue()
    )


@pytest.mark.parametrize("words", [(), ("--precision", "bf16")])
def test_only_notes_are_printed_during_the_work(scene, words):
    result = scene("train", "cvae", "--steps", 1, *TINY, *words)
    assert [line.split()[0] for line in result.err.splitlines()] == ["run", "step", "run"]


def test_an_interrupted_run_is_resumed(scene, tmp_path, monkeypatch):
    def pull(self, report):
        if report.step == 3:
            raise ValueError("The plug was pulled.")

    with monkeypatch.context() as patch:
        patch.setattr("cli.progress.TrainingBar.watch", pull)
        result = scene("train", "cvae", "--steps", 4, "--validate-every", 2, *TINY)
    assert result.code == 1
    (run,) = (tmp_path / "runs").iterdir()
    assert not read(run).complete
    result = scene("train", "--resume", run, "--device", "cpu")
    assert result.code == 0
    assert LAST.fullmatch(result.out)
    assert read(run).complete


def test_out_names_the_folder_of_a_run_and_force_replaces_it(scene, place, refused):
    words = ("train", "segmenter", "--steps", 1, "--out", "mine", *PLAIN)
    assert scene(*words).code == 0
    assert read(place / "mine").complete
    assert refused(*words) == ("mine exists; choose another --out, or --force to replace it.")
    refused(*words, "--force", "--augment", "peo")
    assert scene(*words, "--force", "--seed", 5).code == 0
    assert read(place / "mine").settings.training.seed == 5


def test_a_run_starts_from_the_weights_of_another(scene, trained, refused):
    first = trained("segmenter")
    words = ("train", "segmenter", "--steps", 1, *PLAIN)
    result = scene(*words, "--from", first)
    assert result.code == 0
    assert re.match(rf"start (\d+) of \1 tensors from {re.escape(str(first))}\n", result.err)
    assert refused(*words, "--from", "nowhere").startswith("There is no run nowhere;")
    assert "leave out --from" in refused("train", "--resume", first, "--from", first)


def test_what_is_typed_reaches_the_settings(scene, place):
    result = scene(
        "train", "jvae", "--steps", 1, "--out", "mine", *TINY, "--encode", "mask, image,mask",
        "--view-weights", "mask=2,classes = 0.5", "--lr", 0.01, "--count", 5,
        "--learn-scale", "--warmup", 3, "--objective", "elbo",
    )  # fmt: skip
    assert result.code == 0
    settings = read(place / "mine").settings
    assert settings.guide.encode == ("mask", "image")
    assert settings.objective.view_weights == {"mask": 2.0, "classes": 0.5}
    assert (
        settings.optimizer.learning_rate,
        settings.data.count,
        settings.objective.warmup,
    ) == (
        0.01,
        5,
        3,
    )
    assert settings.model.learn_scale
    assert (settings.objective.bound, settings.data.source) == (
        "elbo",
        "synthetic:default",
    )


def test_partly_labelled_scenes_are_trained_on_and_evaluated(scene, voc_folder, tmp_path):
    result = scene("train", "telbo", "--data", voc_folder, "--steps", 2, *TINY)
    assert re.match(DRAWN + r"image → mask mIoU .* \(val, 4 scenes, 8 draws\)  ", result.out)
    result = scene("evaluate", "--device", "cpu")
    assert result.code == 0
    assert "telbo on pets (val, 4 scenes, 16x16)" in result.out
    assert "of them, and the rest is left out" in result.out
    assert scene("data", "info", voc_folder).code == 0
    assert scene("data", "preview", voc_folder, "--out", tmp_path / "p.png").code == 0


def test_a_users_guide_runs_where_it_was_trained_and_else_if_trusted(
    scene, refused, tmp_path, place, monkeypatch
):
    (place / "lab.py").write_text(
        "from inference.guides import RetrofitGuide\n\nclass Mine(RetrofitGuide):\n    pass\n"
    )
    assert scene("train", "telbo", "--guide", "lab.py:Mine", "--steps", 1, *TINY).code == 0
    (place / "lab.py").unlink()
    assert scene("sample", "-n", 1, "--device", "cpu").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert "not trained on this machine; read it, then add --trust" in refused("sample", "-n", 1)
    assert scene("sample", "-n", 1, "--device", "cpu", "--trust").code == 0
