"""BN109 on checkpoints that PyTorch wrote: a layer that `forward` never calls."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import bn_tb  # noqa: E402
from tests.builders import toy_torch as toy  # noqa: E402


def saved(folder, steps, first=0, forget=(), fresh=False):
    """Trains a net that has a layer `unused`, saves it, and returns the diagnoses of the folder."""
    model = toy.net()
    optimizer = torch.optim.Adam(model.parameters())
    toy.train(model, optimizer, steps)
    model.add_module("unused", torch.nn.BatchNorm1d(4))
    if fresh:
        optimizer = torch.optim.Adam(model.parameters())
    state = {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({key: value for key, value in state.items() if key not in forget}, folder / "m.pth")
    return bn_tb.diagnose(folder)


def test_a_layer_that_forward_never_calls_is_named_with_the_file(tmp_path):
    judged = saved(tmp_path, 196)
    (finding,) = [one for one in judged.findings if one.code == "BN109"]
    assert (finding.layers, finding.severity.label) == (("unused",), "warning")
    assert "moving_mean of unused: 4 of 4 channels exactly 0 in m.pth, step 196" in finding.evidence
    assert any("196 steps" in line for line in finding.evidence)
    assert "BN101" not in {one.code for one in judged.findings}


@pytest.mark.parametrize("case", [{"fresh": True}, {"forget": ("optimizer",)}])
def test_a_file_that_may_be_older_than_the_first_step_is_no_warning(case, tmp_path):
    judged = saved(tmp_path, 196, **case)
    assert {one.severity.label for one in judged.findings} == {"info"}


def test_the_steps_that_lightning_counts_show_that_it_was_trained(tmp_path):
    model = toy.net()
    toy.train(model, torch.optim.Adam(model.parameters()), 50)
    model.add_module("unused", torch.nn.BatchNorm1d(4))
    for steps, severity in ((50, "warning"), (0, "info")):
        saved = {"global_step": steps, "state_dict": model.state_dict()}
        torch.save(saved, tmp_path / "epoch=1.ckpt")
        found = bn_tb.diagnose(tmp_path).findings
        assert {one.severity.label for one in found if one.code == "BN109"} == {severity}


def test_before_the_first_step_nothing_is_unused(tmp_path):
    assert "BN109" not in {one.code for one in saved(tmp_path, 0).findings}
