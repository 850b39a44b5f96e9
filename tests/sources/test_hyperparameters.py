"""Hyperparameters as frameworks write them."""

import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.events import hyperparameters as events_hyperparameters
from bn_tb.fleet.row import diagnoses_of, row_of
from bn_tb.reports.report import Report
from bn_tb.sources.follow import Follower
from bn_tb.sources.logdir import read_logdir
from tests.builders import event_bytes as eb

SCALAR = eb.summary(1, eb.scalar("loss", 1.0))


def of_runs(logdir):
    report = Report(diagnose(read_logdir(logdir)))
    return {run.subject.run.name: report.hyperparameters(run) for run in report.runs}


def test_hparams_of_the_keras_callback(tmp_path):
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    from tensorboard.plugins.hparams import api as hp

    with tf.summary.create_file_writer(str(tmp_path / "x")).as_default():
        hp.hparams({"momentum": 0.99, "units": 32, "act": "relu", "wired": False})
    eb.write(tmp_path / "x/train", eb.VERSION + SCALAR)
    wanted = {"momentum": 0.99, "units": 32, "act": "relu", "wired": False}
    assert of_runs(tmp_path) == {"x": wanted, "x/train": wanted}
    (followed, _) = Follower(tmp_path).poll()
    assert followed.hyperparameters == wanted


def test_hparams_of_pytorch(tmp_path):
    pytest.importorskip("torch", reason="needs PyTorch")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path / "x") as writer:
        writer.add_scalar("loss", 1.0, 1)
        writer.add_hparams({"lr": 0.1, "net": "resnet"}, {"accuracy": 0.9})
    assert of_runs(tmp_path)["x"] == {"lr": 0.1, "net": "resnet"}


def test_small_runs_that_are_read_together_keep_their_own(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for number in range(3):
        with SummaryWriter(tmp_path / str(number)) as writer:
            writer.add_hparams({"lr": float(number)}, {"accuracy": 0.9}, run_name="1700000000")
    found = of_runs(tmp_path)
    assert [found[f"{number}/1700000000"] for number in range(3)] == [
        {"lr": 0},
        {"lr": 1},
        {"lr": 2},
    ]


YAML = """
lr: 0.001
net: resnet
optimizer: {name: sgd, nesterov: true}
layers: [1, 2]
path: !!python/object/apply:pathlib.PosixPath [a, b]
kind: !!python/name:torch.nn.ReLU ''
nothing: null
"""


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (YAML, {"lr": 0.001, "net": "resnet", "optimizer.name": "sgd", "optimizer.nesterov": True,
                "kind": ""}),
        ("", {}),
        ("just text", {}),
        ("{unfinished", {}),
        ("a: &a {x: 1, y: *a}", {"a.x": 1}),
        ("lr: .nan", {"lr": "nan"}),
    ],
)  # fmt: skip
def test_hparams_yaml_beside_the_event_files(tmp_path, text, values):
    eb.write(tmp_path / "version_0", eb.VERSION + SCALAR)
    (tmp_path / "version_0/hparams.yaml").write_text(text)
    assert of_runs(tmp_path) == {"version_0": values}


def test_a_bomb_of_aliases_costs_no_time(tmp_path):
    eb.write(tmp_path, eb.VERSION + SCALAR)
    lines = ["a0: &a0 {}"] + [
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}" for n in range(1, 40)
    ]
    (tmp_path / "hparams.yaml").write_text("\n".join(lines))
    assert of_runs(tmp_path) == {".": {}}


def test_a_file_that_holds_only_hyperparameters_is_no_run(tmp_path):
    (tmp_path / "hparams.yaml").write_text("lr: 1")
    assert of_runs(tmp_path) == {}


def test_they_survive_the_way_through_a_row(tmp_path):
    eb.write(tmp_path / "lr=0.1", eb.VERSION + SCALAR)
    (diagnosis,) = diagnose(read_logdir(tmp_path))
    (again,) = diagnoses_of([row_of(diagnosis)])
    assert again.subject.run.hyperparameters == {"lr": 0.1}


@pytest.mark.parametrize(
    "metadata", [b"", b"\xff", b"\x0a\x05\x12\x03\x1a\x01\x0a", b"\x0a\x02\x12\x09"]
)
def test_damaged_hparams_are_none(metadata):
    assert events_hyperparameters.decode(metadata) == {}
