"""Runs of known truth: the right code on every faulty one, no warning on any healthy one."""

import numpy as np
import pytest

from bn_tb.diagnosis import Options, diagnose
from bn_tb.rules._rule import Severity
from tests.synthetic import histogram, run, scalar

CASES_PER_TRUTH = 300
NAMES = (
    "net/conv{}/batch_normalization/{}", "bn_{}/{}/histogram", "layer{}.bn.{}", "{}.bn1.{}",
    "ModelVars/c{}/BatchNorm/{}_1", "tower/block{}/bn/{}:0", "x{}/BatchNorm/{}_0",
)  # fmt: skip


def _averages(rng, updates, channels, momentum, start=(0.0, 1.0), until=None, moves=None):
    """Returns moving mean and variance `[updates + 1, channels]`, updated where `moves` says."""
    scale, noise = 10 ** rng.uniform(-1, 1), 10 ** rng.uniform(-2.5, -1)
    drift = rng.uniform(0, 1) * rng.normal(1, 0.5, channels)
    mean = np.tile(start[0], (updates + 1, 1)) * np.ones(channels)
    variance = np.tile(start[1], (updates + 1, 1)) * np.ones(channels)
    centre = np.sqrt(scale) * rng.normal(0, 1, channels)
    for step in range(1, updates + 1):
        level = np.exp(drift * (1 - np.exp(-5 * step / updates)))
        batch = scale * level * np.exp(rng.normal(0, noise, channels))
        shifted = centre * level + np.sqrt(batch) * rng.normal(0, noise, channels)
        m = momentum if moves is None or moves[step] else 1.0
        mean[step] = m * mean[step - 1] + (1 - m) * shifted
        variance[step] = m * variance[step - 1] + (1 - m) * batch
    return mean.astype(np.float32), variance.astype(np.float32)


def _run(rng, truth):
    """Returns a run of one truth with random names, layers, steps and logging interval."""
    updates = int(rng.integers(60, 140))
    every = int(rng.integers(1, 6))
    keep = np.arange(int(rng.integers(0, 2)), updates + 1, every)
    names = NAMES[int(rng.integers(len(NAMES)))]
    first = int(rng.integers(0, 2) * rng.integers(0, 1000))
    histograms = {}
    for n in range(int(rng.integers(1, 4))):
        channels = int(rng.integers(4, 33))
        mean, variance = MAKERS[truth](rng, updates, channels)
        gamma = 1 + np.cumsum(rng.normal(0, 0.01, (updates + 1, channels)), 0)
        for role, values in zip(_roles(names), (mean, variance, gamma), strict=True):
            histograms[names.format(n, role)] = histogram(keep + first, values[keep])
    loss = {"loss": scalar(keep + first, np.exp(-keep / updates) + rng.normal(0, 0.01, keep.size))}
    return run(histograms, loss if rng.random() < 0.8 else None)


def _roles(names):
    if "." in names:
        return "running_mean", "running_var", "weight"
    return "moving_mean", "moving_variance", "gamma"


def _pretrained(rng, updates, channels):
    start = (rng.normal(0, 1, channels), np.exp(rng.normal(-1, 1, channels)))
    return _averages(rng, updates, channels, 0.99, start)


def _frozen(rng, updates, channels):
    start = (rng.normal(0, 1, channels), np.exp(rng.normal(-1, 1, channels)))
    return _averages(rng, updates, channels, 1.0, start)


def _half(rng, updates, channels):
    mean, variance = _averages(rng, updates, channels, 0.9)
    return mean, np.ones_like(variance)


def _stopped(rng, updates, channels):
    moves = np.arange(updates + 1) < updates * rng.uniform(0.3, 0.6)
    return _averages(rng, updates, channels, 0.9, moves=moves)


def _broken(rng, updates, channels):
    mean, variance = _averages(rng, updates, channels, 0.9)
    variance[int(updates * rng.uniform(0.2, 0.9)) :, 0] = np.nan
    return mean, variance


MAKERS = {
    "healthy": lambda rng, n, c: _averages(rng, n, c, rng.uniform(0.6, 0.95)),
    "fine-tuned": _pretrained,
    "frozen": _frozen,
    "stale": lambda rng, n, c: _averages(rng, n, c, 1.0),
    "lagging": lambda rng, n, c: _averages(rng, n, c, 0.999),
    "half": _half,
    "stopped": _stopped,
    "broken": _broken,
}
MUST = {
    "stale": "BN101", "frozen": "BN102", "half": "BN105", "stopped": "BN103", "broken": "BN301",
}  # fmt: skip
VERDICT = {
    "healthy": "healthy", "fine-tuned": "healthy", "frozen": "frozen", "stale": "stale",
    "half": "stale", "stopped": "stale", "broken": "broken",
}  # fmt: skip


@pytest.mark.parametrize("truth", [truth for truth in MAKERS if truth != "lagging"])
def test_every_run_of_one_truth_gets_its_code_and_no_other_warning(truth):
    rng = np.random.default_rng(len(truth))
    for _ in range(CASES_PER_TRUTH):
        judged = _run(rng, truth)
        (diagnosis,) = diagnose([judged])
        loud = {one.code for one in diagnosis.findings if one.severity > Severity.INFO}
        codes = {one.code for one in diagnosis.findings}
        assert diagnosis.verdict == VERDICT[truth], (codes, sorted(judged.histograms)[0])
        assert loud <= {MUST.get(truth)}
        assert truth not in MUST or MUST[truth] in codes


def test_every_lagging_run_whose_momentum_is_known_is_found():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(CASES_PER_TRUTH):
        judged = _run(rng, "lagging")
        starts_at_zero = judged.first_step <= 1
        (diagnosis,) = diagnose([judged], Options(momentum=0.999))
        loud = {one.code for one in diagnosis.findings if one.severity > Severity.INFO}
        assert loud <= {"BN201"}
        found += loud == {"BN201"}
        assert loud or not starts_at_zero
    assert found > CASES_PER_TRUTH / 3
