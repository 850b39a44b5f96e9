"""Diagnoses made by hand for tests of the page: one per verdict, and as many as a test wants."""

import dataclasses

import numpy as np

from bn_tb.diagnosis import Finding, LayerDiagnosis, RunDiagnosis
from bn_tb.evidence.metrics import metrics_of
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, UpdateOp, Wiring
from bn_tb.layers import BatchNormLayer
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import FileReport, Run
from bn_tb.runs.series import BAND_LEVELS, HistogramSeries, ScalarSeries
from bn_tb.runs.tags import Role

CHANNELS = 16


def scalars(steps, values):
    steps = np.asarray(steps, np.int64)
    return ScalarSeries(steps, steps.astype(float), np.asarray(values, float))


def histograms(steps, values):
    """Series of a variable whose values are `[T, CHANNELS]`."""
    steps, values = np.asarray(steps, np.int64), np.asarray(values, float)
    bands = np.quantile(values, BAND_LEVELS, axis=1).T.astype(np.float32)
    _, identity = np.unique(values, axis=0, return_inverse=True)
    return HistogramSeries(
        steps=steps,
        wall_times=steps.astype(float),
        minimum=values.min(axis=1),
        maximum=values.max(axis=1),
        count=np.full(len(steps), float(CHANNELS)),
        total=values.sum(axis=1),
        sum_squares=(values**2).sum(axis=1),
        bands=bands,
        identity=identity.reshape(-1).astype(np.uint64),
    )


def statistics(momentum, steps, seed=0):
    """Moving mean and variance that follow noisy batches; `momentum` None never updates them."""
    random = np.random.default_rng(seed)
    mean, variance = np.zeros(CHANNELS), np.ones(CHANNELS)
    target_mean, target_variance = random.normal(0, 0.8, CHANNELS), random.gamma(2, 1.5, CHANNELS)
    means, variances = [], []
    for _ in range(steps[-1] + 1):
        means.append(mean)
        variances.append(variance)
        if momentum is not None:
            noise = random.normal(1, 0.1, (2, CHANNELS))
            mean = momentum * mean + (1 - momentum) * target_mean * noise[0]
            variance = momentum * variance + (1 - momentum) * target_variance * noise[1]
    at = np.asarray(steps)
    return histograms(at, np.array(means)[at]), histograms(at, np.array(variances)[at])


def wiring(layer, how=Wiring.TRAIN):
    variables = {
        Role.MOVING_MEAN: f"{layer}/moving_mean",
        Role.MOVING_VARIANCE: f"{layer}/moving_variance",
    }
    needed_by = {Wiring.TRAIN: "train/Adam", Wiring.LOSS: "loss_with_updates"}.get(how, "")
    ops = ("AssignMovingAvg", "AssignMovingAvg_1")
    return LayerWiring(
        layer,
        variables,
        {
            role: (UpdateOp(f"{layer}/{op}", "AssignSubVariableOp", 0.99, how, needed_by),)
            for role, op in zip(variables, ops, strict=True)
        },
    )


def layer_of(verdict, name, last_step=500, points=126, seed=0, how=None):
    """One layer with the trajectory and the verdict asked for."""
    momentum = {"stale": None, "lagging": 0.999}.get(verdict, 0.97)
    steps = np.unique(np.linspace(0, last_step, points).astype(int))
    mean, variance = statistics(momentum, steps, seed)
    how = how or (Wiring.NONE if verdict == "stale" else Wiring.TRAIN)
    layer = BatchNormLayer(
        name,
        f"{name}/moving_mean",
        f"{name}/moving_variance",
        mean,
        variance,
        wiring=wiring(name, how),
    )
    known = momentum or 0.99
    judged = LayerDiagnosis(
        layer=name,
        verdict=verdict,
        points=len(steps),
        first_step=0,
        last_step=last_step,
        last_change_step=None if verdict == "stale" else last_step,
        momentum=known,
        momentum_source="graph",
        initial_weight=1.0 if verdict == "stale" else known**last_step,
        trusted_from=99 if verdict == "healthy" else None,
    )
    return layer, judged


FINDINGS = {
    "stale": Finding(
        code="BN101",
        name="never-updated",
        severity=Severity.ERROR,
        confidence=Confidence.CONFIRMED,
        layers=(),
        step=500,
        message="The moving averages never left their initial values (mean 0, variance 1) in 500"
        " steps, while gamma, beta and the training accuracy changed.",
        evidence=(
            "conv0/bn/moving_mean: minimum = maximum = 0 at 126 of 126 points, steps 0 to 500",
            "conv0/bn/moving_variance: minimum = maximum = 1 at 126 of 126 points",
            "graph: no op needs both conv0/bn/AssignMovingAvg and train/Adam",
        ),
        fix="Run the update ops with every training step. Build the train op, after the whole"
        " network, like this:\n\n"
        "    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)\n"
        "    with tf.control_dependencies(update_ops):\n"
        "        train_op = optimizer.minimize(loss)\n\n"
        "The trained weights are fine: a few hundred batches forward fill in the statistics.",
        causes=("BN401",),
        fingerprint="0123456789abcdef",
    ),
    "lagging": Finding(
        code="BN201",
        name="lagging-statistics",
        severity=Severity.ERROR,
        confidence=Confidence.CONFIRMED,
        layers=(),
        step=500,
        message="Momentum 0.999 is too slow for 500 updates: the initial value still has 61 %"
        " of the weight. Evaluation can be trusted after 2,995 updates.",
        evidence=("0.999^500 = 0.606",),
        fix="Use momentum 0.97 or lower for a run of this length.",
        fingerprint="fedcba9876543210",
    ),
}


def accuracies(verdict, last_step=500):
    steps = np.unique(np.linspace(0, last_step, 60).astype(int))
    training = 0.1 + 0.88 * (1 - np.exp(-steps / (0.1 * last_step)))
    trust = {"stale": 0.0, "lagging": 0.3 * steps / last_step}.get(
        verdict, 1 - 0.97 ** np.maximum(steps - 40, 0)
    )
    return scalars(steps, training), scalars(steps, 0.1 + (training - 0.12) * trust)


def diagnosis(
    verdict, name="train", layers=4, last_step=500, points=126, layer_name="conv{}/bn", how=None
):
    """A run with the verdict asked for."""
    made = [
        layer_of(verdict, layer_name.format(i), last_step, points, i, how) for i in range(layers)
    ]
    training, evaluation = accuracies(verdict, last_step)
    run = Run(
        name=name,
        logdir="logs",
        files=(FileReport(f"logs/{name}/events.out.tfevents.1", 4096, 500, "ok"),),
        scalars={"accuracy": training, "eval/accuracy": evaluation},
        first_step=0,
        last_step=last_step,
    )
    found = tuple(layer for layer, _ in made)
    graph = GraphEvidence(True, ("train/Adam",), {layer.name: layer.wiring for layer in found})
    findings = ()
    if verdict in FINDINGS:
        finding = FINDINGS[verdict]
        names = tuple(layer.name for layer in found)
        findings = (Finding(**(vars(finding) | {"layers": names})),)
    subject = Subject(run, found, graph, metrics=metrics_of(run))
    return RunDiagnosis(subject, verdict, tuple(judged for _, judged in made), findings)


def bare(verdict, name):
    """A run without layers."""
    return RunDiagnosis(Subject(Run(name=name, logdir="logs")), verdict)


def sweep(count):
    """Many runs with hyperparameters in their names; a run of each verdict is made once."""
    made = [diagnosis(verdict, layers=2, points=40) for verdict in ("healthy", "stale", "lagging")]
    for i in range(count):
        one = made[i % len(made)]
        settings = {"lr": 10 ** -(1 + i % 5), "momentum": 0.9 + i % 3 / 100, "seed": i}
        name = "resnet50_" + "_".join(f"{key}={value:g}" for key, value in settings.items())
        run = dataclasses.replace(one.subject.run, name=f"{name}/train", hyperparameters=settings)
        yield dataclasses.replace(one, subject=dataclasses.replace(one.subject, run=run))


def usual():
    """The runs that a page is looked at with."""
    return [
        diagnosis("healthy", "fixed/train"),
        diagnosis("stale", "nocontrol_deps/train"),
        diagnosis("lagging", "momentum_0.999/train"),
        diagnosis("stale", "loss/train", layers=1, how=Wiring.LOSS),
        bare("no-batch-norm", "nocontrol_deps/test"),
        bare("unreadable", "crashed"),
    ]
