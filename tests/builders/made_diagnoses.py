"""Diagnoses made by hand, one for each verdict that a report must show well."""

import dataclasses

import numpy as np

from bn_tb.diagnosis import Finding, LayerDiagnosis, RunDiagnosis
from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring
from bn_tb.layers import BatchNormLayer
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Confidence, Severity
from bn_tb.runs.run import FileReport, Run
from bn_tb.runs.series import BAND_LEVELS, HistogramSeries

STEPS = np.arange(1, 501, dtype=np.int64)

STALE_FIX = (
    "Make the train op need the updates:\n"
    "    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)\n"
    "    with tf.control_dependencies(updates):\n"
    "        train_op = optimizer.minimize(loss)"
)


def histogram(values, channels=32, steps=STEPS):
    """Returns a series whose channels all hold `values` `[T]`."""
    values = np.asarray(values, np.float64)
    count = np.full(len(values), float(channels))
    bands = np.repeat(values[:, None], len(BAND_LEVELS), axis=1).astype(np.float32)
    identity = np.unique(values, return_inverse=True)[1].astype(np.uint64)
    return HistogramSeries(
        steps=steps[: len(values)],
        wall_times=1.6e9 + steps[: len(values)].astype(np.float64),
        minimum=values,
        maximum=values,
        count=count,
        total=values * channels,
        sum_squares=values**2 * channels,
        bands=bands,
        identity=identity,
    )


def converging(start, end, momentum, points=500):
    """Returns an exponential average on its way from its initial value, float64 `[T]`."""
    return end + (start - end) * momentum ** np.arange(1, points + 1)


def run_of(verdict, name="run", layers=("conv0/bn",), mean=None, variance=None, **fields):
    """Returns a diagnosis in which all layers have the same statistics and verdict."""
    mean = converging(0.0, 0.4, 0.99) if mean is None else mean
    variance = converging(1.0, 0.2, 0.99) if variance is None else variance
    logdir = fields.pop("logdir", "logs")
    judged = tuple(
        LayerDiagnosis(
            layer,
            verdict,
            points=len(mean),
            first_step=1,
            last_step=len(mean),
            last_change_step=None if verdict == "stale" else len(mean),
            momentum=0.99,
            momentum_source="graph",
            initial_weight=1.0 if verdict == "stale" else 0.99 ** len(mean),
            trusted_from=299 if verdict == "healthy" else None,
        )
        for layer in layers
    )
    series = [histogram(mean), histogram(variance)] if layers else []
    subject = Subject(
        run=Run(
            name,
            logdir,
            files=fields.pop("files", (FileReport(f"{logdir}/{name}/events", 1234, 500, "ok"),)),
            first_step=fields.pop("first_step", 1),
            last_step=fields.pop("last_step", 500),
        ),
        layers=tuple(
            BatchNormLayer(layer, f"{layer}/moving_mean", f"{layer}/moving_variance", *series)
            for layer in layers
        ),
        graph=fields.pop("graph", None),
    )
    return RunDiagnosis(subject, verdict, judged, tuple(fields.pop("findings", ())))


def finding(code, name, severity, layers, message, **fields):
    """Returns a finding; its fingerprint is derived from code and layers."""
    confidence = fields.pop("confidence", Confidence.CONFIRMED)
    return Finding(
        code,
        name,
        severity,
        confidence,
        tuple(layers),
        step=fields.pop("step", 500),
        message=message,
        evidence=fields.pop("evidence", ()),
        fix=fields.pop("fix", ""),
        causes=fields.pop("causes", ()),
        fingerprint=fields.pop("fingerprint", f"{code}:{','.join(layers)}"),
    )


def stale(name="NoCD/train", layers=("conv0/bn", "conv1/bn", "conv2/bn"), **fields):
    """Returns a run whose statistics nobody updated."""
    found = finding(
        "BN101",
        "never-updated",
        Severity.ERROR,
        layers,
        f"The statistics of {len(layers)} layers never left their initial values (mean 0, "
        "variance 1) in 500 steps, although training went on.",
        evidence=(
            "conv0/bn/moving_mean: 32 values, all 0 at all 500 points (steps 1 to 500)",
            "conv0/bn/AssignMovingAvg and 5 more update ops exist; nothing that trains needs them",
            "loss went from 2.31 to 0.05",
        ),
        fix=STALE_FIX,
        causes=("BN401",),
    )
    return run_of("stale", name, layers, np.zeros(500), np.ones(500), findings=(found,), **fields)


def lagging(name="m999/train", layers=("conv0/bn", "conv1/bn")):
    """Returns a run whose statistics still hold 61 % of their initial values."""
    found = finding(
        "BN201",
        "lagging-statistics",
        Severity.ERROR,
        layers,
        "61 % of the initial values is left after 500 updates with momentum 0.999.",
        evidence=("0.999 ** 500 = 0.606",),
        fix="Use momentum 0.99, or train for at least 2,995 steps.",
    )
    mean, variance = converging(0.0, 0.4, 0.999), converging(1.0, 0.2, 0.999)
    return run_of("lagging", name, layers, mean, variance, findings=(found,))


def broken(name="nan/train", layers=("conv0/bn",)):
    """Returns a run in which a statistic became NaN at step 251."""
    mean = converging(0.0, 0.4, 0.99)
    mean[250:] = np.nan
    found = finding(
        "BN301",
        "non-finite-statistics",
        Severity.ERROR,
        layers,
        "moving_mean holds NaN from step 251 on and can never recover.",
        step=251,
        evidence=("32 of 32 channels are NaN at step 251",),
        fix="Reload the last checkpoint before step 251.",
    )
    return run_of("broken", name, layers, mean, findings=(found,))


def healthy(name="CD/train", layers=("conv0/bn", "conv1/bn")):
    """Returns a run without fault, with the note of when evaluation became trustworthy."""
    found = finding(
        "BN202",
        "cold-start",
        Severity.INFO,
        layers,
        "Evaluations before step 299 measured mostly the initial values.",
        step=299,
        evidence=("0.99 ** 299 = 0.0495",),
        fix="Do not judge this run by evaluations before step 299.",
    )
    return run_of("healthy", name, layers, findings=(found,))


def not_logged(name="bare/train"):
    """Returns a run whose graph has batch norm, wired, and no statistics."""
    wiring = LayerWiring("conv0/bn", {}, {})
    found = finding(
        "BN901",
        "statistics-not-logged",
        Severity.INFO,
        (),
        "The graph has batch norm; its moving statistics are not logged.",
        fix="Log them:\n    tf.summary.histogram('bn/moving_mean', layer.moving_mean)",
    )
    graph = GraphEvidence(trains=True, layers={"conv0/bn": wiring})
    run = run_of("not-logged", name, (), findings=(found,), graph=graph)
    return dataclasses.replace(run, wiring_judged=True)


def no_batch_norm(name="plain/train"):
    """Returns a run without batch norm."""
    return run_of("no-batch-norm", name, ())


def unreadable(name="."):
    """Returns a run whose only file is no event file."""
    file = FileReport(
        "logs/events.out.tfevents.1", 7, 0, "not_event_file", "byte 0: got b'PK', want a record"
    )
    found = finding(
        "BN903",
        "damaged-file",
        Severity.WARNING,
        (),
        f"{file.path} is not an event file: {file.detail}.",
        step=None,
        fix="Point bn_tb at the folder that holds the event files.",
    )
    return run_of(
        "unreadable",
        name,
        (),
        files=(file,),
        findings=(found,),
        first_step=None,
        last_step=None,
    )


EVERY_KIND = (stale, lagging, broken, healthy, not_logged, unreadable)
