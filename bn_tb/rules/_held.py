"""What a statistic that stands still holds, in the words of its source: points or a checkpoint."""

from collections.abc import Iterator

from bn_tb.layers import BatchNormLayer
from bn_tb.rules._words import count, shortened, span
from bn_tb.rules.subject import Subject
from bn_tb.runs.tags import STATISTICS, Role


def held(subject: Subject, layer: BatchNormLayer, *roles: Role) -> Iterator[str]:
    """Yields a line per statistic of a layer that is the same in every channel at every point.

    Of checkpoints the last one is quoted: `64 of 64 channels exactly 0 in model.ckpt-7800`.

    Args:
      subject: What is judged.
      layer: A layer of it.
      roles: Which of its statistics; both without any.
    """
    for role, series in layer.finite:
        if role not in (roles or STATISTICS):
            continue
        value, last = f"exactly {series.minimum[0]:g}", int(series.steps[-1])
        name = _checkpoint_at(subject, layer, last) if layer.saved else ""
        if name:
            channels = f"{series.count[-1]:.0f} of {count(series.count[-1], 'channel')}"
            where = f"{channels} {value} in {name}, step {last}"
            if series.steps.size > 1:
                where += f", and in {count(series.steps.size - 1, 'checkpoint')} before"
        else:
            points = count(series.steps.size, "point")
            norm = role is Role.MOVING_VARIANCE and layer.norm_of_ones(series)
            who = ", the norm of ones," if norm else " in every channel"
            where = f"{value}{who} at {points}, {span(series.steps)}"
        yield f"{role.value} of {layer.name}: {where}"


def when(subject: Subject, layer: BatchNormLayer, step: int) -> str:
    """Returns `after step 500`, or `in net.pth` where no step of the training is known."""
    uncounted = layer.saved and subject.run.first_step == subject.run.last_step
    if uncounted and all(not one.counted for one in subject.run.checkpoints):
        return f"in {_checkpoint_at(subject, layer, step) or 'the checkpoint'}"
    return f"after step {step}"


def _checkpoint_at(subject: Subject, layer: BatchNormLayer, step: int) -> str:
    """Returns the name of the layer's checkpoint of this step, or an empty string."""
    for one in subject.run.checkpoints:
        if one.step == step and one.holds(layer.name):
            return shortened(one.name)
    return ""
