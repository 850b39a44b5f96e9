"""## What it does
Finds runs in which the moving statistics fell back to their initial values at a restart while the
weights went on.

## Why is this bad?
The checkpoint holds the weights and not the statistics (`Saver(tf.trainable_variables())`,
`named_parameters()` instead of `state_dict()`). After the restart they begin anew; whoever
restores the same checkpoint for evaluation gets the initial values.

## How it is decided
Confirmed: both statistics had left their initial values, and at a later step both are exactly the
initial values again; or the layer's counter of updates fell to what can have been counted since the
point before, and the statistics went towards 0 and 1 there by five times their usual move, and the
weights did not jump. Likely: at the start of a further writer (a new event file, or a
SessionLog START), in `share` = 80 % of the moving layers the moving mean shrinks to less than half
and the variances of all channels go back more than half the way to 1, which no data does to all
layers at once. If logged weights are back at their first values too, it is a new run: silent.
Points that a restart writes again replace those before, as in TensorBoard.

## Example
    step 1000  moving_variance 0.02 to 3.1
    step 1001  moving_variance exactly 1     (events.out.tfevents.2 begins here)

## When it is wrong
When the statistics were reset on purpose (`reset_running_stats()`) to estimate them again.

## How to fix it
Save everything: `tf.train.Saver(tf.global_variables())`, `model.state_dict()`,
`model.save_weights()`, `batch_stats` beside `params`.

## References
- https://github.com/tinghuiz/SfMLearner/issues/17
- https://github.com/tensorflow/models/issues/7722
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.evidence.counting import resets_of
from bn_tb.layers import BatchNormLayer, Framework, Motion, trajectory
from bn_tb.rules import _fixes
from bn_tb.rules._words import count, layers_in_words
from bn_tb.rules.rule import Limit, Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Meaning, Severity, Verdict
from bn_tb.runs.series import FloatArray, IntArray
from bn_tb.runs.tags import Role

LIMITS = {
    "share": Limit(0.8, "share of the moving layers", "a checkpoint holds all statistics or none"),
}
_SAVE = {
    Framework.TF1: "tf.train.Saver(tf.global_variables())",
    Framework.KERAS: "model.save_weights(path)",
    Framework.TORCH: "torch.save(model.state_dict(), path), and load_state_dict with strict=True",
    Framework.JAX: "batch_stats beside params",
    Framework.UNKNOWN: "tf.train.Saver(tf.global_variables()), PyTorch's model.state_dict(), "
    "Keras' model.save_weights(path)",
}


_UNUSUAL = 5.0
"""Usual moves between two points, their median: what noise does once in a thousand times."""

RESTARTED = "the checkpoint did not hold them"
BY_THE_PROGRAM = (
    "the program reset them, as SWA's update_bn, precise batch norm and reset_running_stats do"
)
PROGRAM_FIX = (
    "Nothing, if they are estimated anew before the next evaluation. Evaluations in between "
    "measure the initial values."
)


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence per step at which statistics began anew."""
    moving = [layer for layer in subject.layers if layer.motion is Motion.MOVING]
    at: dict[int, list[BatchNormLayer]] = {}
    for layer in moving:
        step = _back_at_initial(layer) or _counted_anew(layer)
        if step is not None and not _weights_restart(layer, step):
            at.setdefault(step, []).append(layer)
    for step, layers in at.items():
        yield _evidence(layers, step, Confidence.CONFIRMED, _restarted(subject, layers[0], step))
    if at:
        return
    for session in subject.run.sessions[1:]:
        if session.step is None:
            continue
        thrown = [layer for layer in moving if _thrown_back(layer, session.step)]
        if thrown and len(thrown) >= limits["share"] * len(moving):
            yield _evidence(thrown, session.step, Confidence.LIKELY, True)


def _restarted(subject: Subject, layer: BatchNormLayer, step: int) -> bool:
    """Returns whether a writer started between the point before a step and that step."""
    steps = layer.finite[0][1].steps
    before = int(steps[max(int(np.searchsorted(steps, step)) - 1, 0)])
    starts = [session.step for session in subject.run.sessions[1:] if session.step is not None]
    return any(before < start <= step for start in starts)


def _counted_anew(layer: BatchNormLayer) -> int | None:
    """Returns the first step after the layer's counter and its statistics began again, or None.

    A counter alone may be set back; where the weights jump, too, another model began.
    """
    for step in resets_of(layer).tolist():
        if _fell_back(layer, step) and not _weights_jump(layer, step):
            return int(step)
    return None


def _fell_back(layer: BatchNormLayer, step: int) -> bool:
    """Returns whether statistics go towards 0 and 1 at a step, by more than they usually move."""
    if layer.mean is None or layer.variance is None:
        return False
    size = trajectory.rms(layer.mean)
    away = np.abs(np.log(np.maximum(layer.variance.mean, np.finfo(float).tiny)))
    curves = ((layer.mean.steps, size), (layer.variance.steps, away))
    return any(_jump(steps, -values, step) > _UNUSUAL for steps, values in curves)


def _weights_jump(layer: BatchNormLayer, step: int) -> bool:
    weights = map(trajectory.as_shown, layer.weights.values())
    return any(abs(_jump(one.steps, trajectory.rms(one), step)) > _UNUSUAL for one in weights)


def _jump(steps: IntArray, values: FloatArray, step: int) -> float:
    """Returns by how many usual moves a curve rises at a step."""
    at = int(np.searchsorted(steps, step))
    if not 0 < at < steps.size:
        return 0.0
    usual = float(np.median(np.abs(np.diff(values))))
    return float(values[at] - values[at - 1]) / max(usual, np.finfo(float).tiny)


def _back_at_initial(layer: BatchNormLayer) -> int | None:
    """Returns the first step at which both statistics are at initial values they had left."""
    steps = []
    for role, series in layer.finite:
        if not (series.minimum[1:] == series.maximum[1:]).any():
            return None
        held = trajectory.holds(series, layer.initial(role, series))
        left = np.logical_or.accumulate(~held)
        back = np.flatnonzero(held & left)
        if not back.size:
            return None
        steps.append(int(series.steps[back[0]]))
    return max(steps) if len(steps) == 2 else None


def _weights_restart(layer: BatchNormLayer, step: int) -> bool:
    """Returns whether a weight is back at its first value at a step."""
    for series in map(trajectory.as_shown, layer.weights.values()):
        at = int(np.searchsorted(series.steps, step))
        if 0 < at < series.steps.size and series.identity[at] == series.identity[0]:
            return bool(trajectory.changes(series).any())
    return False


def _thrown_back(layer: BatchNormLayer, step: int) -> bool:
    if layer.mean is None or layer.variance is None:
        return False
    series = dict(layer.finite)
    mean, variance = series.values()
    after = int(np.searchsorted(variance.steps, step))
    if not 0 < after < variance.steps.size or not np.array_equal(mean.steps, variance.steps):
        return False
    size = trajectory.rms(mean)
    level = np.abs([variance.minimum - 1, variance.maximum - 1]).max(0)
    if _weights_restart(layer, int(variance.steps[after])):
        return False
    return bool(
        size[after] < size[after - 1] / 2
        and level[after] < level[after - 1] / 2
        and level[after - 1] > 0.2
    )


def _evidence(
    layers: list[BatchNormLayer], step: int, confidence: Confidence, restarted: bool
) -> Evidence:
    names = [layer.name for layer in layers]
    anew = resets_of(layers[0])
    back = "exactly" if confidence is Confidence.CONFIRMED else "near"
    return Evidence(
        message=(
            f"The moving statistics of {layers_in_words(names)} began anew at step {step}, while "
            f"the weights went on: {RESTARTED if restarted else BY_THE_PROGRAM}."
        ),
        proof=(
            _counts(layers[0], anew, step)
            if step in anew
            else f"{names[0]}: {back} its initial values at step {step}, after it had left them",
        ),
        fix=_fix(layers) if restarted else PROGRAM_FIX,
        layers=tuple(names),
        step=step,
        severity=None if restarted else Severity.INFO,
        confidence=confidence,
    )


def _fix(layers: list[BatchNormLayer]) -> str:
    framework = _fixes.framework_of(layers)
    save = f"Save the statistics with the weights: {_SAVE[framework]}."
    if _fixes.renormalise(layers):
        return save
    return (
        f"{save} Where only the weights are left, {_fixes.RECALIBRATE[framework]} fills in the "
        "statistics."
    )


def _counts(layer: BatchNormLayer, anew: IntArray, step: int) -> str:
    counter = layer.counters[Role.UPDATE_COUNT]
    at, again = int(np.searchsorted(counter.steps, step)), int(np.count_nonzero(anew > step))
    times = f", and {count(again, 'time')} more" if again else ""
    return (
        f"updates counted by {layer.name}: {counter.values[at - 1]:.0f} at step "
        f"{counter.steps[at - 1]}, {counter.values[at]:.0f} at step {counter.steps[at]}{times}"
    )


RULE = Rule(
    "BN106",
    "reset-on-resume",
    Severity.ERROR,
    check,
    __doc__ or "",
    LIMITS,
    meaning=Meaning(Verdict.STALE),
    explained_by=("BN407",),
    covers=("BN304",),
)
