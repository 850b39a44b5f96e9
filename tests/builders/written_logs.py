"""Small logdirs, one for each verdict, in the layout of PyTorch programs."""

import numpy as np

from tests.builders import event_bytes as eb

CHANNELS = 4
STEPS = 200
MOMENTUM = 0.9


def statistics(steps, momentum, layers=("bn1", "bn2"), poison=None):
    """Returns records of statistics on their way from 0 and 1, with a weight that changes.

    Args:
      steps: Steps to write.
      momentum: Weight of the old value; 1 never updates.
      layers: Names of the layers.
      poison: Step from which on a mean is infinite, or None.
    """
    records = []
    for step in steps:
        left = momentum**step
        mean = ((1 - left) * np.linspace(0.5, 2, CHANNELS)).tolist()
        variance = (left + (1 - left) * np.linspace(0.1, 0.4, CHANNELS)).tolist()
        if poison is not None and step >= poison:
            mean[-1] = float("inf")
        values = [eb.histogram("conv.weight", [step + 1.0]), eb.scalar("loss", 1 / (step + 1))]
        for layer in layers:
            values += [
                eb.histogram(f"{layer}.running_mean", mean),
                eb.histogram(f"{layer}.running_var", variance),
            ]
        records.append(eb.summary(step, *values))
    return b"".join(records)


def stale(folder):
    """Nobody updates the statistics."""
    eb.write(folder / "stale", eb.VERSION + statistics(range(STEPS), momentum=1.0))


def lagging(folder):
    """Too high a momentum for so few steps; the momentum must be told."""
    eb.write(folder / "lagging", eb.VERSION + statistics(range(STEPS), momentum=0.999))


def broken(folder):
    """A mean becomes infinite."""
    eb.write(folder / "broken", eb.VERSION + statistics(range(STEPS), MOMENTUM, poison=150))


def healthy(folder):
    """Nothing is wrong."""
    eb.write(folder / "healthy", eb.VERSION + statistics(range(STEPS), MOMENTUM))


def not_logged(folder):
    """Gamma and beta are logged, the statistics are not."""
    names = ("bn1.weight", "bn1.bias")
    records = [
        eb.summary(step, *(eb.histogram(name, [0.0, step + 1.0]) for name in names))
        for step in range(10)
    ]
    eb.write(folder / "not_logged", eb.VERSION + b"".join(records))


def no_batch_norm(folder):
    """Only a loss."""
    records = [eb.summary(step, eb.scalar("loss", 1 / (step + 1))) for step in range(10)]
    eb.write(folder / "no_batch_norm", eb.VERSION + b"".join(records))


def unreadable(folder):
    """A file that has only the name of an event file."""
    eb.write(folder / "unreadable", b"PK\x03\x04 this is no event file, not at all")


KINDS = (stale, lagging, broken, healthy, not_logged, no_batch_norm, unreadable)
