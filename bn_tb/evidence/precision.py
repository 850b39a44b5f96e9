"""In which number format statistics are stored, as far as their values tell.

A value of bfloat16 has 8 significant bits, one of float16 has 11, one of float32 has 24. Of values
of float32 one in 2**16 has 8 and one in 2**13 has 11 by chance: a few different ones decide.
"""

from collections.abc import Iterator

import numpy as np

from bn_tb.layers import BatchNormLayer
from bn_tb.runs.series import FloatArray

FORMATS = {"bfloat16": 8, "float16": 11}
"""Significant bits of formats that are too coarse for averages, the leading one included."""

_FEWEST = 8  # different values that are no powers of two
_MOST = 4096  # values of a series that are looked at


def coarse_format(layer: BatchNormLayer) -> str:
    """Returns `bfloat16` or `float16` if a layer's statistics are stored so, else an empty string.

    Statistics that never moved say nothing; then gamma and beta speak for them.
    """
    for values in _values(layer):
        significant = np.abs(np.frexp(values)[0])
        told = np.unique(significant[significant != 0.5])
        if told.size >= _FEWEST:
            scaled = ((name, told * 2.0**bits) for name, bits in FORMATS.items())
            return next((name for name, one in scaled if (one == np.rint(one)).all()), "")
    return ""


def _values(layer: BatchNormLayer) -> Iterator[FloatArray]:
    """Yields extremes, which are values of single channels: of statistics, then of weights."""
    own = [series for _, series in layer.finite]
    for group in (own, list(layer.weights.values())):
        columns = [edge[-_MOST:] for one in group for edge in (one.minimum, one.maximum)]
        values = np.concatenate([np.empty(0), *columns])
        yield values[np.isfinite(values) & (values != 0)]
