"""Every example runs; one without an entry in the table fails, so that none goes unrun."""

import importlib.util
import json
from pathlib import Path

import pyro
import pytest
import torch

from inference.guides import RetrofitGuide
from inference.objectives.bounds import iwae
from inference.runs.checkpoints import restore
from inference.settings.recipes import recipe
from inference.training.session import train
from scene.datasets.catalogue import open_data
from scene.datasets.synthetic.dataset import COUNTS
from scene.registry import load
from scene.views import VIEWS, Views

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

TINY = {"size": (16, 16), "count": 32, "latent": 4, "width": 2, "guide_width": 2}

TABLE = "--steps 2 --count 32 --size 16x16 --seeds 1".split()

QUICK = {
    "close_the_gap": {
        "argv": [*TABLE, "--points", "1", "--width", "2", "--rows", "j-VAE (image)"],
    },
    "compare_models": {"argv": [*TABLE, "--rows", "segmenter"]},
    "demo_checkpoint": {
        "argv": "--size 32x32 --steps 1 --flow-steps 1 --detail-steps 1 --out demo".split(),
    },
    "fused_pass_figure": {"out": "fused-pass.png"},
    "mean_field_and_gibbs": {"scenes": 1, "size": 16, "sweeps": 2, "chains": 2},
    "own_guide": {"steps": 1, "particles": 2, "batch_size": 64, **TINY},
    "own_objective": {"steps": 1, "many": 3, "batch_size": 64, **TINY},
    "own_dataset": {"steps": 1, "size": (16, 16), "width": 2, "count": 8},
    "own_prior": {"steps": 1, "batch_size": 8, **TINY},
    "own_recipe": {"steps": 1, "batch_size": 8, **TINY},
    "own_view": {"steps": 1, "batch_size": 8, **TINY},
    "pydensecrf_script": {"height": 60, "width": 80},
    "pyro_svi": {"steps": 2},
    "starved": {
        "argv": [
            *TABLE,
            "--masks",
            "4",
            "--generator-steps",
            "2",
            "--flow-steps",
            "2",
            "--generated",
            "2",
        ],
    },
    "why_the_gap": {
        "argv": [*TABLE, "--width", "2", "--guide-width", "2", "--rows", "report's form;j-VAE"],
    },
}
"""For each example, arguments of its ``main`` that make it take a moment."""


def _path(name):
    return next(path for path in EXAMPLES if path.stem == name)


def _main(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(autouse=True)
def tidy(tmp_path, monkeypatch, few):
    """Keep runs and trust in a folder of their own, and Pyro's parameter store empty.

    What is learned from and scored is a handful of scenes, but for 64 that an example looks at.
    """
    monkeypatch.setitem(COUNTS, "val", 64)
    monkeypatch.setenv("SCENE_RUNS", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    yield
    pyro.clear_param_store()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, capsys):
    assert path.stem in QUICK, f"Add {path.name} to QUICK, with arguments that make it quick."
    _main(path)(**QUICK[path.stem])
    assert capsys.readouterr().out


def test_the_table_names_examples_that_exist():
    assert set(QUICK) <= {path.stem for path in EXAMPLES}


@pytest.mark.parametrize("name", [p.stem for p in EXAMPLES if p.stem.startswith("own_")])
def test_an_extension_of_ones_own_takes_less_than_sixty_lines(name):
    assert len(_path(name).read_text(encoding="utf-8").splitlines()) < 60


def test_the_jackknife_takes_away_a_bias_of_one_over_k():
    """Were IWAE log p − c / K exactly, the jackknife would be log p exactly."""
    log_w = torch.randn(64, 4000, generator=torch.Generator().manual_seed(0)).double()
    reduce = load(f"{_path('own_objective')}:Jackknife", {}, "objective")(5).reduce
    truth = 0.5  # log E exp N(0, 1)
    groups = log_w.view(16, 4, -1).movedim(0, 1).flatten(1)
    assert abs(reduce(groups).mean() - truth) < abs(iwae(groups).mean() - truth) / 3
    same = torch.full((5, 2), 1.5).double()
    torch.testing.assert_close(reduce(same), same[0])


def test_the_jackknife_asks_for_a_draw_to_leave_out():
    with pytest.raises(ValueError, match="leaves one draw out; give it 2 or more"):
        load(f"{_path('own_objective')}:Jackknife", {}, "objective")(1)


def test_an_outline_is_where_labels_meet_and_is_seen_where_the_mask_is(pets):
    kind = load(f"{_path('own_view')}:OutlinedScene", {}, "view")
    mask = torch.tensor([[[0, 0, 2], [1, 0, 0]]])
    result = kind(pets.schema, latent=2, width=2).extend(Views({"mask": mask}))
    assert result["outline"].equal(torch.tensor([[[[0.0, 1, 0], [1, 0, 0]]]]))
    assert result.names == ("mask", "outline")


def test_classic_svi_learns_only_what_is_in_the_parameter_store(capsys):
    losses = _main(_path("pyro_svi"))(steps=20)
    assert "trains the guide: False" in capsys.readouterr().out
    assert sum(losses[-5:]) < sum(losses[:5])


def test_a_run_keeps_the_guide_it_was_trained_with():
    """A foreign guide trains by path, is copied into the run, and is restored from there."""
    guide = f"{_path('own_guide')}:FlowGuide"
    run = train(recipe("telbo").settings(guide=guide, steps=1, batch_size=64, **TINY)).run
    assert run.settings.guide.name == f"{run.folder.absolute()}/code/own_guide.py:FlowGuide"
    config = json.loads(run.path("config.json").read_text())
    assert config["settings"]["guide"]["name"] == "code/own_guide.py:FlowGuide"
    restored = restore(run).guide
    assert type(restored).__name__ == "FlowGuide"
    assert restored.accepts(("mask",))


@pytest.fixture
def flow(pets):
    torch.manual_seed(0)
    kind = load(f"{_path('own_guide')}:FlowGuide", {}, "guide")
    return kind(pets.schema, VIEWS, latent=6, width=2)


@pytest.fixture
def pets(voc_folder):
    return open_data(str(voc_folder), "val", (32, 32))


def test_a_flow_that_has_learnt_nothing_is_the_default_guide(flow, pets):
    seen = pets.views(range(4)).only(("image", "mask"))
    base = RetrofitGuide.posterior(flow, seen)
    z = base.sample((3,))
    torch.testing.assert_close(flow.posterior(seen).log_prob(z), base.log_prob(z))


def test_a_bent_flow_scores_any_z_by_the_change_of_variables(flow, pets):
    """log q(z) = log N(ε) − log |det ∂z/∂ε|, the determinant worked out the slow way."""
    for parameter in flow.couplings.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    q = flow.posterior(pets.views(range(4)).only(("image",)))
    noise = torch.randn(4, 6)
    jacobian = torch.autograd.functional.jacobian(lambda e: _bent(q, e), noise)
    volume = torch.stack([jacobian[b, :, b].slogdet().logabsdet for b in range(4)])
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(noise).sum(-1) - volume
    z = _bent(q, noise).clone()  # a stranger: no transform remembers it
    torch.testing.assert_close(q.log_prob(z), expected, rtol=1e-4, atol=1e-4)


def _bent(q, noise):
    for transform in q.transforms:
        noise = transform(noise)
    return noise


def test_a_comparison_reuses_its_results(tmp_path, capsys):
    main = _main(_path("compare_models"))
    argv = [*TABLE, "--rows", "segmenter", "--out", str(tmp_path / "table")]
    main(argv)
    table = capsys.readouterr().out
    (written,) = (tmp_path / "table").glob("*/scores-*.json")
    result = json.loads(written.read_text())
    result["result"]["cells"][0]["score"]["miou"] = 98.7
    written.write_text(json.dumps(result))
    main(argv)
    again = capsys.readouterr().out
    assert "98.7" not in table
    assert "| `segmenter` | 98.7 | – | – |" in again


def test_a_comparison_refuses_a_row_it_does_not_know():
    with pytest.raises(SystemExit, match="Did you mean 'jmvae'"):
        _main(_path("compare_models"))(["--rows", "jmvea"])
