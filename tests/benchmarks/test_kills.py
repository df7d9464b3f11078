"""Every command that takes long is killed at random, many times, and comes to the same end.

What is compared are the bytes of all files but those that tell of times: TensorBoard's, and the
journal of a search. Nothing may be left over: no parts of files, no locks, no processes.
"""

import hashlib
import json
import random
import signal

import pytest

SMALL = ("--size", "16x16", "--steps", "60", "--batch-size", "4", "--width", "4")
LATENT = ("--latent", "4", "--guide-width", "4")
OFTEN = ("--validate-every", "5", "--out", "run")
REPRODUCE = (
    "reproduce --data synthetic --size 16x16 --classifier-steps 20 --sec-steps 20 "
    "--supervised-steps 20 --alphas 3 --betas 10 --engine exact --out run --seeds 2"
).split()
TUNE = ("tune", "segmenter", *SMALL, "--over", "lr=1e-4,1e-3,1e-2", "--sampler", "grid")

COMMANDS = {
    "telbo": (("train", "telbo", *SMALL, *LATENT, *OFTEN), 10),
    "segmenter": (("train", "segmenter", *SMALL, *OFTEN), 6),
    "classifier": (("train", "classifier", *SMALL, *OFTEN), 6),
    "sec": (("train", "sec", *SMALL, *OFTEN, "--classifier", "../made/classifier"), 6),
    "pseudo-label": (("pseudo-label", "--run", "../made/segmenter", "--out", "run"), 6),
    "generate": (("generate", "--run", "../made/telbo", "-n", "200", "--out", "run"), 6),
    "tune": ((*TUNE, "--jobs", "1", "--out", "run"), 4),
    "tune with two processes": ((*TUNE, "--jobs", "2", "--out", "run"), 4),
    "reproduce": ((*REPRODUCE, "--jobs", "1"), 4),
    "reproduce with two processes": ((*REPRODUCE, "--jobs", "2"), 4),
}
"""What is killed, and how often: 56 times in all."""


@pytest.fixture(scope="module")
def made(command, tmp_path_factory):
    """Train what other commands need; give the folder beside which they are called."""
    home = tmp_path_factory.mktemp("kills")
    for name in ("classifier", "segmenter", "telbo"):
        words = [w if w != "run" else name for w in COMMANDS[name][0]]
        done = command(words, home / "made")
        assert done["status"] == 0, done["said"]
    return home


def _timeless(data):
    """Leave times out of plain data."""
    if isinstance(data, dict):
        return {key: _timeless(value) for key, value in data.items() if key != "seconds"}
    return [_timeless(value) for value in data] if isinstance(data, list) else data


def _content(path, folder):
    if path.suffix == ".json":
        text = path.read_text().replace(str(folder), "")
        return json.dumps(_timeless(json.loads(text)), sort_keys=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _contents(folder):
    """Say what is in a folder, but for what tells of times."""
    return {
        path.relative_to(folder).as_posix(): _content(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name and path.name != "trials.log"
    }


def _names(folder):
    """List the files of a folder, by their paths in it; TensorBoard's are called by time."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder) for path in files if "tfevents" not in path.name}


def _next(words, place):
    """Say what a person would type after a kill; None if there is nothing left to do."""
    run = place / "run"
    if words[0] != "train":
        return None if words[0] in ("pseudo-label", "generate") and run.exists() else words
    if (run / "summary.json").exists():
        return None
    begun = any((run / f"{name}.safetensors").exists() for name in ("checkpoint", "weights"))
    return ("train", "--resume", "run") if begun else (*words, "--force")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_is_answered_with_how_to_go_on(command, made, name, number):
    words, _ = COMMANDS[name]
    undisturbed = made / f"{name} {number} whole" / "run"
    whole = command(words, undisturbed.parent)
    generator = random.Random(f"signals for {name} {number}")
    answers = 0
    for attempt in range(60):  # many come before a short command began, or when it was done
        if answers == 3:
            break
        place = made / f"{name} {number} {attempt}"
        done = command(words, place, generator.uniform(0.05, 1.0) * whole["seconds"], number)
        assert not done["survivors"]
        answers += done["status"] == 128 + number
        if done["status"] == -number:  # it came before the command began, or when it was done
            run = place / "run"
            assert not run.exists() or _names(run) == _names(undisturbed), done["said"]
        elif done["status"]:
            assert done["status"] == 128 + number, done["said"]
            last = done["said"].strip().splitlines()[-1]
            assert last.startswith("scene: interrupted. ")
            assert any(w in last for w in ("go on with: scene", "same command", "run the command"))
            assert "Traceback" not in done["said"]
    assert answers


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_and_repeated_writes_the_same_files(command, made, name):
    words, times = COMMANDS[name]
    whole = command(words, made / f"{name} whole")
    assert whole["status"] == 0, whole["said"]
    expected = _contents(made / f"{name} whole" / "run")
    generator = random.Random(f"kills of {name}")
    killed, place = 0, None
    for attempt in range(5 * times):
        if killed >= times:
            break
        place, arguments = made / f"{name} {attempt}", words
        while arguments is not None:
            patience = None if killed >= times else generator.uniform(0.0, 1.1) * whole["seconds"]
            done = command(arguments, place, patience)
            assert done["status"] in (0, -9), done["said"]
            assert not done["survivors"]
            killed += done["status"] == -9
            arguments = _next(words, place) if done["status"] else None
        assert _contents(place / "run") == expected
        left = [p.name for p in place.rglob(".*")] + [p.name for p in place.rglob("*.tmp*")]
        assert not left
    print(f"{name}: killed {killed} times, {whole['seconds']:.1f} s undisturbed")
    assert killed >= times


def _digests(folder):
    """Say what is in a folder, but for what tells of times."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name and path.name != ".lock"
    }


MASKS = (
    "masks", "photos", "--out", "weak", "--count", "8", "--size", "32x32", "--engine", "exact",
    "--classifier", "width=4,batch-size=4,steps=4", "--no-overlays", "--confidence", "0.1",
    "--device", "cpu",
    "--sec", "width=4,batch-size=4,steps=25,validate-every=5",
)  # fmt: skip


def test_masks_that_are_killed_in_a_training_go_on_to_the_same_bytes(
    command, class_folder, tmp_path
):
    result = command(MASKS, tmp_path, 2, file="runs/masks-weak/sec/checkpoint.safetensors")
    assert result["status"] == -9, result["said"]
    assert not (tmp_path / "weak").exists()
    rest = command(MASKS, tmp_path)
    assert rest["status"] == 0, rest["said"]
    assert "classifier is complete already, and is kept" in rest["said"]
    assert "SEC goes on where an interrupted call stopped" in rest["said"]
    went_on = _digests(tmp_path / "weak")
    whole = command((*MASKS, "--force"), tmp_path)
    assert whole["status"] == 0, whole["said"]
    theirs = _digests(tmp_path / "weak")
    assert went_on.pop("about.json") != theirs.pop("about.json")  # says what was continued
    assert went_on == theirs
