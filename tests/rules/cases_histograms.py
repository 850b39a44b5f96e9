"""Cases of the rules on curves: where they fire, and where they must stay silent."""

import dataclasses

import numpy as np

from bn_tb.diagnosis import Options
from bn_tb.layers.trajectory import take
from bn_tb.runs.run import Session
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    constant,
    followed,
    histogram,
    layer,
    run,
    scalar,
    trained,
)
from tests.rules.case import case

STEPS = np.arange(0, 100, 10)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _moving(updates=200, momentum=0.9, seed=0, **statistics):
    """Returns moving mean and variance `[updates + 1, 8]` of a healthy layer."""
    return averages(*batch_statistics(_rng(seed), updates, **statistics), momentum)


def _stale(points=10, weights=None):
    return layer("bn", constant(0, points), constant(1, points), STEPS[:points], weights)


# BN101


@case("BN101", "fires", "both statistics are initial and gamma changes")
def _():
    return run(_stale(weights={"gamma": trained(_rng(), 10)}))


@case("BN101", "fires", "a training metric changes")
def _():
    return run(_stale(), {"loss": scalar(STEPS, np.linspace(2, 1, 10))})


@case("BN101", "fires", "steps advance and nothing else is logged")
def _():
    return run(_stale())


@case("BN101", "fires", "averages of tensors begin at 0 and 0")
def _():
    tags = {"bn/moments/mean": 0.0, "bn/moments/variance": 0.0}
    histograms = {
        f"{tag}/ExponentialMovingAverage": histogram(STEPS, constant(value, 10))
        for tag, value in tags.items()
    }
    return run(histograms, {"loss": scalar(STEPS, np.linspace(2, 1, 10))})


@case("BN101", "fires", "the weights are logged in a related run")
def _():
    weights = {"conv/kernel": histogram(STEPS, trained(_rng(), 10))}
    return run(_stale(), name="statistics"), run(weights, name="statistics/train")


@case("BN101", "under", "one point of the mean differs in its last bit")
def _():
    mean = constant(0, 10)
    mean[-1, 0] = np.finfo(np.float32).tiny
    return run(layer("bn", mean, constant(1, 10), STEPS, {"gamma": trained(_rng(), 10)}))


@case("BN101", "look-alike", "gamma and beta hold folded statistics: a FrozenBatchNorm")
def _():
    weights = {"gamma": constant(0.7, 10), "beta": constant(-0.2, 10)}
    head = {"head/kernel": histogram(np.arange(10), trained(_rng(), 10))}
    return run({**layer("bn", constant(0, 10), constant(1, 10), None, weights), **head})


@case("BN101", "look-alike", "weights are logged and stand still: an evaluation run")
def _():
    return run(_stale(weights={"gamma": constant(1, 10)}))


@case("BN101", "look-alike", "an observation normaliser of reinforcement learning")
def _():
    names = ("running_mean_std.running_mean", "running_mean_std.running_var")
    return run({name: histogram(STEPS, constant(n, 10)) for n, name in enumerate(names)})


@case("BN101", "look-alike", "TensorBoard's histogram tutorial has no variance of this name")
def _():
    tags = ("normal/moving_mean", "normal/shrinking_variance")
    return run({tag: histogram(STEPS, constant(n, 10)) for n, tag in enumerate(tags)})


@case("BN101", "look-alike", "the layer is frozen on purpose, the user says")
def _():
    judged = run(_stale(weights={"gamma": trained(_rng(), 10)}))
    return judged, Options(frozen=("b*",))


@case("BN101", "short", "a single snapshot at exactly 0 and 1")
def _():
    return run(_stale(points=1), {"loss": scalar(STEPS, np.linspace(2, 1, 10))})


@case("BN101", "NaN", "everything is NaN from the first point on")
def _():
    return run(layer("bn", constant(np.nan, 10), constant(np.nan, 10), STEPS))


# BN109


def _torch_layer(name, mean, variance, gamma, beta, steps=STEPS):
    """A layer of PyTorch as `named_parameters` and `named_buffers` call it."""
    values = {"running_mean": mean, "running_var": variance, "weight": gamma, "bias": beta}
    return {f"{name}.{key}": histogram(steps, value) for key, value in values.items()}


def _ran(name="bn1"):
    mean, variance = (values[::20][:10] for values in _moving())
    return _torch_layer(name, mean, variance, trained(_rng(), 10), trained(_rng(1), 10))


def _idle(gamma=1.0, beta=0.0, name="bn2"):
    return _torch_layer(
        name, constant(0, 10), constant(1, 10), constant(gamma, 10), constant(beta, 10)
    )


def _batches_seen(name, values):
    return {f"{name}.num_batches_tracked": scalar(STEPS, values)}


@case("BN109", "fires", "all of a layer is initial while another one is trained")
def _():
    return run({**_ran(), **_idle()})


@case("BN109", "fires", "and its counter stands at 0; gamma began at 0")
def _():
    return run({**_ran(), **_idle(gamma=0.0)}, _batches_seen("bn2", np.zeros(10)))


@case("BN109", "under", "beta moved once: it is in the network, held in evaluation mode")
def _():
    beta = constant(0, 10)
    beta[5:] = 1e-6
    idle = _torch_layer("bn2", constant(0, 10), constant(1, 10), constant(1, 10), beta)
    return run({**_ran(), **idle})


@case("BN109", "look-alike", "the counter grows: it runs, with momentum 0 and no optimizer")
def _():
    return run({**_ran(), **_idle()}, _batches_seen("bn2", np.arange(10.0)))


@case("BN109", "look-alike", "no batch norm of the network ran: all are held in evaluation mode")
def _():
    kernel = {"conv.weight": histogram(STEPS, trained(_rng(), 10))}
    return run({**_idle(name="bn1"), **_idle(), **kernel})


@case("BN109", "look-alike", "a FrozenBatchNorm holds its statistics in gamma and beta")
def _():
    return run({**_ran(), **_idle(gamma=0.7, beta=0.1)})


@case("BN109", "look-alike", "affine=False: there is no gamma that could tell")
def _():
    idle = {tag: one for tag, one in _idle().items() if "running" in tag}
    return run({**_ran(), **idle})


@case("BN109", "short", "one point")
def _():
    one = {tag: take(series, np.arange(1)) for tag, series in _idle().items()}
    return run({**_ran(), **one})


# BN102


@case("BN102", "fires", "pretrained values stand still")
def _():
    return run(layer("bn", constant(np.arange(8), 10), constant(np.arange(1, 9), 10), STEPS))


@case("BN102", "under", "the last point differs")
def _():
    mean = constant(np.arange(8), 10)
    mean[-1, 0] += 1e-6
    return run(layer("bn", mean, constant(np.arange(1, 9), 10), STEPS))


@case("BN102", "look-alike", "one checkpoint evaluated twice at one step")
def _():
    return run(layer("bn", constant(2, 2), constant(3, 2), [500, 500]))


@case("BN102", "short", "one point")
def _():
    return run(layer("bn", constant(2, 1), constant(3, 1), [500]))


# BN103 and BN104


def _paused(moving, gamma_moves=True):
    """Returns a run of one layer whose statistics move only at the points where `moving` is."""
    rng, points = _rng(), len(moving)
    walk = np.cumsum(rng.normal(0, 0.1, (points, 8)) * np.asarray(moving, float)[:, None], 0)
    gamma = trained(rng, points) if gamma_moves else 1 + np.abs(walk)
    return layer("bn", walk + 1, np.exp(walk), None, {"gamma": gamma})


@case("BN103", "fires", "the statistics stop at half of the run and gamma goes on")
def _():
    return run(_paused([1] * 20 + [0] * 20))


@case("BN103", "fires", "a metric shows that training went on")
def _():
    histograms = {tag: one for tag, one in _paused([1] * 20 + [0] * 20).items() if "mov" in tag}
    return run(histograms, {"loss": scalar(np.arange(40), _rng().random(40))})


@case("BN103", "under", "they stand still for the last two intervals only")
def _():
    return run(_paused([1] * 20 + [0] * 2))


@case("BN103", "look-alike", "gamma stops with them: training is over")
def _():
    return run(_paused([1] * 20 + [0] * 20, gamma_moves=False))


@case("BN103", "look-alike", "the average of identical batches reaches its fixed point")
def _():
    mean, variance = averages(constant(2.0, 300), constant(3.0, 300), 0.9)
    return run(layer("bn", mean, variance, None, {"gamma": trained(_rng(), 301)}))


@case("BN103", "short", "two points")
def _():
    return run(_paused([1, 0]))


@case("BN103", "NaN", "a NaN ends the curve")
def _():
    histograms = _paused([1] * 20 + [0] * 20)
    histograms["bn/moving_mean"] = histogram(np.arange(40), constant(np.nan, 40))
    return run(histograms)


@case("BN104", "fires", "half of each epoch stands still while gamma goes on")
def _():
    return run(_paused(([1] * 10 + [0] * 10) * 3))


@case("BN104", "under", "one rest is no alternation")
def _():
    return run(_paused([1] * 10 + [0] * 10 + [1] * 10))


@case("BN104", "look-alike", "two networks train in turns and each rests with its weights")
def _():
    return run(_paused(([1] * 10 + [0] * 10) * 3, gamma_moves=False))


@case("BN104", "look-alike", "another layer is updated while the forward pass leaves this one out")
def _():
    return run({**_paused(([1] * 10 + [0] * 10) * 3), **layer("stem", *_moving(59))})


@case("BN104", "fires", "all layers of a net stand still together")
def _():
    paused = _paused(([1] * 10 + [0] * 10) * 3)
    return run({**paused, **{tag.replace("bn", "other"): one for tag, one in paused.items()}})


@case("BN104", "look-alike", "gradients are accumulated and updates come at every fourth step")
def _():
    histograms = {tag: one for tag, one in _paused([1, 0, 0, 0] * 12).items() if "mov" in tag}
    return run(histograms, {"loss": scalar(np.arange(48), _rng().random(48))})


@case("BN104", "look-alike", "each checkpoint is evaluated twice")
def _():
    mean, variance = _moving(20)
    twice = np.repeat(np.arange(21), 2)
    return run(layer("bn", mean[twice], variance[twice], twice))


# BN105


@case("BN105", "fires", "the mean moves and the variance is exactly 1")
def _():
    return run(layer("bn", _moving()[0], constant(1, 201)))


@case("BN105", "fires", "the variance moves and the mean is exactly 0")
def _():
    return run(layer("bn", constant(0, 201), _moving()[1]))


@case("BN105", "under", "the variance left 1 at the last point")
def _():
    variance = constant(1, 201)
    variance[-1] = 0.99
    return run(layer("bn", _moving()[0], variance))


@case("BN105", "look-alike", "the variance is constant at another value")
def _():
    return run(layer("bn", _moving()[0], constant(2, 201)))


@case("BN105", "short", "one point")
def _():
    return run(layer("bn", constant(3, 1), constant(1, 1)))


# BN106


def _reset(momentum=0.9, at=100, first=0, weights_too=False, sessions=()):
    """Returns a run that begins anew at point `at`; its first points there are not logged."""
    mean, variance = _moving(at - 1, momentum)
    again = [curve[first:] for curve in _moving(at - 1, momentum, seed=0)]
    mean, variance = np.concatenate([mean, again[0]]), np.concatenate([variance, again[1]])
    gamma = trained(_rng(), len(mean))
    if weights_too:
        gamma[at:] = gamma[: len(mean) - at]
    return run(layer("bn", mean, variance, None, {"gamma": gamma}), sessions=sessions)


_TWICE = (Session("one", 0.0, 0), Session("two", 100.0, 100))


@case("BN106", "fires", "the statistics are exactly initial again in mid-run")
def _():
    return _reset()


@case("BN106", "fires", "the second writer's first point is one update away from the start")
def _():
    return _reset(first=1, sessions=_TWICE)


@case("BN106", "under", "the second writer's first point is warm already")
def _():
    return _reset(first=40, sessions=_TWICE)


@case("BN106", "look-alike", "the weights begin anew too: another run in the same folder")
def _():
    return _reset(weights_too=True, sessions=_TWICE)


@case("BN106", "look-alike", "a restart from step 0 replaces what was before")
def _():
    mean, variance = _moving(99)
    steps = np.tile(np.arange(100), 2)
    return run(layer("bn", np.tile(mean, (2, 1)), np.tile(variance, (2, 1)), steps))


@case("BN106", "short", "one point after the restart of a layer that never moved")
def _():
    return run(_stale(weights={"gamma": trained(_rng(), 10)}), sessions=_TWICE)


# BN107


def _teacher(copied_statistics=False, weights=followed, name="ema_model.bn"):
    mean, variance = _moving(50)
    gamma = trained(_rng(), 51)
    copy = (mean, variance) if copied_statistics else (constant(0, 51), constant(1, 51))
    weights = {"gamma": weights(gamma)}
    return run({**layer("model.bn", mean, variance, None, {"gamma": gamma}),
                **layer(name, *copy, None, weights)})  # fmt: skip


@case("BN107", "fires", "the copy's gamma moves and its statistics are initial")
def _():
    return _teacher()


@case("BN107", "fires", "a target network with another wrapper")
def _():
    return _teacher(name="target_network.module.bn")


@case("BN107", "under", "the copy's weights do not move")
def _():
    return _teacher(weights=lambda gamma: constant(1, 51))


def _by_itself(gamma):
    return trained(_rng(9), 51)


@case("BN107", "look-alike", "a teacher that is trained by itself, in evaluation mode: BN101")
def _():
    return _teacher(weights=_by_itself)


@case("BN107", "fires", "the weights of the copy are logged, those of the original are not: likely")
def _():
    made = _teacher()
    kept = {tag: one for tag, one in made.histograms.items() if tag != "model.bn/gamma"}
    return dataclasses.replace(made, histograms=kept)


def _in_two_runs(names, weights=followed):
    """The network in one run, and in another one with statistics that stand still."""
    mean, variance = _moving(50)
    gamma, still = trained(_rng(), 51), (constant(0, 51), constant(1, 51))
    return (
        run(layer("bn", mean, variance, None, {"gamma": gamma}), name=names[0]),
        run(layer("bn", *still, None, {"gamma": weights(gamma)}), name=names[1]),
    )


@case("BN107", "fires", "the copy is logged in a run of its own")
def _():
    return _in_two_runs(("x/train", "x/ema"))


@case("BN107", "fires", "the copy is logged in the run that evaluates it")
def _():
    return _in_two_runs(("x/train", "x/validation"))


@case("BN107", "look-alike", "another network is logged in the run of an average")
def _():
    return _in_two_runs(("x/train", "x/ema"), weights=_by_itself)


@case("BN107", "look-alike", "train and validation log one network, whose weights are equal")
def _():
    return _in_two_runs(("x/train", "x/validation"), weights=lambda gamma: gamma)


@case("BN107", "look-alike", "the copy takes over the statistics")
def _():
    return _teacher(copied_statistics=True)


@case("BN107", "look-alike", "another network without the name of a copy is stale: BN101")
def _():
    return _teacher(name="critic.bn")


@case("BN107", "fires", "the copy's statistics are constant at values of a pretrained network")
def _():
    made = _teacher()
    still = layer("ema_model.bn", constant(0.3, 51), constant(2, 51))
    return dataclasses.replace(made, histograms={**made.histograms, **still})


@case("BN107", "fires", "the word for a copy is joined to each name, as in Keras models")
def _():
    mean, variance = _moving(50)
    gamma, still = trained(_rng(), 51), (constant(0, 51), constant(1, 51))
    critic = layer("critic/critic_bn1", mean, variance, None, {"gamma": gamma})
    target = {"gamma": followed(gamma)}
    return run({**critic, **layer("target_critic/target_critic_bn1", *still, None, target)})


def _two_models(second, layers=("bn1", "bn2"), weights=followed):
    """Two whole models of which one has statistics that stand still."""
    mean, variance = _moving(50)
    gamma, histograms = trained(_rng(), 51), {}
    for name in layers:
        histograms |= layer(f"one.{name}", mean, variance, None, {"gamma": gamma})
        still = constant(0, 51), constant(1, 51)
        histograms |= layer(f"{second}.{name}", *still, None, {"gamma": weights(gamma)})
    return run(histograms)


@case("BN107", "fires", "a whole model is there twice, and one has no statistics of its own")
def _():
    return _two_models("two")


@case("BN107", "look-alike", "two networks that are trained side by side, one in evaluation mode")
def _():
    return _two_models("two", weights=_by_itself)


@case("BN107", "look-alike", "two blocks of one network: it has layers beside them")
def _():
    made = _two_models("two")
    stem = layer("stem.bn", *_moving(50))
    return dataclasses.replace(made, histograms={**made.histograms, **stem})


# BN108


def _drifting(factor, gamma_moves=False, head_moves=True):
    rng, points = _rng(), 40
    level = np.linspace(1, factor, points)[:, None]
    wave = 1 + 1e-3 * rng.normal(size=(points, 8))
    gamma = trained(rng, points) if gamma_moves else constant(1, points)
    head = trained(rng, points) if head_moves else constant(1, points)
    histograms = layer("bn", constant(2, points) * wave, 3 * level * wave, None, {"gamma": gamma})
    return run({**histograms, "head/kernel": histogram(np.arange(points), head)})


@case("BN108", "fires", "gamma stands still and the variance doubles")
def _():
    return _drifting(2.0)


@case("BN108", "fires", "the mean goes away and the variance stays")
def _():
    rng, points = _rng(), 40
    mean = np.linspace(6.75, 6.9, points)[:, None] + rng.normal(0, 1e-4, (points, 8))
    variance = 0.5 + rng.normal(0, 1e-6, (points, 8))
    weights = {"gamma": constant(1, points)}
    head = {"head/kernel": histogram(np.arange(points), trained(rng, points))}
    return run({**layer("bn", mean, variance, None, weights), **head})


@case("BN108", "under", "the variance grows by a fifth")
def _():
    return _drifting(1.2)


@case("BN108", "look-alike", "no weight of the run moves: statistics are estimated anew")
def _():
    return _drifting(2.0, head_moves=False)


@case("BN108", "look-alike", "no batch has a variance, so that gamma gets no gradient: BN303")
def _():
    statistics = layer("bn", *averages(np.ones((40, 8)), np.zeros((40, 8)), 0.99))
    weights = {"bn/gamma": histogram(np.arange(41), constant(1, 41))}
    head = {"head/kernel": histogram(np.arange(41), trained(_rng(), 41))}
    return run({**statistics, **weights, **head})


@case("BN108", "fires", "gamma and beta are exactly 1 and 0: not in the optimizer")
def _():
    mean, variance = _moving(40)
    ones, zeros = constant(1, 41), constant(0, 41)
    head = {"head/kernel": histogram(np.arange(41), trained(_rng(), 41))}
    statistics = layer("bn", mean, variance, None, {"gamma": ones, "beta": zeros})
    return run({**statistics, **head})


@case("BN108", "look-alike", "gamma moves too")
def _():
    return _drifting(2.0, gamma_moves=True)


# BN201 and BN202


def _lagging(momentum, updates, every=5, known=True, start=(0.0, 1.0), **fields):
    statistics = batch_statistics(_rng(), updates)
    mean, variance = averages(*statistics, momentum, start)
    keep = np.arange(0, updates + 1, every)
    judged = run(layer("bn", mean[keep], variance[keep], keep), **fields)
    return (judged, Options(momentum=momentum)) if known else judged


@case("BN201", "fires", "0.999 and 500 updates: 61 % are left")
def _():
    return _lagging(0.999, 500)


@case("BN201", "fires", "0.99 and 295 updates: 5.2 % are left")
def _():
    return _lagging(0.99, 295)


@case("BN201", "fires", "nothing says the momentum, the curves do")
def _():
    return _lagging(0.999, 500, known=False)


@case("BN201", "under", "0.99 and 345 updates: 4.8 % of the stored variance are left")
def _():
    return _lagging(0.99, 345)


@case("BN201", "fires", "small variances: 0.7 % of the weight is a third of what is stored")
def _():
    steps = np.arange(501)
    decay = 0.99 ** steps[:, None] * np.ones(4)
    judged = run(layer("bn", 0.3 * (1 - decay), decay + (1 - decay) * 0.01, steps))
    return judged, Options(momentum=0.99)


@case("BN201", "fires", "the first point is step 0 and has one update behind it")
def _():
    statistics = averages(*batch_statistics(_rng(), 60), 0.999, (0.0, 1.0))
    mean, variance = (values[1:] for values in statistics)
    return run(layer("bn", mean, variance, np.arange(60))), Options(momentum=0.999)


@case("BN201", "fires", "fresh statistics at the global steps of an earlier training")
def _():
    statistics = averages(*batch_statistics(_rng(), 60), 0.999, (0.0, 1.0))
    mean, variance = (values[1:] for values in statistics)
    return run(layer("bn", mean, variance, np.arange(5000, 5060))), Options(momentum=0.999)


@case("BN201", "look-alike", "a pretrained network, logged from step 0 on")
def _():
    pretrained = (np.linspace(-3, 3, 8), np.linspace(0.05, 4, 8))
    return _lagging(0.999, 60, every=1, start=pretrained)


@case("BN201", "look-alike", "the values are those of a pretrained network")
def _():
    pretrained = (np.linspace(-3, 3, 8), np.linspace(0.05, 4, 8))
    return _lagging(0.999, 500, start=pretrained)


@case("BN201", "look-alike", "a cumulative average forgets its start at the first update")
def _():
    mean, variance = batch_statistics(_rng(), 50)
    count = np.arange(1, 51)[:, None]
    start = np.zeros((1, 8))
    mean = np.concatenate([start, np.cumsum(mean, 0) / count])
    variance = np.concatenate([start + 1, np.cumsum(variance, 0) / count])
    return run(layer("bn", mean, variance))


@case("BN201", "look-alike", "healthy statistics drift on because the weights move")
def _():
    mean, variance = batch_statistics(_rng(), 300)
    drift = np.exp(np.linspace(0, 1.5, 300))[:, None]
    mean, variance = averages(mean * drift, variance * drift, 0.9)
    return run(layer("bn", mean[::5], variance[::5], np.arange(0, 301, 5)))


@case("BN201", "look-alike", "steps are epochs: the floor refutes a step for an update")
def _():
    mean, variance = _moving(800)
    epochs = run(layer("bn", mean[::80], variance[::80], np.arange(11)))
    return epochs, Options(momentum=0.9)


@case("BN201", "short", "two points and no momentum")
def _():
    return _lagging(0.999, 5, known=False)


@case("BN201", "NaN", "a NaN at once")
def _():
    return run(layer("bn", constant(np.nan, 20), constant(np.nan, 20))), Options(momentum=0.999)


@case("BN202", "fires", "0.99 and 500 updates, evaluated at step 100")
def _():
    judged, options = _lagging(0.99, 500)
    evaluation = run(None, {"accuracy": scalar([100, 500], [0.1, 0.9])}, name="test")
    return judged, evaluation, options


@case("BN202", "under", "the first evaluation comes at the step named")
def _():
    judged, options = _lagging(0.99, 500)
    evaluation = run(None, {"accuracy": scalar([376, 500], [0.1, 0.9])}, name="test")
    return judged, evaluation, options


@case("BN202", "look-alike", "the run goes on from a pretrained network")
def _():
    return _lagging(0.99, 500, start=(np.linspace(-3, 3, 8), np.linspace(0.05, 4, 8)))


# BN203, BN204, BN205


def _noisy(momentum, noise=0.3, every=1, updates=200):
    mean, variance = averages(*batch_statistics(_rng(), updates, noise=noise), momentum)
    keep = np.arange(0, updates + 1, every)
    return run(layer("bn", mean[keep], variance[keep], keep))


@case("BN203", "fires", "the user says 0.01")
def _():
    return _noisy(0.01, noise=0.01), Options(momentum=0.01)


@case("BN203", "fires", "the noise says 0.01")
def _():
    return _noisy(0.01)


@case("BN203", "under", "0.5 is the limit")
def _():
    return _noisy(0.5, noise=0.01), Options(momentum=0.5)


@case("BN203", "look-alike", "0.9, logged at every tenth step: points are independent")
def _():
    return _noisy(0.9, every=10, updates=1000)


@case("BN203", "look-alike", "0.9 and two kinds of batches in turns")
def _():
    mean, variance = batch_statistics(_rng(), 200, noise=0.05)
    turns = np.tile([0.5, 2.0], 100)[:, None]
    return run(layer("bn", *averages(mean * turns, variance * turns, 0.9)))


@case("BN203", "look-alike", "momentum 0 is chosen on purpose")
def _():
    return _noisy(0.0, noise=0.01), Options(momentum=0.0)


@case("BN203", "short", "ten points")
def _():
    return _noisy(0.01, updates=10)


@case("BN204", "fires", "batches of two, momentum 0.8, logged at every tenth step")
def _():
    return _noisy(0.8, noise=1.0, every=10, updates=1000), Options(momentum=0.8)


def _sorted(period, size, updates=240, momentum=0.9):
    """Batches that come in order; the means of the classes lie on a circle of `size` sigmas."""
    mean, variance = batch_statistics(_rng(), updates)
    phase = np.sin(2 * np.pi * np.arange(updates) / period)[:, None]
    return run(layer("bn", *averages(mean + size * np.sqrt(variance) * phase, variance, momentum)))


@case("BN204", "fires", "batches sorted by class: the mean swings by a third of its sigma")
def _():
    return _sorted(20, 1.0)


@case("BN204", "under", "a swing by less than a tenth of its sigma")
def _():
    return _sorted(20, 0.2)


@case("BN204", "look-alike", "one long curve of the mean is a drift, no swing")
def _():
    return _sorted(300, 2.0)


@case("BN204", "under", "the same at momentum 0.99")
def _():
    return _noisy(0.99, noise=1.0, every=10, updates=1000), Options(momentum=0.99)


@case("BN204", "look-alike", "a steady drift is no noise")
def _():
    growth = np.exp(np.linspace(0, 8, 60))[:, None]
    return run(layer("bn", growth * constant(1, 60), growth * constant(np.arange(1, 9), 60)))


@case("BN204", "short", "eight points")
def _():
    return _noisy(0.01, updates=7)


@case("BN205", "fires", "num_batches_tracked grows by two a step")
def _():
    mean, variance = _moving(100)
    counts = {"bn.num_batches_tracked": scalar(np.arange(101), 2 * np.arange(101))}
    return run(layer("bn", mean, variance), counts)


@case("BN205", "fires", "the variance falls faster than the momentum allows")
def _():
    mean, variance = _moving(300, 0.9)
    judged = run(layer("bn", mean[::3], variance[::3], np.arange(101)))
    return judged, Options(momentum=0.9)


@case("BN205", "under", "one update a step")
def _():
    mean, variance = _moving(100)
    counts = {"bn.num_batches_tracked": scalar(np.arange(101), np.arange(101))}
    return run(layer("bn", mean, variance), counts), Options(momentum=0.9)


@case("BN205", "look-alike", "steps are Keras epochs")
def _():
    mean, variance = _moving(300)
    scalars = {
        "epoch_loss": scalar(np.arange(101), _rng().random(101)),
        "bn.num_batches_tracked": scalar(np.arange(101), 3 * np.arange(101)),
    }
    return run(layer("bn", mean[::3], variance[::3], np.arange(101)), scalars)


def _two_paces(first, second):
    """Two layers, of which each counts its own passes."""
    steps = np.arange(101)
    layers = {**layer("backbone.bn", *_moving(100)), **layer("head.bn", *_moving(100, seed=1))}
    paces = {"backbone.bn": first, "head.bn": second}
    counts = {f"{name}.num_batches_tracked": scalar(steps, n * steps) for name, n in paces.items()}
    return run(layers, counts)


@case("BN205", "fires", "only the second of two layers is passed three times a step")
def _():
    return _two_paces(1, 3)


@case("BN205", "look-alike", "two layers, both updated once a step")
def _():
    return _two_paces(1, 1)


# BN206


def _counted(counts, evaluated=(20, 40, 60, 80, 100), **passes):
    steps = np.arange(101)
    mean, variance = _moving(100)
    scalars = {"bn.num_batches_tracked": scalar(steps, counts)}
    scalars |= {f"bn.{name}": scalar(steps, values) for name, values in passes.items()}
    scalars["val/loss"] = scalar(evaluated, np.linspace(1, 0.5, len(evaluated)))
    return run(layer("bn", mean, variance), scalars), Options(momentum=0.9)


@case("BN206", "fires", "the counter leaps across evaluations")
def _():
    steps = np.arange(101)
    return _counted(steps + 7 * (np.maximum(steps - 1, 0) // 20))


@case("BN206", "fires", "more updates than passes for training")
def _():
    steps = np.arange(101)
    return _counted(steps * 1.5, training_passes=steps)


@case("BN206", "under", "one update a step, also across evaluations")
def _():
    return _counted(np.arange(101))


@case("BN206", "look-alike", "two updates at every step: several passes, not evaluations")
def _():
    return _counted(2 * np.arange(101))


# BN301 to BN304


@case("BN301", "fires", "one channel is NaN from step 30 on")
def _():
    mean, variance = _moving(50)
    variance[30:, 3] = np.nan
    return run(layer("bn", mean, variance))


@case("BN301", "fires", "one channel is infinite at the last step")
def _():
    mean, variance = _moving(50)
    mean[-1, 3] = np.inf
    return run(layer("bn", mean, variance))


def _ends_at(step, weights=()):
    """Two layers of which the second one's variance, and these weights, end at a step."""
    first, second = layer("a", *_moving(50)), layer("b", *_moving(50, seed=1))
    second["b/gamma"] = histogram(np.arange(51), trained(_rng(), 51))
    for tag in ("b/moving_variance", *weights):
        second[tag] = take(second[tag], np.arange(step + 1))
    return {**first, **second}


@case("BN301", "fires", "a variance is logged no more while its mean and other layers go on")
def _():
    return run(_ends_at(30))


def _goes_on(values):
    return run(layer("a", *_moving(50)), {"loss": scalar(np.arange(101), np.asarray(values))})


@case("BN301", "fires", "all statistics end where the loss becomes NaN")
def _():
    return _goes_on(np.where(np.arange(101) > 50, np.nan, 1 / np.arange(1, 102)))


@case("BN301", "fires", "all statistics end where the loss is NaN once")
def _():
    return _goes_on(np.where(np.arange(101) == 51, np.nan, 1 / np.arange(1, 102)))


@case("BN301", "fires", "all statistics end while gamma goes on")
def _():
    gamma = {"a/gamma": histogram(np.arange(101), trained(_rng(), 101))}
    return run({**layer("a", *_moving(50)), **gamma})


@case("BN301", "look-alike", "the loss is NaN long after the statistics end")
def _():
    return _goes_on(np.where(np.arange(101) > 60, np.nan, 1 / np.arange(1, 102)))


@case("BN301", "look-alike", "all statistics end, and the loss goes on falling")
def _():
    return _goes_on(1 / np.arange(1, 102))


@case("BN301", "look-alike", "the loss is NaN now and then, before and after the statistics end")
def _():
    return _goes_on(np.where(np.arange(101) % 7 == 0, np.nan, 1 / np.arange(1, 102)))


@case("BN301", "under", "a variance that is logged up to five steps before the others")
def _():
    return run(_ends_at(45))


@case("BN301", "look-alike", "a layer of which nothing is logged any more left the model")
def _():
    return run(_ends_at(30, ("b/moving_mean", "b/gamma")))


@case("BN301", "look-alike", "a statistic that ended before the program was started again")
def _():
    return run(_ends_at(30), sessions=(Session("a", 0.0, 0), Session("b", 1e12, 31)))


@case("BN301", "look-alike", "one layer is logged at every tenth step, up to the last one")
def _():
    mean, variance = _moving(200, seed=1)
    rare = layer("b", mean[::10][:-1], variance[::10][:-1], np.arange(0, 200, 10))
    return run({**layer("a", *_moving(199)), **rare})


@case("BN301", "under", "the largest finite float")
def _():
    mean, variance = _moving(50)
    mean[-1, 3] = np.finfo(np.float32).max
    return run(layer("bn", mean, variance))


@case("BN301", "look-alike", "a metric is NaN, the statistics are not")
def _():
    loss = scalar(np.arange(201), np.full(201, np.nan))
    return run(layer("bn", *_moving()), {"loss": loss})


@case("BN301", "short", "no points at all")
def _():
    empty = np.empty((0, 8))
    tags = ("bn/moving_mean", "bn/moving_variance")
    blank = histogram([0], constant(0, 1))
    series = {tag: type(blank)(*(getattr(blank, name)[:0] for name in (
        "steps", "wall_times", "minimum", "maximum", "count", "total", "sum_squares", "bands",
        "identity"))) for tag in tags}  # fmt: skip
    assert empty.size == 0
    return run(series)


@case("BN302", "fires", "a channel at -0.1")
def _():
    mean, variance = _moving()
    variance[-1, 0] = -0.1
    return run(layer("bn", mean, variance))


@case("BN302", "under", "a channel at exactly 0")
def _():
    mean, variance = _moving()
    variance[-1, 0] = 0.0
    return run(layer("bn", mean, variance))


@case("BN302", "look-alike", "the mean is negative, the variance is not")
def _():
    mean, variance = _moving()
    return run(layer("bn", mean - 100, variance))


def _levels(levels, noise=1e-3):
    shape = np.asarray(levels, float)[:, None] * np.linspace(0.9, 1.1, 8)
    wave = 1 + noise * _rng().normal(size=shape.shape)
    return run(layer("bn", wave, shape * wave))


@case("BN303", "fires", "a level of 0.4 falls below epsilon")
def _():
    return _levels([0.4] * 20 + list(np.geomspace(0.4, 1e-4, 20)))


@case("BN303", "under", "it stays above epsilon")
def _():
    return _levels([0.4] * 20 + list(np.geomspace(0.4, 2e-3, 20)))


@case("BN303", "fires", "no batch has a variance in any channel: one value per channel")
def _():
    mean, variance = batch_statistics(_rng(), 60)
    return run(layer("bn", *averages(mean, 0 * variance, 0.99)))


@case("BN303", "fires", "tiny variances from the start, as information")
def _():
    return run(layer("bn", *averages(*batch_statistics(_rng(), 100, scale=1e-5), 0.9)))


@case("BN303", "look-alike", "small variances from the start: the average forgets its 1")
def _():
    return run(layer("bn", *averages(*batch_statistics(_rng(), 100, scale=1e-2), 0.9)))


@case("BN303", "look-alike", "all channels are alike, but the batches vary")
def _():
    mean, variance = batch_statistics(_rng(), 100)
    return run(layer("bn", *averages(mean, 0 * variance + 0.3, 0.9)))


@case("BN303", "short", "two points")
def _():
    return _levels([1.0, 1e-6])


@case("BN304", "fires", "the variance grows by a thousand in the second half")
def _():
    return _levels([1.0] * 20 + list(np.geomspace(1, 1e5, 20)))


@case("BN304", "fires", "one batch is a thousand times too large, and is forgotten by 0.9 a step")
def _():
    return _levels([1.0] * 20 + list(1 + 1000 * 0.9 ** np.arange(20)))


@case("BN304", "fires", "the last point is a million times larger")
def _():
    return _levels([1.0] * 20 + [1e6])


@case("BN304", "fires", "one batch is too large, again and again")
def _():
    return _levels([1.0] * 10 + [*(1 + 1e6 * 0.5 ** np.arange(10))] * 3)


@case("BN304", "fires", "a jump by ten million that stays")
def _():
    return _levels([1.0] * 20 + [1e7] * 20)


@case("BN304", "look-alike", "statistics that stood still are estimated at the end")
def _():
    return _levels([1.0] * 20 + [400], noise=0)


@case("BN304", "look-alike", "batches of two: one step by twelve among steps by three is noise")
def _():
    mean, variance = batch_statistics(_rng(), 200)
    variance = variance * _rng().chisquare(1, variance.shape[0])[:, None]
    return run(layer("bn", *averages(mean, variance, 0.5)))


def _far_off(by, after, channel=slice(None), stays=False):
    """One batch, or all from there on, is off by `by` as a whole: its variance is as any other."""
    mean, variance = batch_statistics(_rng(), 100 + after)
    mean[100 : None if stays else 101, channel] += by
    return run(layer("bn", *averages(mean, variance, 0.9)))


@case("BN304", "fires", "one batch is far off as a whole, and poisons the mean alone")
def _():
    return _far_off(1e4, 10)


@case("BN304", "fires", "in one channel")
def _():
    return _far_off(-1e4, 10, channel=0)


@case("BN304", "under", "one batch is off by fifty standard deviations of the average")
def _():
    return _far_off(250, 10)


@case("BN304", "look-alike", "other data from some step on move the mean, and it goes on")
def _():
    return _far_off(1e4, 60, stays=True)


@case("BN304", "look-alike", "the mean goes a long way from 0 to the data")
def _():
    mean, variance = batch_statistics(_rng(), 100)
    return run(layer("bn", *averages(mean + 1e5, variance, 0.9)))


def _first_batch(times, updates, momentum=0.9):
    mean, variance = batch_statistics(_rng(), updates)
    variance[0] *= times
    return run(layer("bn", *averages(mean, variance, momentum)))


@case("BN304", "fires", "the first batch is no data, as of a pass with memory that was not cleared")
def _():
    return _first_batch(1e7, 60)


@case("BN304", "look-alike", "the first batch is no data, and forgotten")
def _():
    return _first_batch(1e7, 300)


@case("BN304", "under", "it grows by fifty in the second half")
def _():
    return _levels([1.0] * 20 + list(np.geomspace(1, 50, 20)))


@case("BN304", "look-alike", "raw pixels: the average approaches 5000 from 1")
def _():
    return run(layer("bn", *averages(*batch_statistics(_rng(), 200, scale=5000), 0.99)))


@case("BN304", "look-alike", "other data from the middle on: a new level that stays")
def _():
    mean, variance = batch_statistics(_rng(), 200)
    variance[100:] *= 300
    return run(layer("bn", *averages(mean, variance, 0.9)))


@case("BN304", "short", "four points")
def _():
    return _levels([1, 1, 1e5, 1e6])
