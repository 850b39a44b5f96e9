"""Small pictures made in code: four classes whose pixels are far from mean 0 and variance 1."""

from typing import Any

import numpy as np

CLASSES = 4
SIDE = 8
BATCH = 32

STANDARDISED: Any = {"mean": 0.5, "scale": 1.0}
"""Pictures that a network also learns without normalising them by batch."""

OTHER_DATA: Any = {"mean": -20.0, "scale": 40.0}
"""Pictures whose statistics are far from those of the pictures that networks are pretrained on."""


def pictures(
    count: int, seed: int = 0, mean: float = 40.0, scale: float = 10.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns `count` pictures and their classes.

    Args:
      count: Number of pictures N.
      seed: Seed of the noise; the patterns of the classes are the same for all seeds.
      mean: Mean of the pixels; like those of unscaled pictures it is far from 0, ...
      scale: ... and so is their spread from 1: stale statistics ruin the evaluation.

    Returns:
      Pictures, float32 `[N, 8, 8, 1]`, and classes, int32 `[N]` in 0 to 3.
    """
    patterns = np.random.default_rng(7).standard_normal((CLASSES, SIDE, SIDE, 1))
    noise = np.random.default_rng(seed)
    labels = noise.integers(CLASSES, size=count).astype(np.int32)
    pixels = patterns[labels] + 0.7 * noise.standard_normal((count, SIDE, SIDE, 1))
    return (mean + scale * pixels).astype(np.float32), labels


def batches(steps: int, size: int = BATCH, **options: float):
    """Yields (step from 1, pictures `[size, 8, 8, 1]`, classes `[size]`), a fresh batch a step."""
    images, labels = pictures(steps * size, **options)
    for step in range(steps):
        part = slice(step * size, (step + 1) * size)
        yield step + 1, images[part], labels[part]
