"""A model that travels is the same model elsewhere, and its card says what is known of it."""

import json
import shutil
import sys

import pytest
import torch
from safetensors import safe_open

from inference import Fitted, load, train
from inference.runs.run import WEIGHTS

TINY = {
    "data": "synthetic", "size": (16, 16), "steps": 2, "batch_size": 4, "width": 4, "latent": 4,
    "guide_width": 4, "spatial": 2, "device": "cpu",
}  # fmt: skip
GUIDE = """
from inference.guides import ProductGuide

print("the guide's code runs")


class Mine(ProductGuide):
    pass
"""


@pytest.fixture(scope="module")
def _folder(tmp_path_factory):
    from scene.datasets.synthetic.dataset import COUNTS

    with pytest.MonkeyPatch.context() as patch:
        for split, count in {"train": 8, "tune": 4, "val": 4, "test": 6}.items():
            patch.setitem(COUNTS, split, count)
        folder = tmp_path_factory.mktemp("runs") / "telbo"
        train("telbo", **TINY, details=8, detail_steps=1, flow_steps=1, out=folder)
    return folder


@pytest.fixture
def model(_folder, few):
    return load(_folder, device="cpu")


def _alike(one, other):
    first, second = (each.sample(2, mask="test:0", seed=3) for each in (one, other))
    return first.image.equal(second.image) and first.mask.equal(second.mask)


def _files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


def test_what_is_saved_draws_the_same_scenes_and_holds_no_weight_twice(model, tmp_path):
    model.save_pretrained(tmp_path / "shared")
    assert _alike(model, Fitted.from_pretrained(tmp_path / "shared", device="cpu"))
    assert _alike(model, load(tmp_path / "shared", device="cpu"))
    files = _files(tmp_path / "shared")
    assert not [name for name in files if "checkpoint" in name or "events" in name]
    assert not [name for name in files if name.endswith((".pt", ".pkl", ".bin"))]
    for part in ("prior", "details"):
        with safe_open(tmp_path / "shared" / part / WEIGHTS, framework="pt") as file:
            held = set(file.keys())
        with safe_open(model.run.path(part) / WEIGHTS, framework="pt") as file:
            assert held < set(file.keys())
        assert not any(name.startswith("guide/source.") for name in held)


def test_a_shared_model_can_be_shared_again(model, tmp_path):
    first = model.save_pretrained(tmp_path / "first", license="mit").folder
    again = Fitted.from_pretrained(first, device="cpu")
    second = again.save_pretrained(tmp_path / "second", license="mit").folder
    assert _files(first) == _files(second)


def test_half_the_bits_change_little_and_are_kept_when_shared_again(model, tmp_path):
    whole = model.save_pretrained(tmp_path / "whole").folder
    half = model.save_pretrained(tmp_path / "half", half=True).folder
    sizes = [sum(len(c) for n, c in _files(f).items() if n.endswith("safetensors"))
             for f in (whole, half)]  # fmt: skip
    assert sizes[1] < 0.75 * sizes[0]
    loaded = Fitted.from_pretrained(half, device="cpu")
    for before, after in zip(model.model.parameters(), loaded.model.parameters(), strict=True):
        assert after.dtype == torch.float32
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-6)
    assert "16 bits" in (half / "README.md").read_text()
    again = loaded.save_pretrained(tmp_path / "again", half=True).folder
    assert _files(again) == _files(half)


def test_parts_of_other_weights_are_refused(model, tmp_path):
    shared = model.save_pretrained(tmp_path / "shared").folder
    model.save_pretrained(tmp_path / "half", half=True)
    shutil.copyfile(tmp_path / "half" / WEIGHTS, shared / WEIGHTS)
    with pytest.raises(ValueError, match="goes with other weights than"):
        load(shared, device="cpu")


def test_nothing_of_this_machine_is_told(model, tmp_path, few):
    settings = model.settings.changed(data=str(tmp_path / "secret" / "photos"))
    object.__setattr__(model.run, "settings", settings)
    folder = model.save_pretrained(tmp_path / "shared").folder
    for name, content in _files(folder).items():
        assert str(tmp_path).encode() not in content, name
        assert str(model.run.folder.parent).encode() not in content, name
    assert json.loads((folder / "config.json").read_text())["settings"]["data"]["source"] == (
        "photos"
    )


def test_the_card_says_how_it_was_trained_and_scored(model, tmp_path):
    scores = model.evaluate(directions=[(["image"], "mask"), (["mask"], "classes")])
    folder = model.save_pretrained(tmp_path / "a", license="mit", scores=scores).folder
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    entries = {line.partition(": ")[0]: json.loads(line.partition(": ")[2])
               for line in head.splitlines()}  # fmt: skip
    assert entries["license"] == "mit"
    assert entries["pipeline_tag"] == "image-segmentation"
    assert entries["datasets"] == ["synthetic-default"]
    (result,) = entries["model-index"][0]["results"]
    miou = scores.cell("image").score.miou
    assert result["metrics"][0] == {"type": "mean_iou", "name": "image → mask",
                                    "value": round(miou, 2)}  # fmt: skip
    assert f"| image → mask | mIoU | {miou:.1f} | 6 | 0 |" in body
    assert "scene train telbo --size 16x16" in body
    assert "Every pixel gets one of the labels above" in body
    assert "generated scenes only" in body


def test_the_usual_card_has_the_score_of_the_run(model, tmp_path):
    summary = json.loads(model.run.path("summary.json").read_text())
    text = (model.save_pretrained(tmp_path / "a").folder / "README.md").read_text()
    assert f"| {summary['headline']['score']['miou']:.1f} | 6 | 0 |" in text
    assert 'license: "unknown"' in text
    assert "did not state its licence" in text


def test_weights_that_were_changed_have_no_scores(model, tmp_path):
    with torch.no_grad():
        next(model.model.parameters()).add_(1)
    folder = model.save_pretrained(tmp_path / "a").folder
    assert "have not been scored" in (folder / "README.md").read_text()
    assert not (folder / "summary.json").exists()
    changed = load(folder, device="cpu")
    assert next(changed.model.parameters()).equal(next(model.model.parameters()))


def test_what_cannot_be_saved_is_a_sentence_and_leaves_all_as_it_was(model, tmp_path, full_disk):
    folder = model.save_pretrained(tmp_path / "a").folder
    before = _files(folder)
    with pytest.raises(FileExistsError, match="exists; choose another"):
        model.save_pretrained(folder)
    with pytest.raises(ValueError, match="is an identifier such as mit"):
        model.save_pretrained(folder, force=True, license="My own!")
    with pytest.raises(ValueError, match="is the run itself"):
        model.save_pretrained(model.run.folder, force=True)
    with full_disk(20_000), pytest.raises(OSError, match="File too large"):
        model.save_pretrained(folder, force=True)
    assert _files(folder) == before
    with full_disk(20_000), pytest.raises(OSError, match="File too large"):
        model.save_pretrained(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    model.save_pretrained(folder, force=True)
    assert _files(folder) == before


def test_a_model_comes_back_from_the_hub(model, hub, tmp_path):
    address = model.push_to_hub("jane/shapes", token="secret", license="mit")
    assert address == f"{hub.url}/jane/shapes/commit/{hub.commit('jane/shapes')}"
    assert 'from_pretrained("jane/shapes")' in hub.files["jane/shapes"]["README.md"].decode()
    cache = tmp_path / "cache"
    loaded = Fitted.from_pretrained("jane/shapes", cache_dir=cache, device="cpu")
    assert _alike(model, loaded)
    asked = len(hub.asked)
    hub.files.clear()
    offline = Fitted.from_pretrained(
        "jane/shapes", cache_dir=cache, local_files_only=True, device="cpu"
    )
    assert _alike(model, offline)
    assert len(hub.asked) == asked


def test_a_push_removes_what_an_earlier_model_had_and_this_one_has_not(model, hub, few, tmp_path):
    model.push_to_hub("jane/shapes", token="secret")
    assert "prior/weights.safetensors" in hub.files["jane/shapes"]
    hub.files["jane/shapes"]["notes.txt"] = b"kept"
    plain = train("segmenter", data="synthetic", size=(16, 16), steps=1, width=4,
                  out=tmp_path / "plain", device="cpu")  # fmt: skip
    plain.push_to_hub("jane/shapes", token="secret")
    assert "prior/weights.safetensors" not in hub.files["jane/shapes"]
    assert "notes.txt" in hub.files["jane/shapes"]


def test_tokens_and_revisions_are_passed_on(model, hub, tmp_path):
    model.push_to_hub("jane/shapes", token="secret")
    hub.tokens["jane/shapes"] = "secret"
    kept = {"cache_dir": tmp_path / "cache", "device": "cpu"}
    with pytest.raises(LookupError, match="the hub has no model of that name that this token"):
        Fitted.from_pretrained("jane/shapes", token=False, **kept)
    commit = hub.commit("jane/shapes")
    assert Fitted.from_pretrained("jane/shapes", token="secret", revision=commit, **kept)
    with pytest.raises(LookupError, match="has no branch, tag or commit 'old'"):
        Fitted.from_pretrained("jane/shapes", token="secret", revision="old", **kept)


def test_what_the_hub_has_not_is_a_sentence(model, hub, tmp_path):
    kept = {"cache_dir": tmp_path / "cache", "device": "cpu"}
    with pytest.raises(LookupError, match="There is no folder jane/gone"):
        Fitted.from_pretrained("jane/gone", **kept)
    with pytest.raises(LookupError, match="is not in the cache"):
        Fitted.from_pretrained("jane/gone", local_files_only=True, **kept)
    with pytest.raises(LookupError, match="There is no run runs/of/gone"):
        Fitted.from_pretrained("runs/of/gone", **kept)
    with pytest.raises(ValueError, match="is called owner/name, not 'shapes'"):
        model.push_to_hub("shapes")
    with pytest.raises(OSError, match=r"The hub did not serve jane/shapes: .*401"):
        model.push_to_hub("jane/shapes")
    hub.files["jane/other"] = {"README.md": b"of another library", "model.bin": b"a pickle"}
    with pytest.raises(LookupError, match=r"is not a run: it holds no config\.json"):
        Fitted.from_pretrained("jane/other", **kept)
    assert not [path for path in (tmp_path / "cache").rglob("*.bin")]


def test_code_from_the_hub_runs_only_if_it_is_trusted(hub, few, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "mine.py").write_text(GUIDE)
    settings = {name: value for name, value in TINY.items() if name != "spatial"}
    model = train("telbo", **settings, guide=f"{tmp_path}/mine.py:Mine", prior="standard",
                  out=tmp_path / "run")  # fmt: skip
    model.push_to_hub("jane/mine", token="secret")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("inference.runs.plugins._trusted_here", set())
    for name in [name for name in sys.modules if name.startswith("scene_foreign_")]:
        monkeypatch.delitem(sys.modules, name)
    capsys.readouterr()
    kept = {"cache_dir": tmp_path / "cache", "device": "cpu"}
    with pytest.raises(PermissionError, match="was not trained on this machine"):
        Fitted.from_pretrained("jane/mine", **kept)
    assert "code runs" not in capsys.readouterr().out
    loaded = Fitted.from_pretrained("jane/mine", trust=True, **kept)
    assert type(loaded.guide).__name__ == "Mine"
    assert "code runs" in capsys.readouterr().out


def test_without_the_library_a_folder_works_and_a_name_is_a_sentence(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    folder = model.save_pretrained(tmp_path / "a").folder
    assert Fitted.from_pretrained(folder, device="cpu")
    for call in (Fitted.from_pretrained, model.push_to_hub):
        with pytest.raises(ModuleNotFoundError, match="add the extra hub"):
            call("jane/shapes")
