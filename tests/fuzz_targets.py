"""What fuzzers feed: any bytes in, no exception out.

    python tests/fuzz_targets.py TARGET [libFuzzer options, such as -max_total_time=600]

The targets are at the end of this file. Needs atheris (extra `dev`). The files `test_fuzz.py` give
the same functions to hypothesis.
"""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.builders import checkpoint_bytes as cb  # noqa: E402
from tests.builders import event_bytes as eb  # noqa: E402

KINDS = ("graph_def", "meta_graph_def", "run_metadata", "tagged_run_metadata", "keras_model")


def read(data: bytes):
    """Reads some bytes as an event file and checks what holds of every report and series."""
    from bn_tb.runs.run import FILE_STATUS
    from bn_tb.sources.logdir import read_logdir

    # A folder for each call: libFuzzer ends the process without cleaning up.
    with tempfile.TemporaryDirectory(prefix="bn_tb_fuzz") as folder:
        (run,) = read_logdir(eb.write(pathlib.Path(folder), data))
    (report,) = run.files
    assert report.status in FILE_STATUS
    assert "\n" not in report.detail and (report.status == "ok") == (not report.detail)
    assert report.bytes == len(data)
    for series in (*run.scalars.values(), *run.histograms.values()):
        lengths = {len(column) for column in vars(series).values() if hasattr(column, "shape")}
        assert lengths == {len(series.steps)} and lengths != {0}
    return run


def fuzz_file(data: bytes) -> None:
    """The bytes are an event file."""
    read(data)


def fuzz_event(data: bytes) -> None:
    """The bytes are an event, a summary, a value, a histogram and a tensor with good checksums.

    In company of others they are decoded by numpy, alone in a loop: with the same result.
    """
    tag = eb.field(1, b"bn/moving_mean")
    tensor = eb.tensor("bn/moving_variance", "histograms", data)
    records = [
        eb.record(data),
        eb.event(eb.field(5, data), step=1),
        eb.summary(2, tag + data),
        eb.summary(3, tag + eb.field(5, data)),
        eb.summary(4, tensor),
        eb.summary(5, eb.tensor("loss", "scalars", data)),
    ]
    for one in records:
        alone, together = read(one), read(one * 20)
        assert alone.files[0].status == together.files[0].status
        assert set(alone.histograms) == set(together.histograms)
        for name, series in alone.histograms.items():
            assert set(series.identity) == set(together.histograms[name].identity)
        assert set(alone.scalars) == set(together.scalars)


def fuzz_series(data: bytes) -> None:
    """The bytes are the seed of valid event files, in odd forms or of a framework's own writer.

    Series are those of TensorBoard's reader, value for value. Needs the frameworks.
    """
    from tests.builders.against_tensorboard import assert_equal_to_tensorboard
    from tests.builders.drawn_writers import Drawn
    from tests.builders.odd_events import Odd

    seed = int.from_bytes(data[:8], "little")
    with tempfile.TemporaryDirectory(prefix="bn_tb_fuzz") as folder:
        if seed % 2:
            Drawn(seed).write(pathlib.Path(folder))
        else:
            eb.write(pathlib.Path(folder), Odd(seed).file())
        assert_equal_to_tensorboard(pathlib.Path(folder))


def fuzz_graph(data: bytes) -> None:
    """The bytes are a graph of every kind."""
    from bn_tb import graph
    from bn_tb.runs.run import GraphSource

    for kind in KINDS:
        evidence = graph.read([GraphSource(kind, "keras", 0, data)])
        assert not any("\n" in problem for problem in evidence.problems)


class Bytes:
    """A file in memory, as `RangeFile`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Returns a range."""
        return self.data[offset : offset + length] if offset >= 0 and length >= 0 else b""


def _snapshot(data: bytes, shard: bytes | None = None) -> None:
    from bn_tb.checkpoints import formats
    from bn_tb.checkpoints.contents import CheckpointError
    from bn_tb.checkpoints.snapshot import snapshot_of

    shards = None if shard is None else lambda at, count: Bytes(shard)
    try:
        found = snapshot_of(formats.read(Bytes(data), shards))
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert len(found.tags) == len(found.shapes) == len(found.moments.identity)


def fuzz_checkpoint(data: bytes) -> None:
    """The bytes are a checkpoint of any format, and an index whose data file they are too."""
    _snapshot(data)
    _snapshot(data, data)


def fuzz_pickle(data: bytes) -> None:
    """The bytes are the pickle of both kinds of PyTorch files."""
    _snapshot(cb.torch_zip(data, [bytes(64)] * 2))
    _snapshot(cb.torch_stream(data, ["0", "1"], [bytes(64)] * 2))


def fuzz_table(data: bytes) -> None:
    """The bytes are entries of TensorFlow's tables, with good checksums."""
    _snapshot(cb.table({b"": data, b"bn/moving_mean": data, b"\0bn": data}), bytes(64))
    _snapshot(cb.table({b"": data, b"\0bn/moving_mean\0\1": data}))


TARGETS = {
    "file": fuzz_file,
    "event": fuzz_event,
    "series": fuzz_series,
    "graph": fuzz_graph,
    "checkpoint": fuzz_checkpoint,
    "pickle": fuzz_pickle,
    "table": fuzz_table,
}


def main() -> None:
    """Runs libFuzzer on one target."""
    import atheris

    target = TARGETS[sys.argv.pop(1)]
    with atheris.instrument_imports(include=["bn_tb"]):
        target(b"")  # targets import what they feed
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
