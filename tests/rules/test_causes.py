"""BN101 and BN103 name why statistics stand still, where counters or a configuration tell."""

import dataclasses
import json

import numpy as np
import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.graph import keras_config
from bn_tb.runs.run import GraphSource, Session
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    constant,
    histogram,
    layer,
    run,
    scalar,
    trained,
)

STEPS = np.arange(41)


def _rng():
    return np.random.default_rng(3)


def _torch(histograms):
    names = {"moving_mean": "running_mean", "moving_variance": "running_var"}
    return {
        f"{layer_name}.{names.get(role, role)}": series
        for tag, series in histograms.items()
        for layer_name, _, role in [tag.rpartition("/")]
    }


def _run(counts, others=None):
    """Returns a PyTorch run whose layer `a` is stale, with its counter, and others that move."""
    weights = {"weight": trained(_rng(), 41)}
    histograms = _torch(layer("a", constant(0, 41), constant(1, 41), None, weights))
    scalars = {"a.num_batches_tracked": scalar(STEPS, counts)}
    if others is not None:
        histograms |= _torch(layer("b", *averages(*batch_statistics(_rng(), 40), 0.9)))
        scalars["b.num_batches_tracked"] = scalar(STEPS, others)
    return run(histograms, scalars)


def _finding(judged):
    (finding,) = [one for one in diagnose([judged])[0].findings if one.code == "BN101"]
    return finding


def test_a_counter_that_grows_beside_statistics_that_stand_means_momentum_0():
    finding = _finding(_run(STEPS))
    assert "momentum=0" in finding.message and "momentum=0.1" in finding.fix
    assert "recalibrate" in finding.fix and "model.train() does not help" in finding.fix
    assert "updates counted by a: 0 at step 0, 40 at step 40" in finding.evidence


@pytest.mark.parametrize(("pace", "fix"), [(1, "momentum=0.9"), (0, 'mutable=["batch_stats"]')])
def test_counters_of_haiku_get_no_advice_for_pytorch(pace, fix):
    curves = {
        "bn/~/mean_ema/average": histogram(STEPS, constant(0, 41)),
        "bn/~/var_ema/average": histogram(STEPS, constant(0, 41)),
        "linear/w": histogram(STEPS, trained(_rng(), 41)),
    }
    finding = _finding(run(curves, {"bn/~/mean_ema/counter": scalar(STEPS, pace * STEPS)}))
    assert fix in finding.fix
    assert "model.eval()" not in finding.fix and "nn.BatchNorm2d" not in finding.fix


def test_counters_that_stand_in_some_layers_mean_layers_held_in_evaluation_mode():
    finding = _finding(_run(0 * STEPS, others=STEPS))
    assert finding.layers == ("a",)
    assert "held in evaluation mode" in finding.message and "norm_eval" in finding.fix


def test_counters_that_stand_everywhere_mean_evaluation_mode_throughout():
    finding = _finding(_run(0 * STEPS))
    assert "no batch updated them" in finding.message
    assert finding.fix.index("model.train()") < finding.fix.index("state_dict()")


def test_a_gap_beside_counters_that_stand_means_that_training_mode_left_nothing_behind():
    steps = np.arange(41)
    accuracy = {"train/accuracy": scalar(steps, np.linspace(0.3, 0.99, 41)),
                "val/accuracy": scalar(steps[::10], np.full(5, 0.3))}  # fmt: skip
    judged = _run(0 * STEPS)
    finding = _finding(dataclasses.replace(judged, scalars={**judged.scalars, **accuracy}))
    assert finding.fix.index("state_dict()") < finding.fix.index("model.train()")


def _stopping(at, others):
    """Returns a PyTorch run whose layer `a` stands still from step 20 on; and one that does not."""
    mean, variance = averages(*batch_statistics(_rng(), 40), 0.9)
    mean[at:], variance[at:] = mean[at], variance[at]
    histograms = _torch(layer("a", mean, variance, None, {"weight": trained(_rng(), 41)}))
    scalars = {"a.num_batches_tracked": scalar(STEPS, np.minimum(STEPS, at))}
    if others:
        histograms |= _torch(layer("b", *averages(*batch_statistics(_rng(), 40), 0.9)))
        scalars["b.num_batches_tracked"] = scalar(STEPS, STEPS)
    return run(histograms, scalars)


@pytest.mark.parametrize("others", [False, True])
def test_statistics_that_stop_in_the_middle_mean_an_evaluation_that_was_not_undone(others):
    found = diagnose([_stopping(20, others)])[0].findings
    (finding,) = [one for one in found if one.code == "BN103"]
    assert finding.fix.index("model.train()") < finding.fix.index("momentum")
    assert "norm_eval" not in finding.fix


def _resumed(first, **fields):
    """Returns a run whose counter falls to `first` at step 21, while its weights go on."""
    counts = np.where(STEPS <= 20, STEPS, first + STEPS - 21)
    judged = _run(counts)
    halves = [averages(*batch_statistics(_rng(), 20), 0.9) for _ in range(2)]
    mean, variance = (np.concatenate([one, other[1:]]) for one, other in zip(*halves, strict=True))
    moving = _torch(layer("a", mean, variance))
    return dataclasses.replace(judged, histograms={**judged.histograms, **moving}, **fields)


def test_a_counter_that_begins_again_means_statistics_that_were_not_restored():
    sessions = (Session("a", 0.0, 0), Session("b", 0.21, 21))
    findings = {one.code: one for one in diagnose([_resumed(1, sessions=sessions)])[0].findings}
    assert findings["BN106"].severity.label == "error"
    assert "updates counted by a: 20 at step 20, 1 at step 21" in findings["BN106"].evidence
    assert "BN205" not in findings


def test_a_counter_that_begins_again_without_a_restart_was_reset_by_the_program():
    findings = {one.code: one for one in diagnose([_resumed(1)])[0].findings}
    assert findings["BN106"].severity.label == "info"


def test_a_counter_that_begins_again_beside_statistics_that_go_on_is_no_reset():
    judged = _resumed(1)
    moving = _torch(layer("a", *averages(*batch_statistics(_rng(), 40), 0.9)))
    judged = dataclasses.replace(judged, histograms={**judged.histograms, **moving})
    assert "BN106" not in {one.code for one in diagnose([judged])[0].findings}


def test_a_counter_of_an_older_checkpoint_is_no_reset():
    assert "BN106" not in {one.code for one in diagnose([_resumed(15)])[0].findings}


CONFIGURATIONS = {
    "trainable": ({"trainable": False}, None, "Set the layers trainable, then compile"),
    "keras 2 call": ({}, [[["x", 0, 0, {"training": False}]]], "Take training=False out"),
    "keras 3 call, which fit overrides": (
        {},
        [{"args": [], "kwargs": {"training": False}}],
        "self(x, training=True)",
    ),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_keras_configuration_names_the_cause(name):
    config, calls, fix = CONFIGURATIONS[name]
    one = {"class_name": "BatchNormalization", "config": {"name": "bn", **config}}
    document = {"class_name": "Functional", "config": {"name": "m", "layers": [one]}}
    one["inbound_nodes"] = calls or []
    graph = GraphSource("keras_model", "keras", 0, json.dumps(document).encode())
    weights = {"gamma": trained(_rng(), 41)}
    judged = run(
        layer("bn", constant(0, 41), constant(1, 41), None, weights),
        {"epoch_loss": scalar(STEPS, 1 / (1 + STEPS))},
        graphs=(graph,),
    )
    assert fix in _finding(judged).fix


def _untrained(others):
    """Returns a Keras run with a layer of which nothing moves, and others that are trained."""
    steps = np.arange(41)
    own = {"gamma": constant(1, 41), "beta": constant(0, 41)}
    histograms = layer("d/bn", constant(0, 41), constant(1, 41), None, own)
    histograms |= layer("g/bn", *averages(*batch_statistics(_rng(), 40), 0.9)) if others else {}
    histograms["g/dense/kernel"] = histogram(steps, trained(_rng(), 41))
    named = {f"{tag}/histogram": series for tag, series in histograms.items()}
    return run(named, {"epoch_loss": scalar(steps, 1 / (1 + steps))})


@pytest.mark.parametrize("others", [False, True])
def test_gamma_and_beta_that_stand_too_mean_a_keras_layer_that_was_not_trainable(others):
    finding = _finding(_untrained(others))
    assert "Gamma and beta stand at 1 and 0 as well" in finding.message
    assert "model.compile" in finding.fix
    assert ("discriminator.trainable = True" in finding.fix) == others


def test_findings_of_a_log_of_epochs_speak_of_epochs():
    finding = _finding(_untrained(False))
    assert "after epoch 40" in finding.message
    assert not any("step" in line for line in finding.evidence)


def test_a_layer_of_a_model_that_is_not_trainable_is_not_trainable():
    inner = {"class_name": "BatchNormalization", "config": {"name": "bn", "trainable": True}}
    frozen = {
        "class_name": "Functional",
        "config": {"name": "base", "trainable": False, "layers": [inner]},
    }
    document = {"class_name": "Sequential", "config": {"name": "m", "layers": [frozen]}}
    assert keras_config.read(json.dumps(document).encode())["base/bn"].trainable is False


def test_gamma_and_beta_of_pytorch_that_stand_too_mean_layers_without_gradients():
    idle = {"weight": constant(1, 41), "bias": constant(0, 41)}
    tags = _torch(layer("a", constant(0, 41), constant(1, 41), None, idle))
    tags |= {"conv.weight": histogram(STEPS, trained(_rng(), 41))}
    finding = _finding(run(tags, {"a.num_batches_tracked": scalar(STEPS, 0 * STEPS)}))
    assert "no gradients reach these layers" in finding.message
    assert "train the network anew" in finding.fix


def _loaded(away, moves, first=20):
    """Returns a stale PyTorch layer whose gamma starts `away` from 1 and goes `moves` further."""
    steps = first + STEPS
    gamma = 1 + np.outer(away + moves * STEPS / 40, [1, -1, 1, -1])
    tags = {"weight": gamma, "running_mean": constant(0, 41), "running_var": constant(1, 41)}
    histograms = {f"a.{name}": histogram(steps, values) for name, values in tags.items()}
    return run(histograms, {"a.num_batches_tracked": scalar(steps, 0 * steps)})


def test_a_gamma_that_was_trained_before_means_weights_loaded_without_their_statistics():
    finding = _finding(_loaded(away=0.2, moves=0.05))
    assert "loaded without them" in finding.message
    assert "load_state_dict(state, strict=False)" in finding.fix
    assert "model.train()" in finding.fix


@pytest.mark.parametrize(
    ("away", "moves", "first"),
    [
        (0.02, 0.001, 20),  # drawn around 1, as in DCGAN
        (0.09, 0.01, 20),
        (0.2, 0.2, 20),  # this training may have taken it there before the log begins
        (0.0, 0.5, 0),
    ],
)
def test_a_gamma_that_this_training_made_tells_nothing_of_loading(away, moves, first):
    assert "loaded" not in _finding(_loaded(away, moves, first)).message


def _in_another_model(*logged):
    """Returns the judged Keras run of a model made of another's layers, and their momentum."""
    inner = [
        {"class_name": "BatchNormalization", "config": {"name": f"bn_{n}", "momentum": 0.99}}
        for n in range(2)
    ]
    base = {"class_name": "Functional", "config": {"name": "functional_6", "layers": inner}}
    document = {"class_name": "Functional", "config": {"name": "m", "layers": [base]}}
    graph = GraphSource("keras_model", "keras", 0, json.dumps(document).encode())
    statistics = averages(*batch_statistics(_rng(), 40), 0.95)
    tags = {}
    for name in logged:
        tags |= {f"{tag}/histogram": one for tag, one in layer(name, *statistics).items()}
    judged = run(tags, {"epoch_loss": scalar(STEPS, 1 / (1 + STEPS))}, graphs=(graph,))
    return diagnose([judged])[0]


def test_a_keras_layer_is_known_by_the_model_it_was_built_in_and_not_told_twice():
    judged = _in_another_model("sequential_4/bn_0", "sequential_4/bn_1")
    assert len(judged.subject.layers) == 2
    assert [one.momentum for one in judged.subject.layers] == [0.99, 0.99]
    assert "BN901" not in {one.code for one in judged.findings}


def test_a_namesake_does_not_take_the_configuration_of_a_layer_that_is_logged():
    judged = _in_another_model("other/bn_0", "functional_6/bn_0", "functional_6/bn_1")
    assert [one.momentum for one in judged.subject.layers] == [None, 0.99, 0.99]


def test_a_momentum_that_the_log_tells_is_not_called_unknown_where_epochs_hide_the_updates():
    judged = _in_another_model("a/bn_0", "a/bn_1")
    (lag,) = [one for one in judged.findings if one.code == "BN201"]
    assert "the log tells the momentum, 0.99, but not the updates of an epoch" in lag.evidence[0]


def _bits(values, bits):
    """Returns values rounded to some significant bits."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.rint(fraction * 2.0**bits) / 2.0**bits, exponent)


@pytest.mark.parametrize(("bits", "name"), [(8, "bfloat16"), (11, "float16"), (24, "")])
def test_a_half_that_stands_is_told_by_the_format_that_all_values_fit_in(bits, name):
    mean, _ = averages(*batch_statistics(_rng(), 40), 0.99)
    judged = run(_torch(layer("a", _bits(mean, bits), constant(1, 41))))
    (finding,) = [one for one in diagnose([judged])[0].findings if one.code == "BN105"]
    assert ("Only half of the updates run" in finding.message) == (not name)
    assert (f"stored in {name}" in finding.message and f"torch.{name}" in finding.fix) == bool(name)


def test_gamma_tells_the_format_of_statistics_that_never_moved():
    counts = {"a.num_batches_tracked": scalar(STEPS, STEPS)}
    gamma = _bits(trained(_rng(), 41), 8)
    still = layer("a", constant(0, 41), constant(1, 41), None, {"weight": gamma})
    finding = _finding(run(_torch(still), counts))
    assert "bfloat16" in finding.message and "module.float()" in finding.fix
    counts["a.num_batches_tracked"] = scalar(STEPS, np.zeros(41))  # in evaluation mode
    assert "bfloat16" not in _finding(run(_torch(still), counts)).message


def test_a_healthy_run_in_bfloat16_says_what_a_log_cannot_show():
    curves = averages(*batch_statistics(_rng(), 40), 0.5)
    (judged,) = diagnose([run(_torch(layer("a", *(_bits(one, 8) for one in curves))))])
    assert judged.verdict == "healthy" and "bfloat16" in judged.remark
    (judged,) = diagnose([run(_torch(layer("a", *curves)))])
    assert judged.verdict == "healthy" and not judged.remark


def test_a_copy_by_its_name_is_told_to_take_the_statistics_over():
    still = layer("ema.bn", constant(0, 41), constant(1, 41), None, {"weight": trained(_rng(), 41)})
    finding = _finding(run(_torch(still)))
    assert "copy of a network" in finding.message
    assert "zip(ema.buffers(), model.buffers())" in finding.fix
    still = layer("bn", constant(0, 41), constant(1, 41), None, {"weight": trained(_rng(), 41)})
    assert "buffers()" in _finding(run(_torch(still), name="resnet_ema")).fix
    assert "buffers()" not in _finding(run(_torch(still), name="resnet")).fix


@pytest.mark.parametrize(
    ("passes", "why"),
    [
        ({}, "no forward pass reaches it, or it was frozen at birth"),
        ({"training_passes": 0, "evaluation_passes": 0}, "no forward pass reached it."),
        ({"training_passes": 0, "evaluation_passes": 40}, "in evaluation mode only"),
    ],
)
def test_passes_that_a_monitor_counted_tell_an_unused_layer_from_a_frozen_one(passes, why):
    idle = {"weight": constant(1, 41), "bias": constant(0, 41)}
    own = _torch(layer("a", constant(0, 41), constant(1, 41), None, idle))
    other = _torch(layer("b", *averages(*batch_statistics(_rng(), 40), 0.9)))
    other |= {"b.weight": histogram(STEPS, trained(_rng(), 41))}
    counters = {f"a/{name}": scalar(STEPS, count + 0 * STEPS) for name, count in passes.items()}
    (judged,) = diagnose([run(own | other, counters)])
    (finding,) = [one for one in judged.findings if one.code == "BN109"]
    assert why in finding.message
    assert ("Call the layer in forward()" in finding.fix) == ("evaluation" not in why)
    assert not any("updates counted" in line for line in finding.evidence)
