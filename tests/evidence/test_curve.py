"""The estimator of the initial value's share on synthetic averages with known truth."""

import numpy as np
import pytest

from bn_tb.evidence import curve
from tests.builders.synthetic import histogram

CASES = 1200
PATHS = ("stay", "relax", "grow", "walk")


def _drift(rng, path, updates, channels, size):
    """Returns the logarithm of how far batch statistics have drifted, `[updates, channels]`."""
    time = np.arange(1, updates + 1)[:, None]
    own = rng.normal(1, 0.5, channels)
    if path == "relax":
        constant = updates * 10 ** rng.uniform(-2, 0.3)
        return size * own * (1 - np.exp(-time / constant))
    if path == "grow":
        return size * own * time / updates
    if path == "walk":
        return np.cumsum(rng.normal(0, size / np.sqrt(updates), (updates, channels)), 0)
    return np.zeros((updates, channels))


def _began(rng, path, share, updates, every):
    """Returns the curves of one layer of which `share` of the initial values is left."""
    channels, noise = int(2 ** rng.uniform(2, 6.5)), 10 ** rng.uniform(-2.5, -0.7)
    scale = 10 ** rng.uniform(-1.2, 1)
    drift = _drift(rng, path, updates, channels, 10 ** rng.uniform(-1.5, 0.5))
    variance = scale * np.exp(rng.normal(0, rng.uniform(0.1, 1), channels) + drift)
    variance = variance * np.exp(rng.normal(0, noise, drift.shape))
    mean = np.sqrt(scale) * (rng.normal(0, 1, channels) + 0.7 * drift * rng.normal(size=channels))
    mean = mean + np.sqrt(variance) * rng.normal(0, noise, drift.shape)
    keep = np.unique(np.append(np.arange(0, updates + 1, every), updates))
    # An average after t updates is the sum of batch b with weight (1 - m) m**(t - b).
    momentum = share ** (1 / updates)
    age = keep[:, None] - np.arange(1, updates + 1)[None, :]
    weight = np.where(age >= 0, (1 - momentum) * momentum ** np.maximum(age, 0), 0.0)
    left = momentum ** keep[:, None]
    series = (weight @ mean, left + weight @ variance)
    return curve.Began(*(histogram(keep, values) for values in series), start=0.0)


def _estimates(rng, share_of_case):
    """Yields truth and estimate of `CASES` runs of one to four layers."""
    for n in range(CASES // 2):
        updates = int(10 ** rng.uniform(1.5, 2.5))
        every = max(1, int(updates / 10 ** rng.uniform(0.7, 2)))
        share, path = share_of_case(rng), PATHS[n % len(PATHS)]
        layers = [_began(rng, path, share, updates, every) for _ in range(int(rng.integers(1, 5)))]
        yield share, curve.share_of(layers)


def test_no_healthy_run_of_600_is_called_lagging_however_its_data_drift():
    rng = np.random.default_rng(1)
    shares = [found for _, found in _estimates(rng, lambda rng: 10 ** rng.uniform(-12, -1.7))]
    wrong = [found for found in shares if found.estimate is not None and found.estimate > 0.1]
    assert len(shares) == CASES // 2
    assert not wrong


def test_most_of_600_lagging_runs_are_found_and_the_error_is_the_one_stated():
    rng = np.random.default_rng(2)
    pairs = list(_estimates(rng, lambda rng: rng.uniform(0.12, 0.95)))
    errors = [abs(found.estimate - truth) for truth, found in pairs if found.estimate is not None]
    assert len(errors) / len(pairs) > 0.85
    assert np.quantile(errors, 0.5) < 0.02
    assert np.quantile(errors, 0.9) < 0.08


def test_the_floor_is_never_below_the_truth_whatever_the_data_do():
    rng = np.random.default_rng(3)
    pairs = list(_estimates(rng, lambda rng: 10 ** rng.uniform(-6, 0)))
    assert all(found.bound >= truth * (1 - 1e-6) for truth, found in pairs)


@pytest.mark.parametrize("points", [1, 2, 3])
def test_too_few_points_give_a_bound_and_no_estimate(points):
    steps = np.arange(points) * 10
    values = np.full((points, 4), 0.9)
    began = curve.Began(histogram(steps, 0.1 * values), histogram(steps, values), -1.0)
    found = curve.share_of([began])
    assert found.estimate is None
    assert 0 < found.bound <= 1


def _rising(near, far, channels=8, first=20):
    """Returns a layer whose channels are `near` of 0 and 1 at a first point, and `far` at step 300.

    The growth bends as no average of steady data does, so that only the start tells.
    """
    steps = np.arange(first, 301, 20)
    part = ((steps - first) / (300 - first)) ** 2
    away = (near + (far - near) * part)[:, None] * np.linspace(0.5, 1, channels)
    return curve.Began(histogram(steps, away / 2), histogram(steps, 1 + away), 0.0)


def test_layers_that_hardly_left_0_and_1_at_the_first_point_lag():
    share = curve.share_of([_rising(0.04, 0.6), _rising(0.02, 0.3)]).estimate
    assert share > 0.9**15


@pytest.mark.parametrize(
    "layers",
    [
        [_rising(0.06, 0.6)],  # further away than real channels may be
        [_rising(0.04, 0.3)],  # less than ten times as far later
        [_rising(0.04, 0.6, channels=4)],  # few channels may be there by chance
        [_rising(0.04, 0.6), _rising(0.2, 0.6)],  # one layer has left
        [_rising(0.04, 0.6, first=4)],  # so early that a tenth of the way may be 5 % at the end
    ],
)
def test_other_starts_tell_nothing(layers):
    assert curve.share_of(layers).estimate is None
