"""Event files of the frameworks' own writers: which one, what it logs and how, drawn at random.

Values are ordinary, constant, tiny, huge, few or not finite; steps repeat, go back and begin
anywhere; some files go on in a second one.
"""

import pathlib
from collections.abc import Iterator

import numpy as np

Point = tuple[str, int, np.ndarray]
"""Tag, step, and values: of a scalar `[]`, of a histogram `[N]`, float32."""

SCALARS = ("loss/train", "bn.running_var", "a b")
HISTOGRAMS = ("bn/moving_mean", "model/conv/kernel", "w[1]")


class Drawn:
    """Draws what is logged; equal seeds draw the same."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def write(self, folder: pathlib.Path, writer: str = "") -> None:
        """Writes event files into a folder, with one of `WRITERS`, any one by default."""
        writer = writer or str(self._random.choice(list(WRITERS)))
        for _ in range(1 + int(self._random.random() < 0.3)):
            WRITERS[writer](str(folder), list(self._points(writer)))

    def _points(self, writer: str) -> Iterator[Point]:
        step = int(self._random.choice([0, 0, 1, 1000, 1 << 33]))
        for _ in range(self._random.integers(1, 15)):
            for tag in (*SCALARS, *HISTOGRAMS):
                if self._random.random() < 0.7:
                    values = self._values(writer)
                    yield tag, step, values[0] if tag in SCALARS else values
            step = max(step + int(self._random.choice([0, 1, 1, 1, 7, -3])), 0)

    def _values(self, writer: str) -> np.ndarray:
        size = int(self._random.choice([1, 1, 2, 18, 64, 300]))
        scale = float(self._random.choice([1.0, 1.0, 1e-30, 1e18, 0.0]))
        values = self._random.normal(self._random.normal(), 1, size) * scale
        # TF1's op refuses these, and PyTorch's histograms of nothing else.
        if (writer == "tf2" or (writer != "tf1" and size > 1)) and self._random.random() < 0.1:
            values[0] = self._random.choice([np.nan, np.inf, -np.inf])
        return values.astype(np.float32)


def _tf1(folder: str, points: list[Point]) -> None:
    import tensorflow.compat.v1 as tf

    with tf.Graph().as_default(), tf.Session() as session, tf.summary.FileWriter(folder) as writer:
        value = tf.placeholder(tf.float32)
        ops = {tag: tf.summary.scalar(tag, value) for tag in SCALARS}
        ops |= {tag: tf.summary.histogram(tag, value) for tag in HISTOGRAMS}
        for tag, step, values in points:
            writer.add_summary(session.run(ops[tag], {value: values}), step)


def _tf2(folder: str, points: list[Point]) -> None:
    import tensorflow as tf

    with tf.summary.create_file_writer(folder).as_default():
        for tag, step, values in points:
            log = tf.summary.scalar if tag in SCALARS else tf.summary.histogram
            log(tag, values, step=step)


def _torch(folder: str, points: list[Point]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        _add(writer, points)


def _tensorboard_x(folder: str, points: list[Point]) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(folder) as writer:
        _add(writer, points)


def _add(writer, points: list[Point]) -> None:
    for tag, step, values in points:
        if tag in SCALARS:
            writer.add_scalar(tag, values, step)
        else:
            writer.add_histogram(tag, values, step)


FRAMEWORKS = {"tf1": "tensorflow", "tf2": "tensorflow", "torch": "torch"}
"""What a writer needs, where that is not the package of its name."""

WRITERS = {"tf1": _tf1, "tf2": _tf2, "torch": _torch, "tensorboardX": _tensorboard_x}
