"""The PyTorch monitor: what it writes and says, and that a training does not notice it."""

import copy
import io
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch import nn  # noqa: E402

import bn_tb  # noqa: E402
from bn_tb.monitor.pytorch import BatchNormMonitor  # noqa: E402
from tests.builders import toy_torch as toy  # noqa: E402
from tests.builders.ranks import run_in_two  # noqa: E402


def told(caught):
    return [str(one.message).split(":")[0] for one in caught]


def test_a_log_of_the_monitor_alone_is_judged_as_live(tmp_path):
    model = toy.net(momentum=0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path / "run", every=10) as m:
            toy.train(model, optimizer, 60)
            live = m.diagnoses()
    assert told(caught) == ["BN101 never-updated"]
    (logged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert {f.code for f in logged.findings} == {f.code for f in live[0].findings} == {"BN101"}
    assert logged.verdict == live[0].verdict == "stale"
    assert "momentum=0" in logged.findings[0].message


def test_a_lag_is_told_at_the_end_by_the_momentum_of_the_model(tmp_path):
    model = toy.net(momentum=0.001)
    monitor = BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=10)
    toy.train(model, optimizer, 60)
    with pytest.warns(bn_tb.BatchNormWarning, match="BN201 lagging-statistics"):
        monitor.close()
    (logged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert logged.verdict == "lagging"
    assert logged.layers[0].momentum == pytest.approx(0.999)
    assert logged.layers[0].momentum_source == "monitor"


def test_a_healthy_training_is_left_in_peace(tmp_path):
    model = toy.net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=10):
            toy.train(model, optimizer, 100, validate_every=25)
    (logged,) = bn_tb.diagnose(bn_tb.read_logdir(tmp_path))
    assert logged.verdict == "healthy"


def test_passes_are_counted_by_mode(tmp_path):
    model = toy.net()
    monitor = BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=10)
    toy.train(model, optimizer, 20)
    for _ in range(5):
        model.eval()(toy.batch()[0])
    monitor.close()
    (run,) = bn_tb.read_logdir(tmp_path)
    assert run.scalars["1/training_passes"].values[-1] == 20
    assert run.scalars["1/evaluation_passes"].values[-1] == 5
    assert run.scalars["optimizer_steps"].values[-1] == 20


def test_a_validation_in_training_mode_is_found(tmp_path):
    model = toy.net()
    with (
        pytest.warns(bn_tb.BatchNormWarning, match="BN206 updated-in-evaluation"),
        BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=10),
    ):
        for _ in range(5):
            toy.train(model, optimizer, 20)
            with torch.no_grad():
                for _ in range(8):
                    model(toy.batch()[0])
    assert "BN206" in {one.code for one in bn_tb.diagnose(tmp_path).findings}


def test_a_generator_that_runs_for_its_discriminator_is_no_validation(tmp_path):
    model = toy.net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=10):
            for _ in range(100):
                with torch.no_grad():
                    for _ in range(5):
                        model.train()(toy.batch()[0])
                toy.train(model, optimizer, 1)
    assert bn_tb.diagnose(tmp_path).verdict == "healthy"


@pytest.mark.parametrize(("training", "codes"), [(True, ["BN108"]), (False, [])])
def test_statistics_that_drift_while_all_but_the_head_is_frozen_are_told(tmp_path, training, codes):
    model = toy.net()
    toy.train(model, toy.sgd(model), 100)
    model.requires_grad_(False)
    model[4].requires_grad_(True)
    optimizer = torch.optim.SGD(model[4].parameters(), lr=0.05)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        with BatchNormMonitor(model, optimizer, tmp_path, every=10):
            for _ in range(100):
                model.train()
                model[1].train(training)
                inputs, labels = toy.batch()
                nn.functional.cross_entropy(model(inputs + 4), labels).backward()
                optimizer.step()
    judged = bn_tb.diagnose(tmp_path)
    assert [one.code for one in judged.findings if one.severity.name != "INFO"] == codes


@pytest.mark.parametrize("given", ["the compiled model", "the model inside"])
def test_a_compiled_model_is_judged_and_what_cannot_be_counted_is_left_out(tmp_path, given):
    model = toy.net()
    compiled = torch.compile(model, backend="eager")
    watched = compiled if given == "the compiled model" else model
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", UserWarning
        )  # what Python and PyTorch say of each other is no matter
        with BatchNormMonitor(watched, optimizer := toy.sgd(model), tmp_path, every=10):
            toy.train(compiled, optimizer, 60, validate_every=20)
    (run,) = bn_tb.read_logdir(tmp_path)
    passes = [run.scalars[f"1/{kind}_passes"].values[-1] for kind in ("training", "evaluation")]
    assert passes == ([60, 3] if given == "the compiled model" else [0, 0])
    assert bn_tb.diagnose(tmp_path).verdict == "healthy"


RANK = """
import os, sys, warnings
import torch
from torch import distributed, nn
from bn_tb.monitor.pytorch import BatchNormMonitor
from tests.builders import toy_torch as toy
folder, shift, every_rank = sys.argv[1:]
distributed.init_process_group("gloo")
rank = distributed.get_rank()
plain = toy.net()
model = nn.parallel.DistributedDataParallel(plain, broadcast_buffers=False)
optimizer = toy.sgd(model)
warnings.simplefilter("ignore")
with BatchNormMonitor(model, optimizer, folder, every=10, every_rank=every_rank == "yes"):
    for _ in range(40):
        x, y = toy.batch()
        loss = nn.functional.cross_entropy(model(x + rank * float(shift)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
distributed.destroy_process_group()
"""


def ranks(folder, shift, every_rank):
    """Trains with DistributedDataParallel in two processes; returns the diagnoses."""
    run_in_two(RANK, folder, shift, every_rank)
    return bn_tb.diagnose(folder)


def test_of_several_processes_the_first_one_writes(tmp_path):
    (one,) = ranks(tmp_path, 0.0, "no")
    assert (one.subject.run.name, one.verdict) == (".", "healthy")


def test_ranks_that_see_other_data_disagree(tmp_path):
    judged = ranks(tmp_path, 30.0, "yes")
    assert {one.subject.run.name for one in judged} == {"rank_0", "rank_1"}
    assert "BN502" in {finding.code for finding in judged.findings}


def test_a_fault_that_ends_is_said_to_be_resolved():
    model = toy.net()
    optimizer = toy.sgd(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        monitor = BatchNormMonitor(model, optimizer, every=5)
        toy.train(model, optimizer, 20, training=False)
        toy.train(model, optimizer, 200)
        monitor.close()
    assert "BN101 never-updated" in told(caught) and any(
        "resolved" in str(w.message) for w in caught
    )


def test_stop_ends_the_training_on_an_error():
    model = toy.net(momentum=0.0)
    monitor = BatchNormMonitor(model, optimizer := toy.sgd(model), every=5, stop=True)
    with pytest.warns(bn_tb.BatchNormWarning), pytest.raises(bn_tb.BatchNormError):
        toy.train(model, optimizer, 50)
    assert monitor.steps < 50


def test_a_training_is_bit_for_bit_the_same_with_and_without(tmp_path):
    results = []
    for monitor in (None, tmp_path):
        model = toy.net(dropout=0.3)
        optimizer = toy.sgd(model)
        made = BatchNormMonitor(model, optimizer, monitor, every=1) if monitor else None
        torch.manual_seed(3)
        loss = toy.train(model, optimizer, 30)
        if made:
            made.close()
        results.append((loss, torch.get_rng_state(), *model.state_dict().values()))
    for one, other in zip(*results, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


def test_a_fault_inside_the_monitor_is_said_once_and_ends_nothing(tmp_path, monkeypatch):
    model = toy.net(momentum=0.0)
    monitor = BatchNormMonitor(model, optimizer := toy.sgd(model), tmp_path, every=1)
    monkeypatch.setattr(monitor._judge._log, "write", lambda snapshot: 1 // 0)
    with pytest.warns(bn_tb.BatchNormWarning, match="monitor is off: ZeroDivisionError") as caught:
        toy.train(model, optimizer, 10)
        monitor.close()
    assert len(caught) == 1


def test_the_model_is_pickled_copied_and_saved_as_if_nobody_looked():
    model = toy.net()
    plain = pickle.dumps(model.state_dict())
    monitor = BatchNormMonitor(model, toy.sgd(model))
    assert pickle.dumps(model.state_dict()) == plain
    buffer = io.BytesIO()
    torch.save(model, buffer)
    assert b"bn_tb" not in buffer.getvalue()
    buffer.seek(0)
    for twin in (copy.deepcopy(model), torch.load(buffer, weights_only=False)):
        twin(toy.batch()[0])
    assert not monitor._passes["1"].counted
    monitor.close()
    assert not model[1]._forward_pre_hooks


def test_skipped_steps_and_accumulated_gradients_are_no_steps():
    model = toy.net()
    optimizer = toy.sgd(model)
    monitor = BatchNormMonitor(model, optimizer, every=10)
    for index in range(40):
        x, y = toy.batch()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        if index % 4 == 3:
            optimizer.step()
    monitor.close()
    assert (monitor.steps, monitor._passes["1"].for_training) == (10, 40)


def test_a_summary_writer_of_the_user_is_written_and_left_open(tmp_path):
    board = pytest.importorskip("torch.utils.tensorboard")
    model = toy.net()
    model[1].running_mean.fill_(np.nan)
    with board.SummaryWriter(str(tmp_path)) as writer, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with BatchNormMonitor(model, optimizer := toy.sgd(model), writer, every=5):
            toy.train(model, optimizer, 10)
        writer.add_scalar("mine", 1.0)
    (run,) = bn_tb.read_logdir(tmp_path)
    assert "mine" in run.scalars and "1/running_var" in run.histograms
