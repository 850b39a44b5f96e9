"""What a log of single numbers, such as norms of the statistics, proves of them."""

import numpy as np
import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.layers import Motion, find_layers
from tests.builders.synthetic import averages, batch_statistics, constant, histogram, layer, run

STEPS = np.arange(41)


def _numbers(values):
    """A series of one number a point."""
    return histogram(STEPS, np.asarray(values, np.float32)[:, None])


def _norms(mean, variance, prefix="norm"):
    norms = {
        name: _numbers(np.linalg.norm(values, axis=1))
        for name, values in (("running_mean", mean), ("running_var", variance))
    }
    trained = histogram(STEPS, np.random.default_rng(0).normal(size=(41, 5)))
    tags = {f"{prefix}/bn.{name}": series for name, series in norms.items()}
    return run(tags | {f"{prefix}/conv.weight": trained})


@pytest.mark.parametrize("channels", [2, 8, 64, 2048])
def test_the_norm_of_ones_beside_means_of_0_is_never_updated_whatever_the_channels(channels):
    still = _norms(np.zeros((41, channels)), np.ones((41, channels)))
    (judged,) = diagnose([still])
    (finding,) = [one for one in judged.findings if one.code == "BN101"]
    assert any("the norm of ones" in line for line in finding.evidence)


def test_norms_that_move_are_not_never_updated():
    mean, variance = averages(*batch_statistics(np.random.default_rng(0), 40), 0.5)
    (judged,) = diagnose([_norms(mean, variance)])
    assert judged.verdict == "healthy"


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 2.83), (0.1, np.sqrt(8))])
def test_other_norms_that_stand_are_frozen(mean, variance):
    tags = {"bn.running_mean": [mean] * 41, "bn.running_var": [variance] * 41}
    (found,) = find_layers(run({tag: _numbers(values) for tag, values in tags.items()}))
    assert found.motion is Motion.CONSTANT


@pytest.mark.parametrize("scope", ["grad", "gradients", "update_ratio"])
def test_what_a_statistic_did_is_not_what_it_holds(scope):
    zero = layer(f"{scope}/bn", constant(0, 41), constant(0, 41))
    assert not find_layers(run(zero))
    assert find_layers(run(layer("diff/bn", constant(0, 41), constant(0, 41))))
