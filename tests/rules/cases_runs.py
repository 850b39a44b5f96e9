"""Cases of the rules on metrics, related runs, files and tags."""

import dataclasses

import numpy as np

from bn_tb.evidence.modes import LayerModes, Modes
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring
from bn_tb.runs.run import FileReport
from bn_tb.runs.series import HistogramSeries
from bn_tb.runs.tags import Role
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    constant,
    histogram,
    layer,
    run,
    scalar,
    subject,
    trained,
)
from tests.rules.case import case

STEPS = np.arange(0, 100, 10)


def _moving(seed=0, updates=50, shift=0.0, weights=True):
    rng = np.random.default_rng(seed)
    mean, variance = batch_statistics(np.random.default_rng(0), updates)
    noise = rng.normal(0, 0.01, mean.shape)
    gamma = {"gamma": trained(np.random.default_rng(1), updates + 1)} if weights else None
    return layer("bn", *averages(mean + noise + shift, variance, 0.9), None, gamma)


def _stale():
    return layer("bn", constant(0, 10), constant(1, 10), STEPS)


def _metric(name, first, last):
    return {name: scalar(STEPS, np.linspace(first, last, 10))}


# BN501


@case("BN501", "fires", "accuracy parts and the statistics were never updated")
def _():
    train = run(_stale(), _metric("accuracy", 0.1, 0.99), name="x/train")
    return train, run(None, _metric("accuracy", 0.1, 0.11), name="x/validation")


@case("BN501", "fires", "both metrics are in one run, in per cent")
def _():
    return run(_stale(), {**_metric("acc", 10, 99), **_metric("val_acc", 10, 12)})


@case("BN501", "fires", "the evaluation loss falls less than half of the way")
def _():
    return run(_stale(), {**_metric("loss", 2.3, 0.02), **_metric("val_loss", 2.3, 1.2)})


@case("BN501", "under", "the evaluation loss falls more than half of the way")
def _():
    return run(_stale(), {**_metric("loss", 2.3, 0.02), **_metric("val_loss", 2.3, 1.1)})


@case("BN501", "fires", "the evaluation loss does not fall")
def _():
    return run(_stale(), {**_metric("loss", 2.3, 0.1), **_metric("val_loss", 2.3, 2.4)})


@case("BN501", "under", "the accuracies are 0.19 apart")
def _():
    return run(_stale(), {**_metric("acc", 0.1, 0.8), **_metric("val_acc", 0.1, 0.61)})


@case("BN501", "look-alike", "real overfitting with healthy statistics")
def _():
    metrics = {**_metric("acc", 0.1, 0.99), **_metric("val_acc", 0.1, 0.2)}
    return run(_moving(), metrics)


@case("BN501", "look-alike", "two metrics of different names")
def _():
    return run(_stale(), {**_metric("accuracy", 0.1, 0.99), **_metric("val_iou", 0.1, 0.2)})


@case("BN501", "NaN", "the evaluation metric is NaN throughout")
def _():
    metrics = {**_metric("acc", 0.1, 0.99), "val_acc": scalar(STEPS, np.full(10, np.nan))}
    return run(_stale(), metrics)


# BN502


def _ranks(shift, weights=True):
    return tuple(
        run(_moving(seed=rank, shift=rank * shift, weights=weights), name=f"x/rank{rank}")
        for rank in range(2)
    )


@case("BN502", "fires", "equal weights, and means that are ten apart")
def _():
    return _ranks(10.0)


def _inside(shift):
    one, other = (each.histograms for each in _ranks(shift))
    copies = {
        f"{tag}/replica_{at}": series
        for at, histograms in enumerate((one, other))
        for tag, series in histograms.items()
        if "moving" in tag or "running" in tag
    }
    return run({**one, **copies})


@case("BN502", "fires", "one run that holds the statistics of both replicas")
def _():
    return _inside(10.0)


@case("BN502", "under", "replicas in one run that differ by a tenth of a standard deviation")
def _():
    return _inside(0.07)


@case("BN502", "under", "means that differ by a tenth of a standard deviation")
def _():
    return _ranks(0.07)


@case("BN502", "look-alike", "no weights tell that it is one job")
def _():
    return _ranks(10.0, weights=False)


@case("BN502", "look-alike", "train and validation of one experiment are no replicas")
def _():
    one, other = _ranks(10.0)
    return run(one.histograms, name="x/train"), run(other.histograms, name="x/validation")


# BN901


def _graph():
    return GraphEvidence(
        trains=True,
        layers={"bn": LayerWiring("bn", {Role.MOVING_MEAN: "bn/moving_mean"}, {})},
    )


@case("BN901", "fires", "the graph has batch norm and no histogram is logged")
def _():
    return subject(run(), graph=_graph())


@case("BN901", "fires", "PyTorch's parameters are logged and its buffers are not")
def _():
    names = ("layer1.bn1.weight", "layer1.bn1.bias")
    return run({name: histogram(STEPS, constant(1, 10)) for name in names})


@case("BN901", "under", "the statistics are logged too")
def _():
    return subject(run(_moving()), graph=_graph())


@case("BN901", "look-alike", "gamma and beta of a layer normalisation")
def _():
    names = ("layer_normalization/gamma", "layer_normalization/beta")
    return run({name: histogram(STEPS, constant(1, 10)) for name in names})


# BN902


@case("BN902", "fires", "one snapshot at exactly 0 and 1")
def _():
    return run(layer("bn", constant(0, 1), constant(1, 1)))


@case("BN902", "fires", "two points at one step")
def _():
    return run(layer("bn", constant(2, 2), constant(3, 2), [7, 7]))


@case("BN902", "fires", "initial values in a run whose weights stand still")
def _():
    return run(layer("bn", constant(0, 10), constant(1, 10), STEPS, {"gamma": constant(1, 10)}))


@case("BN902", "under", "two steps")
def _():
    return run(layer("bn", constant(2, 2), constant(3, 2), [7, 8]))


@case("BN902", "look-alike", "no batch norm at all")
def _():
    return run(None, _metric("loss", 2, 1))


# BN903


def _file(status, size=100, events=3):
    return (FileReport("events.1", size, events, status, "byte 90: cut"),)


@case("BN903", "fires", "a checksum is wrong")
def _():
    return run(_moving(), files=_file("corrupt"))


@case("BN903", "fires", "the tail is unfinished")
def _():
    return run(_moving(), files=_file("truncated"))


@case("BN903", "under", "the file is whole")
def _():
    return run(_moving(), files=_file("ok"))


@case("BN903", "look-alike", "a run without files, made in memory")
def _():
    return run(_moving())


# BN904


def _mixed(parts, tag="moving_mean", channels=(8, 8, 8)):
    """Returns a series in which `parts` layers wrote one after the other at each of ten steps."""
    rng = np.random.default_rng(0)
    series = [histogram(STEPS, rng.normal(2, 1, (10, channels[n]))) for n in range(parts)]
    return {f"{tag}/histogram": interleaved(series)}


def interleaved(series):
    """Returns one series with the points of several at each step."""
    names = ("steps", "wall_times", "minimum", "maximum", "count", "total", "sum_squares", "bands")
    columns = {
        name: np.stack([getattr(one, name) for one in series], 1).reshape(
            -1, *getattr(series[0], name).shape[1:]
        )
        for name in (*names, "identity")
    }
    return HistogramSeries(**columns)


@case("BN904", "fires", "three Keras 3 layers wrote one tag without a name")
def _():
    return run({**_mixed(3), **_mixed(3, "moving_variance")})


@case("BN904", "fires", "two layers of different sizes wrote one tag with a name")
def _():
    sizes = (8, 16)
    tags = ("bn/moving_mean", "bn/moving_variance")
    return run({k: v for tag in tags for k, v in _mixed(2, tag, sizes).items()})


@case("BN904", "under", "one layer wrote a tag without a name")
def _():
    return run({**_mixed(1), **_mixed(1, "moving_variance")})


@case("BN904", "look-alike", "every checkpoint is evaluated twice")
def _():
    twice = np.repeat(np.arange(51), 2)
    mean, variance = averages(*batch_statistics(np.random.default_rng(0), 50), 0.9)
    return run(layer("bn", mean[twice], variance[twice], twice))


# BN905


@case("BN905", "fires", "the steps begin again in the middle")
def _():
    steps = np.concatenate([np.arange(50), np.arange(30, 60)])
    return run(None, {"loss": scalar(steps, np.ones(80))})


@case("BN905", "under", "a step is written twice")
def _():
    return run(None, {"loss": scalar([1, 2, 2, 3], np.ones(4))})


@case("BN905", "look-alike", "two tags are written at different steps")
def _():
    series = {"loss": scalar([1, 2, 3], np.ones(3)), "val_loss": scalar([0, 2], np.ones(2))}
    return run(None, series)


# BN503


def _modes(difference, **layer):
    one = LayerModes("bn", **{"means": 0.1, "ratio": 1.1, **layer})
    made = subject(run(None))
    return dataclasses.replace(made, modes=Modes((one,), difference, (0.5, 0.99), 16))


@case("BN503", "fires", "never updated")
def _():
    return _modes(2.0, means=3.0, ratio=0.1, initial=True)


@case("BN503", "fires", "a variance three times too small")
def _():
    return _modes(0.5, ratio=0.3)


@case("BN503", "under", "distances that are sampling noise")
def _():
    return _modes(2.0, means=0.8, ratio=1.8)


@case("BN503", "look-alike", "other statistics that change no output")
def _():
    return _modes(0.1, means=3.0, ratio=0.1)
