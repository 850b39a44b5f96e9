"""bn_tb.check and bn_tb.recalibrate on models of PyTorch and Keras."""

import copy
import os

import numpy as np
import pytest

import bn_tb
from bn_tb.errors import UsageError
from bn_tb.repair.keras import values_of
from bn_tb.repair.recalibrate import _noted
from tests.builders.ranks import run_in_two

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture
def toy():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from tests.builders import toy_torch

    return toy_torch


def trained(toy, momentum=0.1, steps=200, training=True, dropout=0.0):
    model = toy.net(momentum, dropout)
    toy.train(model, toy.sgd(model), steps, training)
    return model


def batches(toy, count=16):
    return [toy.batch(64) for _ in range(count)]


@pytest.mark.parametrize(
    ("momentum", "cause"), [(0.0, "never updated"), (0.001, "lag behind"), (0.99, None)]
)
def test_wrong_statistics_are_found_and_repaired(toy, momentum, cause):
    model = trained(toy, momentum, dropout=0.2)
    (judged,) = bn_tb.check(model, batches(toy))
    if cause is None:
        assert judged.verdict == "healthy"
        return
    (finding,) = judged.findings
    assert finding.code == "BN503" and cause in finding.message and judged.verdict == "stale"
    before = toy.accuracy(model)
    repaired = bn_tb.recalibrate(model, batches(toy))
    assert before < 0.85 and toy.accuracy(model) > 0.97
    assert list(repaired.after) == ["1"] and "sigma" in str(repaired)
    assert bn_tb.check(model, batches(toy))[0].verdict == "healthy"


def test_check_and_recalibrate_change_nothing_but_the_statistics(toy):
    import torch

    model = trained(toy, dropout=0.5)
    model[4].weight.requires_grad = False
    model.train()
    state, rng = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    bn_tb.check(model, batches(toy, 3))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    bn_tb.recalibrate(model, batches(toy, 3))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]) == (name not in ("1.running_mean", "1.running_var"))
    assert model.training and model[1].training and model[1].momentum == 0.1
    assert not model[1]._forward_pre_hooks
    assert torch.equal(torch.random.get_rng_state(), rng)


def test_recalibrated_statistics_are_those_of_all_values(toy):
    import torch

    model = toy.net()
    data = batches(toy, 5)
    bn_tb.recalibrate(model, data)
    with torch.no_grad():
        values = model[0](torch.cat([inputs for inputs, _ in data])).double()
    np.testing.assert_allclose(model[1].running_mean, values.mean(0), rtol=1e-4)
    np.testing.assert_allclose(model[1].running_var, values.var(0), rtol=1e-4)


def of_classes(toy, *classes):
    """Returns a batch of examples of each class."""
    inputs, labels = toy.batch(400)
    return [(inputs[labels == one], labels[labels == one]) for one in classes]


def test_statistics_with_which_evaluation_answers_worse_are_undone_bit_for_bit(toy):
    import torch

    model = trained(toy)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    of_one_class = of_classes(toy, 0) * 4
    with pytest.raises(bn_tb.UsageError, match="nothing was changed: either the batches are sort"):
        bn_tb.recalibrate(model, of_one_class)
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    was, now = bn_tb.recalibrate(model, of_one_class, force=True).scores
    assert now < was


def test_batches_that_are_sorted_or_small_repair_as_long_as_evaluation_gains(toy):
    for unlike in (of_classes(toy, 0, 1, 2, 3), [toy.batch(2) for _ in range(60)]):
        model = trained(toy, momentum=0.0)
        was, now = bn_tb.recalibrate(model, unlike).scores
        assert now > was + 0.2


@pytest.mark.parametrize("count", [3, 8, 9, 100])
def test_what_is_evaluated_before_and_after_are_some_batches_of_all(count):
    kept = []
    assert list(_noted(range(count), kept)) == list(range(count))
    assert 3 <= len(kept) <= 8 and kept[0] == 0 and kept[-1] >= 0.75 * (count - 1)


def test_frozen_layers_are_left_alone_unless_told(toy):
    model = trained(toy)
    for parameter in model[1].parameters():
        parameter.requires_grad = False
    assert bn_tb.recalibrate(model, batches(toy, 3)).left == {"1": "frozen"}
    assert bn_tb.recalibrate(model, batches(toy, 3), include_frozen=True).left == {}


def test_bad_input_is_one_clear_line(toy):
    import torch

    with pytest.raises(bn_tb.UsageError, match="no batch-norm layer"):
        bn_tb.check(torch.nn.Linear(8, 2), batches(toy, 1))
    with pytest.raises(bn_tb.UsageError, match="there was no batch"):
        bn_tb.recalibrate(toy.net(), [])
    with pytest.raises(bn_tb.UsageError, match=r"builtins\.str is no torch\.nn\.Module"):
        bn_tb.check("model", [])
    with pytest.raises(bn_tb.UsageError, match="want a tensor, an array or a dict"):
        bn_tb.check(toy.net(), ["text"])


@pytest.mark.parametrize("kind", ["BatchNorm2d", "SyncBatchNorm", "LazyBatchNorm2d"])
def test_every_kind_of_layer_and_precision_works(toy, kind):
    import torch
    from torch import nn

    norm = nn.LazyBatchNorm2d() if kind.startswith("Lazy") else getattr(nn, kind)(4)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU())
    pictures = [torch.randn(8, 3, 6, 6) * 5 + 2 for _ in range(4)]
    bn_tb.recalibrate(model, pictures)
    assert bn_tb.check(model, pictures)[0].verdict == "healthy"
    half = model.to(torch.bfloat16)
    assert bn_tb.check(half, pictures)[0].verdict == "healthy"


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_a_keras_model_is_checked_and_repaired(package):
    keras = pytest.importorskip(package)
    random = np.random.RandomState(0)
    centres = random.randn(4, 8)
    labels = random.randint(0, 4, 1024)
    inputs = ((centres[labels] + 0.5 * random.randn(1024, 8)) * 3 + 5).astype(np.float32)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(16),
            keras.layers.BatchNormalization(momentum=0.9995),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(4),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, metrics=["accuracy"])
    model.fit(inputs, labels, batch_size=32, epochs=3, verbose=0)
    data = [(inputs[at : at + 64], labels[at : at + 64]) for at in range(0, 1024, 64)]
    weights = [np.array(weight) for weight in model.get_weights()]
    (judged,) = bn_tb.check(model, data)
    assert judged.findings[0].code == "BN503" and "lag behind" in judged.findings[0].message
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    before = model.evaluate(inputs, labels, verbose=0)[1]
    bn_tb.recalibrate(model, data)
    after = model.evaluate(inputs, labels, verbose=0)[1]
    assert after > 0.95 > before
    hidden = values_of(model.layers[0](inputs))
    np.testing.assert_allclose(model.layers[1].moving_variance, np.var(hidden, 0), rtol=0.02)
    assert bn_tb.check(model, data)[0].verdict == "healthy"


def test_layers_that_were_told_to_stop_tracking_evaluate_with_their_statistics(toy):
    model = toy.net()
    model[1].track_running_stats = False
    toy.train(model, toy.sgd(model), 60)
    assert toy.accuracy(model) < 0.9
    bn_tb.recalibrate(model, [toy.batch() for _ in range(20)])
    assert toy.accuracy(model) > 0.97


RANK = """
import os, sys
import torch
from torch import distributed, nn
import bn_tb
from tests.builders import toy_torch as toy

distributed.init_process_group("gloo")
rank = distributed.get_rank()
model = nn.parallel.DistributedDataParallel(toy.net(momentum=0.0))
toy.train(model, toy.sgd(model), 100)
batches = [toy.batch(64) for _ in range(6)]
mine = [batches[:5], batches[5:]][rank] if sys.argv[2] == "some" else [batches, []][rank]
bn_tb.recalibrate(model, mine)
assert bn_tb.check(model, mine).verdict == "healthy"
hidden = model.module[0](torch.cat([inputs for inputs, _ in batches]))
torch.save((model.module[1].state_dict(), hidden.detach()), f"{sys.argv[1]}/{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.parametrize("share", ["some", "none"])
def test_processes_of_a_group_write_the_statistics_of_all_their_batches(toy, tmp_path, share):
    import torch

    run_in_two(RANK, tmp_path, share)
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for layer, hidden in results:
        np.testing.assert_allclose(layer["running_mean"], hidden.mean(0), rtol=1e-4)
        np.testing.assert_allclose(layer["running_var"], hidden.var(0), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("running_mean", float("nan"), "BN301"),
        ("running_var", float("inf"), "BN301"),
        ("running_var", -1.0, "BN302"),
    ],
)
def test_statistics_that_no_evaluation_survives_are_broken_until_they_are_repaired(
    toy, name, value, code
):
    model = trained(toy)
    getattr(model[1], name)[3] = value
    judged = bn_tb.check(model, batches(toy))
    assert ([finding.code for finding in judged.findings], judged.verdict) == ([code], "broken")
    bn_tb.recalibrate(model, batches(toy))
    assert bn_tb.check(model, batches(toy)).verdict == "healthy"


def test_a_model_that_is_frozen_as_a_whole_is_judged(toy):
    model = trained(toy).requires_grad_(False)
    assert bn_tb.check(model, batches(toy)).verdict == "healthy"
    model[1].reset_running_stats()
    judged = bn_tb.check(model, batches(toy))
    assert judged.verdict == "stale" and "include_frozen=True" in judged.findings[0].fix
    bn_tb.recalibrate(model, batches(toy), include_frozen=True)
    assert bn_tb.check(model, batches(toy)).verdict == "healthy"


def test_frozen_statistics_of_other_data_are_information_unless_they_cost_answers(toy):
    model = trained(toy).requires_grad_(False)
    model[1].running_mean += 3 * model[1].running_var.sqrt()
    inputs = [values for values, _ in batches(toy)]
    judged = bn_tb.check(model, inputs)
    assert [(one.code, one.severity.name) for one in judged.findings] == [("BN503", "INFO")]
    assert judged.verdict == "healthy"
    assert bn_tb.check(model, batches(toy)).verdict == "stale"


def test_a_last_batch_of_one_example_is_left_out(toy):
    model, last = trained(toy), toy.batch(1)
    assert bn_tb.check(model, [*batches(toy), last]).verdict == "healthy"
    assert bn_tb.recalibrate(model, [*batches(toy, 3), last]).batches == 3


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_statistics_of_keras_that_are_not_finite_are_estimated_anew(package):
    keras = pytest.importorskip(package)
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.layers.Input((4,)), norm, keras.layers.Dense(1)])
    norm.moving_mean.assign(np.full(4, np.nan))
    norm.moving_variance.assign(np.full(4, np.inf))
    done = bn_tb.recalibrate(model, [np.random.randn(64, 4).astype("float32") + 3])
    assert np.isfinite(np.asarray(norm.moving_mean)).all()
    assert "recalibrated 1 layer from 1 batch\n" in str(done)
    assert "its statistics were not finite" in str(done)


def test_a_keras_model_that_renormalises_is_left_alone():
    keras = pytest.importorskip("tf_keras")
    norm = keras.layers.BatchNormalization(renorm=True)
    model = keras.Sequential([keras.layers.Input((4,)), norm])
    batches = [np.random.randn(64, 4).astype("float32") + 3]
    for act in (bn_tb.check, bn_tb.recalibrate):
        with pytest.raises(UsageError, match="renormalises"):
            act(model, batches)
    assert (np.asarray(norm.renorm_mean) == 0).all()
