"""A training whose event files cannot be written says so, whenever it happens."""

import pytest

pytest.importorskip("tf_keras")  # the extra `train`

from bn_tb.errors import UsageError
from bn_tb.sources.logdir import read_logdir
from bn_tb.training import event_files
from bn_tb.training.event_files import EventWriter
from bn_tb.training.tf1 import tf


@pytest.fixture(autouse=True)
def _graph():
    with tf.Graph().as_default():
        yield


def loss(value):
    return tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=value)])


def test_what_is_written_is_read(tmp_path):
    tf.constant(1.0)
    writer = EventWriter(tmp_path, tf.get_default_graph())
    for step in range(3):
        writer.add_summary(loss(step), step)
        writer.flush()
    writer.add_summary(loss(3.0).SerializeToString(), 3)
    writer.close()
    (run,) = read_logdir(tmp_path)
    assert run.scalars["loss"].values.tolist() == [0, 1, 2, 3]
    assert [source.kind for source in run.graphs] == ["graph_def", "meta_graph_def"]


def test_a_record_that_the_disk_did_not_take_is_told(tmp_path):
    writer = EventWriter(tmp_path)
    writer.add_summary(loss(1.0), 1)
    writer.flush()
    (path,) = tmp_path.iterdir()
    writer.add_summary(loss(2.0), 2)
    writer._writer.flush()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 5)
    with pytest.raises(UsageError, match="not everything that was written is in it"):
        writer.flush()


def test_an_error_of_tensorflow_is_one_line_with_its_reason(tmp_path, monkeypatch):
    writer = EventWriter(tmp_path)

    def full():
        raise RuntimeError("x/events.1; No space left on device\n\tFailed to flush 1 events to x")

    monkeypatch.setattr(writer._writer, "flush", full)
    with pytest.raises(UsageError) as caught:
        writer.flush()
    assert str(caught.value) == (
        f"{tmp_path}: the event file cannot be written: No space left on device"
    )


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        EventWriter(tmp_path / "file" / "train")


def test_threads_of_others_are_still_told(monkeypatch):
    told = []
    monkeypatch.setattr("threading.excepthook", told.append)
    event_files.hush_writer_threads()
    import threading

    for name in ("EventLoggerThread", "other"):
        thread = threading.Thread(target=lambda: 1 / 0, name=name)
        thread.start()
        thread.join()
    assert [failed.thread.name for failed in told] == ["other"]
