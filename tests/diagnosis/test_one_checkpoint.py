"""What one file of PyTorch proves, with nothing in it but the model."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import bn_tb  # noqa: E402
from tests.builders import toy_torch as toy  # noqa: E402


def trained(steps, training=True):
    model = toy.net()
    toy.train(model, toy.sgd(model), steps, training)
    return model


def judged(folder, **files):
    for name, saved in files.items():
        torch.save(saved, folder / f"{name}.pth")
    return bn_tb.diagnose(folder)


def test_a_trained_beta_proves_that_statistics_were_never_updated(tmp_path):
    found = judged(tmp_path, model=trained(50, training=False).state_dict())
    assert [finding.code for finding in found.findings] == ["BN101"]
    assert "in model.pth they still hold their initial values" in found.findings[0].message
    assert any("no longer one number as it begins" in line for line in found.findings[0].evidence)


def test_an_untrained_network_proves_nothing(tmp_path):
    assert judged(tmp_path, model=toy.net().state_dict()).verdict == "insufficient"


def test_gammas_that_a_program_draws_around_1_prove_no_training(tmp_path):
    model = toy.net()
    torch.nn.init.normal_(model[1].weight, 1.0, 0.02)  # as DCGAN begins
    assert judged(tmp_path, model=model.state_dict()).verdict == "insufficient"


def test_a_copy_whose_statistics_were_left_behind_is_named(tmp_path):
    model, average = trained(400), toy.net()
    with torch.no_grad():
        for own, other in zip(average.parameters(), model.parameters(), strict=True):
            own.copy_(0.99 * other)
    saved = {"model": model.state_dict(), "ema": average.state_dict()}
    (finding,) = [one for one in judged(tmp_path, both=saved).findings if one.code == "BN107"]
    assert finding.layers == ("ema.1",)
    assert any("16 of 16 channels exactly 0 in both.pth" in line for line in finding.evidence)


def test_another_model_of_the_same_shape_is_no_copy(tmp_path):
    saved = {"G": trained(400).state_dict(), "D": trained(50, training=False).state_dict()}
    codes = {finding.code for finding in judged(tmp_path, gan=saved).findings}
    assert "BN107" not in codes
    assert "BN101" in codes


def test_two_checkpoints_after_few_updates_are_not_called_healthy(tmp_path):
    model = toy.net(momentum=0.01)
    optimizer = toy.sgd(model)
    files = {}
    for epoch in (1, 2):
        toy.train(model, optimizer, 10)
        files[f"epoch_{epoch}"] = copy.deepcopy(model.state_dict())
    found = judged(tmp_path, **files)
    assert found.verdict == "insufficient"
    assert "updated only 20 times" in found.findings[0].message


def test_two_checkpoints_after_many_updates_are_healthy(tmp_path):
    files = {f"epoch_{epoch}": trained(200 * epoch).state_dict() for epoch in (2, 3)}
    assert judged(tmp_path, **files).verdict == "healthy"


def test_a_pointer_of_git_lfs_is_fetched_and_not_copied_again(tmp_path):
    (tmp_path / "net.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    (finding,) = bn_tb.diagnose(tmp_path).findings
    assert "is a Git LFS pointer" in finding.message
    assert "git lfs pull" in finding.fix
