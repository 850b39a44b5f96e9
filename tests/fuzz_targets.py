"""What fuzzers feed: any bytes in, no exception out.

    python tests/fuzz_targets.py file|event|graph [libFuzzer options, such as -max_total_time=600]

Needs atheris (extra `dev`). `test_fuzz.py` gives the same functions to hypothesis.
"""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.builders import event_bytes as eb  # noqa: E402

FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="bn_tb_fuzz"))
KINDS = ("graph_def", "meta_graph_def", "run_metadata", "tagged_run_metadata", "keras_model")


def read(data: bytes):
    """Reads some bytes as an event file and checks what holds of every report and series."""
    from bn_tb.runs.run import FILE_STATUS
    from bn_tb.sources.logdir import read_logdir

    (run,) = read_logdir(eb.write(FOLDER, data))
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


def fuzz_graph(data: bytes) -> None:
    """The bytes are a graph of every kind."""
    from bn_tb import graph
    from bn_tb.runs.run import GraphSource

    for kind in KINDS:
        evidence = graph.read([GraphSource(kind, "keras", 0, data)])
        assert not any("\n" in problem for problem in evidence.problems)


TARGETS = {"file": fuzz_file, "event": fuzz_event, "graph": fuzz_graph}


def main() -> None:
    """Runs libFuzzer on one target."""
    import atheris

    target = TARGETS[sys.argv.pop(1)]
    with atheris.instrument_imports(include=["bn_tb"]):
        pass
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
