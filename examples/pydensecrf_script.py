"""A pydensecrf script; only its two imports have changed.

The script is the example in pydensecrf's README. Here it refines noisy probabilities for a
generated picture of five regions.
"""

import numpy as np

import inference.crf.pydensecrf.densecrf as dcrf  # was: import pydensecrf.densecrf as dcrf
from inference.crf.pydensecrf.utils import unary_from_softmax  # was: pydensecrf.utils


def script(probs: np.ndarray, im: np.ndarray) -> np.ndarray:
    """Refine probabilities with the settings of pydensecrf's README.

    Args:
        probs: Label probabilities, ``(L, H, W)``.
        im: The image, ``(H, W, 3)`` uint8.

    Returns:
        The most probable label of each pixel, ``(H, W)``.
    """
    nlabels, height, width = probs.shape
    d = dcrf.DenseCRF2D(width, height, nlabels)  # width, height, nlabels
    U = unary_from_softmax(probs)
    d.setUnaryEnergy(U)
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=im, compat=10)
    Q = d.inference(5)
    MAP: np.ndarray = np.argmax(Q, axis=0).reshape((height, width))
    return MAP


def picture(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels of five overlapping regions, their image, and noisy probabilities."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    truth = np.zeros((height, width), int)
    for label in range(1, 5):
        row, column = random.uniform(0.2, 0.8, 2) * (height, width)
        truth[(rows - row) ** 2 + (columns - column) ** 2 < (height / 4) ** 2] = label
    colours = random.uniform(30, 225, (5, 3))[truth] + random.normal(0, 8, (height, width, 3))
    logits = 2.0 * np.eye(5)[truth] + random.normal(0, 1.5, (height, width, 5))
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return truth, colours.clip(0, 255).astype(np.uint8), chances.transpose(2, 0, 1)


def main(height: int = 240, width: int = 320) -> None:
    """Print the share of correct pixels before and after the CRF."""
    truth, im, probs = picture(height, width)
    before, after = (probs.argmax(0) == truth).mean(), (script(probs, im) == truth).mean()
    print(f"right before the CRF: {before:.1%}, after it: {after:.1%}")


if __name__ == "__main__":
    main()
