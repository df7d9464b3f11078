"""Make the demo model that ships with scene: train it, save it in 5 MB, score both.

    python examples/demo_checkpoint.py --out scene-demo

About 40 minutes of one core. Weights are kept with 16 bits a number; the last lines compare the
scores with those of all 32 bits. ``scene sample --run scene-demo`` draws with the result; that of
``inference/demo/`` was made by this script.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from inference import Fitted, train

MOST = 5_000_000
"""The most bytes that the demo may have."""

DIRECTIONS = ((("image",), "mask"), (("image", "classes"), "mask"), (("mask",), "classes"))
"""What is scored: views given, and what is predicted."""

FIGURES = ("metrics.jsonl", "samples.png")
"""Files of a run that the demo does without."""


Scores = dict[str, tuple[float, float]]
"""Each direction's score in percent: with 32 bits a number, and with 16."""


def main(argv: Sequence[str] | None = None) -> tuple[Path, Scores]:
    """Make the demo; return its folder and its scores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("scene-demo"))
    parser.add_argument("--size", default="64x64")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--flow-steps", type=int, default=4000)
    parser.add_argument("--detail-steps", type=int, default=1200)
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args(argv)
    with TemporaryDirectory() as temporary:
        model = train(
            "telbo",
            data="synthetic:default",
            out=Path(temporary) / "run",
            size=options.size,
            steps=options.steps,
            particles=5,
            width=16,
            guide_width=12,
            latent=32,
            spatial=8,
            cell=8,
            mask_first=True,
            turns="scene",
            flow_width=40,
            flow_steps=options.flow_steps,
            details=8,
            detail_steps=options.detail_steps,
        )
        return save(model, options.out, options.force)


def save(model: Fitted, out: Path, force: bool = False) -> tuple[Path, Scores]:
    """Save a model as a demo, and compare its scores with those of the model."""
    whole = model.evaluate("test", directions=DIRECTIONS)
    with TemporaryDirectory() as temporary:
        rough = model.save_pretrained(Path(temporary) / "half", half=True).folder
        shortened = Fitted.from_pretrained(rough).evaluate("test", directions=DIRECTIONS)
    model.save_pretrained(out, force=force, license="mit", half=True, scores=shortened)
    for figure in (path for name in FIGURES for path in out.rglob(name)):
        figure.unlink()
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > MOST:
        raise ValueError(f"{out} has {size:,} bytes, more than {MOST:,}; make the model narrower.")
    before, after = whole.numpy(), shortened.numpy()
    scores = {title: (float(before[title]), float(after[title])) for title in before}
    print(f"{out}: {size / 1e6:.2f} MB")
    for title, (first, second) in scores.items():
        print(f"{title}: {first:.2f} with 32 bits, {second:.2f} with 16")
    return out, scores


if __name__ == "__main__":
    main()
