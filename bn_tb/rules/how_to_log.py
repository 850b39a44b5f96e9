"""How to log the statistics, by framework; and by which framework a run was probably written."""

import re

from bn_tb.layers import Framework
from bn_tb.runs.run import Run

_TF1 = """\
Log the moving statistics beside the weights:

    for variable in tf.global_variables():
        if "moving_" in variable.op.name or "MovingAverage" in variable.op.name:
            tf.summary.histogram("bn/" + variable.op.name, variable)"""
_KERAS = """\
Let the callback write histograms:

    tf.keras.callbacks.TensorBoard(logdir, histogram_freq=1)

or write them in a loop of your own:

    for weight in model.non_trainable_weights:
        name = getattr(weight, "path", weight.name)
        tf.summary.histogram(name, weight, step=step)"""
_TORCH = """\
Log the buffers beside the parameters (the writer refuses tensors of nothing but NaN):

    for name, buffer in model.named_buffers():
        if "running_" in name and buffer.isfinite().any():
            writer.add_histogram(name, buffer, step)"""
_JAX = """\
Log the collection of the statistics beside the parameters, in Flax NNX \
nnx.state(model, nnx.BatchStat), in Haiku the state:

    leaves = jax.tree_util.tree_leaves_with_path(state.batch_stats)
    for path, value in leaves:
        keys = [str(getattr(key, "key", key)) for key in path]
        name = "/".join(["batch_stats", *keys])
        writer.add_histogram(name, np.asarray(value), step)"""

FIXES = {
    Framework.TF1: _TF1,
    Framework.KERAS: _KERAS,
    Framework.TORCH: _TORCH,
    Framework.JAX: _JAX,
    Framework.UNKNOWN: f"PyTorch: {_TORCH[0].lower()}{_TORCH[1:]}\n\nKeras: "
    f"{_KERAS[0].lower()}{_KERAS[1:]}\n\nTensorFlow 1: {_TF1[0].lower()}{_TF1[1:]}",
}
"""How to log the statistics."""

_MONITORS = {
    Framework.TF1: """\
    from bn_tb.monitor.tf1 import BatchNormHook
    tf.train.MonitoredTrainingSession(hooks=[BatchNormHook("logs/run", every=100)])""",
    Framework.KERAS: """\
    from bn_tb.monitor.keras import BatchNormMonitor
    model.fit(x, y, callbacks=[BatchNormMonitor("logs/run", every=100)])""",
    Framework.TORCH: """\
    from bn_tb.monitor.pytorch import BatchNormMonitor
    BatchNormMonitor(model, optimizer, "logs/run", every=100)""",
}
_LIGHTNING = """\
    from bn_tb.monitor.lightning import BatchNormMonitor
    Trainer(callbacks=[BatchNormMonitor(every=100)])"""

_KERAS_TAG = re.compile(r"^(?:epoch|batch|evaluation)_|^val_(?:acc(?:uracy)?|loss)$")
_TORCH_FILE = re.compile(r"\.\d+\.\d+$")
"""torch and tensorboardX end names with process and number of the writer, TensorFlow 2 with `.v2`,
TensorFlow 1 and old releases of the others with the host."""
_LIGHTNING_PLACE = re.compile(r"(?:^|[/\\])(?:lightning_logs|version_\d+)(?:[/\\]|$)")
_TF1_TAG = re.compile(r"^global_step/sec$")


def likely_framework(run: Run) -> Framework:
    """Returns who probably wrote a run, by the names of its files and tags and by its graphs."""
    names = [file.path for file in run.files]
    if any(name.endswith(".v2") for name in names):
        return Framework.KERAS
    if is_lightning(run) or any(map(_TORCH_FILE.search, names)):
        return Framework.TORCH
    if any(map(_KERAS_TAG.search, run.scalars)):
        return Framework.KERAS
    return (
        Framework.TF1 if run.graphs or any(map(_TF1_TAG.search, run.scalars)) else Framework.UNKNOWN
    )


def is_lightning(run: Run) -> bool:
    """Returns whether Lightning wrote a run: its folders, or the metric it makes up."""
    return "hp_metric" in run.scalars or any(
        _LIGHTNING_PLACE.search(file.path) for file in run.files
    )


def monitor_of(run: Run) -> str:
    """Returns code with the monitor that logs and judges such runs, or an empty string."""
    return _LIGHTNING if is_lightning(run) else _MONITORS.get(likely_framework(run), "")
