"""Pickles that differ in numbers only are gone through once, and say the same as if each was."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from bn_tb.checkpoints import formats, pickle_machine, torch_alike, torch_file  # noqa: E402
from bn_tb.checkpoints.torch_names import find  # noqa: E402
from bn_tb.checkpoints.torch_values import build, storage_of  # noqa: E402
from bn_tb.files.local import LocalFile  # noqa: E402
from tests.builders import checkpoint_bytes as cb  # noqa: E402


def pickled(value):
    return pickle.dumps(value, 2)


@pytest.fixture
def counted(monkeypatch):
    """The number of times that a pickle was gone through."""
    times = []

    def load(*arguments):
        times.append(1)
        return pickle_machine.load(*arguments)

    monkeypatch.setattr(torch_alike, "load", load)
    return times


def test_other_numbers_are_read_where_they_are_written(counted):
    pickles = torch_alike.Pickles()
    for epoch, loss in ((3, float("inf")), (4, 0.25), (5, 1e300)):
        found = pickles.found_in(pickled({"epoch": epoch, "loss": loss, "lr": [loss]}))
        assert found.numbers == {"epoch": epoch, "loss": loss}
    assert len(counted) == 1


@pytest.mark.parametrize("other", [{"epoch": 3, "name": "b"}, {"epoch": 300, "name": "a"}])
def test_other_texts_and_longer_numbers_are_gone_through(counted, other):
    pickles = torch_alike.Pickles()
    pickles.found_in(pickled({"epoch": 3, "name": "a"}))
    assert pickles.found_in(pickled(other)).numbers == {"epoch": other["epoch"]}
    assert len(counted) == 2


def test_numbers_that_name_what_they_hold_are_no_numbers_to_be_read():
    pickles = torch_alike.Pickles()
    for key in (3, 4):
        state = cb.torch_state(["bn.running_mean"])[2:-1]
        found = pickles.found_in(b"\x80\x02}K" + bytes([key]) + state + b"s.")
        assert list(found.tensors) == [f"{key}.bn.running_mean"]


def test_a_tensor_of_another_size_is_not_taken_for_the_one_before():
    pickles = torch_alike.Pickles()
    for size in (3, 4):
        found = pickles.found_in(cb.torch_state(["bn.running_mean"], size))
        assert found.tensors["bn.running_mean"].shape == (size,)


def test_checkpoints_of_a_training_say_what_each_of_them_holds(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    states = []
    for epoch in range(4):
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
        schedule.step()
        states.append(copy.deepcopy(model.state_dict()))
        saved = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(saved | {"schedule": schedule.state_dict()}, tmp_path / f"{epoch}.pth")
    for epoch in (0, 3, 1, 2):
        found = formats.read(LocalFile(str(tmp_path / f"{epoch}.pth")))
        assert (found.numbers, found.optimizer_steps) == ({"epoch": epoch}, epoch + 1)
        mean = found.tensors["1.running_mean"].array()
        assert mean.tobytes() == states[epoch]["1.running_mean"].numpy().tobytes()


def test_what_is_found_is_what_the_machine_finds_alone():
    data = cb.torch_state(["a", "b"])
    again = find(pickle_machine.load(data, 0, build, storage_of)[0])
    assert torch_file._PICKLES.found_in(data) == again
