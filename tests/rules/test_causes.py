"""BN101 and BN103 name why statistics stand still, where counters or a configuration tell."""

import json

import numpy as np
import pytest

from bn_tb.diagnosis import diagnose
from bn_tb.graph import keras_config
from bn_tb.runs.run import GraphSource
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    constant,
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


def test_counters_that_stand_in_some_layers_mean_layers_held_in_evaluation_mode():
    finding = _finding(_run(0 * STEPS, others=STEPS))
    assert finding.layers == ("a",)
    assert "held in evaluation mode" in finding.message and "norm_eval" in finding.fix


def test_counters_that_stand_everywhere_mean_evaluation_mode_throughout():
    finding = _finding(_run(0 * STEPS))
    assert "no batch was seen in training mode" in finding.message
    assert finding.fix.index("model.train()") < finding.fix.index("state_dict()")


CONFIGURATIONS = {
    "trainable": ({"trainable": False}, None, "Set the layers trainable before compile"),
    "keras 2 call": ({}, [[["x", 0, 0, {"training": False}]]], "Take training=False out"),
    "keras 3 call": ({}, [{"args": [], "kwargs": {"training": False}}], "Take training=False out"),
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


def test_a_layer_of_a_model_that_is_not_trainable_is_not_trainable():
    inner = {"class_name": "BatchNormalization", "config": {"name": "bn", "trainable": True}}
    frozen = {
        "class_name": "Functional",
        "config": {"name": "base", "trainable": False, "layers": [inner]},
    }
    document = {"class_name": "Sequential", "config": {"name": "m", "layers": [frozen]}}
    assert keras_config.read(json.dumps(document).encode())["base/bn"].trainable is False
