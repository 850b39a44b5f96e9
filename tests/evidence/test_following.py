"""Weights of copies follow those of the original; weights that are trained side by side do not."""

import numpy as np
import pytest

from bn_tb.evidence.following import follows
from tests.builders.drawn_runs import histogram_series
from tests.builders.synthetic import followed, trained

STEPS = np.arange(201)


def _weights(seed, decay=0.0):
    """Returns five weights, `[201, 8]`, that start apart and shrink together."""
    rng = np.random.default_rng(seed)
    shrinks = (1 - decay) ** STEPS[:, None]
    return [(trained(rng, STEPS.size) + rng.normal(0, 1, 8)) * shrinks for _ in range(5)]


def _follows(copies, originals, every=1, exact=True):
    at = STEPS[::every]
    return follows(
        tuple(histogram_series(at, values[at], exact) for values in pair)
        for pair in zip(copies, originals, strict=True)
    )


@pytest.mark.parametrize("every", [1, 10, 40])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.99, 0.999])
def test_an_average_follows_the_original_and_is_not_followed_by_it(decay, every):
    originals = _weights(0)
    copies = [followed(values, decay) for values in originals]
    quick = decay > 0 and decay**every < 0.3  # and between two points all the way
    assert _follows(copies, originals, every) is (None if quick else True)
    assert decay == 0 or not _follows(originals, copies, every)


@pytest.mark.parametrize("every", [1, 7, 10, 40])
def test_a_target_that_takes_the_weights_over_at_times_follows(every):
    originals = _weights(0)
    copies = [values[STEPS // 10 * 10] for values in originals]
    assert _follows(copies, originals, every)


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_thirty_buckets_show_an_average_by_its_extremes(decay):
    originals = _weights(0)
    copies = [followed(values, decay) for values in originals]
    assert _follows(copies, originals, exact=False)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("every", [1, 10, 40])
@pytest.mark.parametrize("seed", range(10))
def test_networks_that_are_trained_side_by_side_do_not_follow_each_other(seed, every, decay):
    assert not _follows(_weights(seed, decay), _weights(seed + 100, decay), every)


def test_a_mean_that_moves_by_rounding_alone_says_nothing():
    originals, rng = _weights(0), np.random.default_rng(5)
    copies = [followed(values, 0.999) for values in originals]
    for weights in (originals, copies):
        last = rng.normal(0, 1, (STEPS.size, 8))
        last -= last.mean(1, keepdims=True)
        weights.append(0.3 + last + rng.normal(0, 1e-9, (STEPS.size, 1)))
    assert _follows(copies, originals)


def test_few_points_do_not_tell():
    assert follows(()) is None
    apart = [histogram_series(STEPS + shift, _weights(0)[0]) for shift in (0, 1000)]
    assert follows([tuple(apart)]) is None
    still = histogram_series(STEPS, np.ones((201, 8)) + np.eye(8)[STEPS % 8] * 1e-9)
    assert follows([(still, still)] * 2) is True
    originals = _weights(0)[:1]
    assert _follows([followed(originals[0])], originals, every=40) is None
