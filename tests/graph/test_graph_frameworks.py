"""Graph evidence on graphs that TensorFlow and Keras build here and now (see graph_zoo)."""

import pickle
import subprocess
import sys

import pytest

pytest.importorskip("tensorflow", reason="builds real graphs")

from bn_tb import graph
from bn_tb.graph.graph_evidence import GraphEvidence, UpdateOp, Wiring
from bn_tb.rules._wiring import uncollected
from bn_tb.runs.run import GraphSource
from bn_tb.runs.tags import Role
from tests.places import ROOT


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> dict[str, GraphEvidence]:
    """Evidence on every graph; one process builds them all."""
    path = tmp_path_factory.mktemp("graphs") / "zoo.pickle"
    program = [sys.executable, "-m", "tests.builders.graph_zoo", str(path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    graphs = pickle.loads(path.read_bytes())
    return {
        name: graph.read([GraphSource(kind, "", 0, data) for kind, data in sources])
        for name, sources in graphs.items()
    }


def updates(found: GraphEvidence, layer: str | None = None) -> list[UpdateOp]:
    return [
        op
        for name, wiring in found.layers.items()
        if layer in (None, name)
        for ops in wiring.updates.values()
        for op in ops
    ]


KINDS = ("ref", "resource")  # variables of TF1 and tf.cond by Switch; today's variables and If
WIRINGS = {
    "wired": Wiring.TRAIN,
    "unwired": Wiring.NONE,
    "grouped": Wiring.TRAIN,
    "wired_to_loss": Wiring.LOSS,
    "wired_to_constructor": Wiring.NONE,
    "fetched_as_a_group": Wiring.NONE,
    "collected_too_early": Wiring.NONE,
    "training_tensor_wired": Wiring.TRAIN,
    "training_tensor_unwired": Wiring.NONE,
    "placeholder_with_default": Wiring.TRAIN,
    "global_step_and_clipping": Wiring.TRAIN,
    "plain_assignments_wired": Wiring.TRAIN,
    "plain_assignments_unwired": Wiring.NONE,
    "saver_without_statistics": Wiring.TRAIN,
    "average_of_weights_beside_batch_norm": Wiring.TRAIN,
    "other_initial_values": Wiring.TRAIN,
}


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        *((form, kind) for form in WIRINGS for kind in KINDS),
        *(("training_tensor_" + form, "switch") for form in ("wired", "unwired")),
    ],
)
def test_every_form_of_wiring_is_told_apart(zoo, form, kind):
    found = zoo[f"{form}-{kind}"]
    assert found.trains and not found.problems and not found.cross_model
    assert set(found.layers) == {"bn1", "bn2"}
    assert [op.wiring for op in updates(found)] == [WIRINGS[form]] * 4
    assert {layer.momentum for layer in found.layers.values()} == {0.97}
    assert {layer.epsilon for layer in found.layers.values()} == {0.001}
    assert {layer.in_update_ops for layer in found.layers.values()} == {True}
    assert {layer.trained for layer in found.layers.values()} == {True}


@pytest.mark.parametrize("kind", KINDS)
def test_the_path_leads_from_the_update_to_what_needs_it(zoo, kind):
    (first, *_) = updates(zoo[f"wired-{kind}"], "bn1")
    assert first.needed_by == "GradientDescent" == first.path[-1].node
    assert first.path[0].node == first.name
    assert [hop.edge for hop in first.path][:2] == ["", "control"]
    (first, *_) = updates(zoo[f"grouped-{kind}"], "bn1")
    assert (first.needed_by, first.train_ops) == ("train_group", ("GradientDescent",))
    (first, *_) = updates(zoo[f"wired_to_loss-{kind}"], "bn1")
    assert (first.needed_by, first.train_ops) == ("loss_with_updates", ())
    (first, *_) = updates(zoo[f"fetched_as_a_group-{kind}"], "bn1")
    assert first.needed_by == ""
    assert first.path[0].node == first.name


@pytest.mark.parametrize("kind", ("switch", *KINDS))
def test_the_placeholder_that_switches_the_mode_is_named(zoo, kind):
    for form in ("training_tensor_wired", "training_tensor_unwired"):
        layers = zoo[f"{form}-{kind}"].layers.values()
        assert {(layer.training, layer.switch, layer.switch_default) for layer in layers} == {
            (None, "training", None)
        }
    layers = zoo[f"placeholder_with_default-{kind}"].layers.values()
    assert {(layer.switch, layer.switch_default) for layer in layers} == {("is_training", False)}
    layers = zoo["wired-resource"].layers.values()
    assert {(layer.training, layer.switch) for layer in layers} == {(True, "")}


@pytest.mark.parametrize("kind", KINDS)
def test_initial_values_are_read_where_they_are_constant(zoo, kind):
    mean, variance = Role.MOVING_MEAN, Role.MOVING_VARIANCE
    assert zoo[f"wired-{kind}"].layers["bn1"].initial == {mean: 0.0, variance: 1.0}
    assert zoo[f"other_initial_values-{kind}"].layers["bn1"].initial == {variance: 0.5}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_in_inference_mode_has_no_updates(zoo, kind):
    trains, alone = zoo[f"inference_mode_trains-{kind}"], zoo[f"inference_only-{kind}"]
    assert (trains.trains, alone.trains) == (True, False)
    for found in (trains, alone):
        assert {layer.training for layer in found.layers.values()} == {False}
        assert len(found.layers) == 2 and not updates(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["evaluates_with_batch_statistics", "gradients_without_optimizer"])
def test_a_graph_without_optimizer_does_not_train(zoo, form, kind):
    found = zoo[f"{form}-{kind}"]
    assert not found.trains and not found.optimizer_ops
    assert {layer.training for layer in found.layers.values()} == {True}


@pytest.mark.parametrize("kind", KINDS)
def test_savers_are_judged_together(zoo, kind):
    def saved(form):
        return {layer.saved for layer in zoo[f"{form}-{kind}"].layers.values()}

    assert saved("saver_without_statistics") == {False}
    assert saved("statistics_only_saved_by_the_second_saver") == {True}
    assert saved("wired") == {None}


@pytest.mark.parametrize("kind", KINDS)
def test_updates_of_another_model_are_found(zoo, kind):
    both = zoo[f"other_models_updates-{kind}"]
    pairs = (("train_ReLU", "ReLU_BN/bn1"), ("train_ReLU", "ReLU_BN/bn2"))
    assert both.cross_model == pairs
    assert {op.wiring for op in updates(both)} == {Wiring.TRAIN}
    assert {op.needed_by for op in updates(both)} == {"train_ReLU_BN"}
    other = zoo[f"only_the_other_model_wired-{kind}"]
    assert other.cross_model == pairs
    assert {op.wiring for op in updates(other)} == {Wiring.OTHER_MODEL}


@pytest.mark.parametrize("kind", ("switch", *KINDS))
@pytest.mark.parametrize(
    ("form", "layers"),
    [
        ("other_models_updates_in_cond", ["ReLU_BN/bn1", "ReLU_BN/bn2"]),
        ("other_models_averages_in_cond", ["ReLU_BN"]),
    ],
)
def test_updates_of_another_model_are_found_behind_conditions(zoo, form, layers, kind):
    found = zoo[f"{form}-{kind}"]
    assert found.cross_model == tuple(("train_ReLU", layer) for layer in layers)
    assert {op.needed_by for op in updates(found)} == {"train_ReLU_BN"}


@pytest.mark.parametrize("kind", ("switch", *KINDS))
def test_averages_written_by_hand_are_no_keras_layers(zoo, kind):
    found = zoo[f"averages_unwired-{kind}"]
    (layer,) = found.layers.values()
    assert {op.wiring for op in updates(found)} == {Wiring.NONE}
    assert layer.in_update_ops is False and not uncollected(layer)
    (layer,) = zoo["keras_layers_unwired-resource"].layers.values()
    assert uncollected(layer)


@pytest.mark.parametrize("kind", KINDS)
def test_models_side_by_side_and_adversaries_are_not_taken_for_each_other(zoo, kind):
    apart = zoo[f"two_models_apart-{kind}"]
    assert apart.train_ops == ("train_a", "train_ab") and not apart.cross_model
    assert {op.train_ops for op in updates(apart, "ab/bn1")} == {("train_ab",)}
    gan = zoo[f"gan-{kind}"]
    assert not gan.cross_model
    assert len(updates(gan, "d/bn")) == 4 and len(updates(gan, "g/bn")) == 2
    assert {op.wiring for op in updates(gan)} == {Wiring.TRAIN}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_last_towers_updates_are_wired(zoo, kind):
    found = updates(zoo[f"last_tower_wired-{kind}"], "net/bn1")
    assert [(op.tower, op.wiring) for op in found] == [
        ("tower_0", Wiring.NONE),
        ("tower_1", Wiring.TRAIN),
    ] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_layers_written_by_hand_are_found(zoo, kind):
    (layer,) = zoo[f"averages_of_moments_in_cond-{kind}"].layers.values()
    assert layer.layer.endswith("conv1/bn") and layer.dynamic_momentum
    assert layer.momentum is None and layer.initial[Role.MOVING_VARIANCE] == 0.0
    (layer,) = zoo[f"assigned_in_place-{kind}"].layers.values()
    assert layer.variables[Role.MOVING_MEAN] == "my_mean" and layer.momentum == 0.95
    for form in ("averages_of_moments_in_cond", "assigned_in_place"):
        assert {op.wiring for op in updates(zoo[f"{form}-{kind}"])} == {Wiring.TRAIN}


@pytest.mark.parametrize("kind", ["switch", "resource"])
def test_a_layer_in_both_branches_of_a_condition_is_one_layer(zoo, kind):
    found = zoo[f"layer_in_each_branch-{kind}"]
    (layer,) = found.layers.values()
    assert (layer.layer, layer.training, layer.momentum) == ("bn", None, 0.97)
    assert [op.wiring for op in updates(found)] == [Wiring.TRAIN] * 2


def test_an_average_that_corrects_its_initial_value_is_one_layer(zoo):
    (layer,) = zoo["zero_debiased-resource"].layers.values()
    assert (layer.layer, layer.zero_debias, layer.momentum) == ("bn", True, 0.99)


@pytest.mark.parametrize("kind", KINDS)
def test_averages_of_weights_and_losses_are_no_batch_norm(zoo, kind):
    assert not zoo[f"average_of_weights_without_batch_norm-{kind}"].layers


@pytest.mark.parametrize("form", ["layer_in_a_called_function", "trained_in_a_loop"])
def test_functions_and_loops_are_followed(zoo, form):
    found = zoo[f"{form}-resource"]
    assert updates(found)
    assert {op.wiring for op in updates(found)} == {Wiring.TRAIN}
    assert {op.momentum for op in updates(found)} <= {0.9, 0.97}


def test_keras_layers_in_a_graph_are_not_in_update_ops(zoo):
    (layer,) = zoo["keras_layers_unwired-resource"].layers.values()
    assert (layer.keras, layer.in_update_ops, layer.switch_default) == (True, False, False)
    assert {op.wiring for op in updates(zoo["keras_layers_unwired-resource"])} == {Wiring.NONE}
    for form in ("keras_layers_wired_by_hand", "keras_model_fit_in_a_graph"):
        found = zoo[f"{form}-resource"]
        assert {layer.in_update_ops for layer in found.layers.values()} == {False}
        assert {op.wiring for op in updates(found)} == {Wiring.TRAIN}


@pytest.mark.parametrize("library", ["tf_keras", "keras3"])
def test_train_functions_of_both_keras_are_read(zoo, library):
    found = zoo[f"{library}-training_True"]
    assert found.trains
    assert [name.partition("/")[2] for name in found.layers] == ["bn1", "bn2"]
    assert [op.wiring for op in updates(found)] == [Wiring.TRAIN] * 4
    assert {(layer.training, layer.momentum) for layer in found.layers.values()} == {(True, 0.97)}
    found = zoo[f"{library}-training_False"]
    assert found.trains and not updates(found)
    assert {layer.training for layer in found.layers.values()} == {False}
    assert {layer.trained for layer in found.layers.values()} == {True}


@pytest.mark.parametrize("form", ["tf_keras-fit", "keras3-fit", "tf_keras-mirrored"])
def test_the_train_function_of_fit_is_read_with_loops_and_replicas(zoo, form):
    found = zoo[form]
    assert found.trains
    assert [name.rpartition("/")[2] for name in found.layers] == ["bn1", "bn2"]
    assert [op.wiring for op in updates(found)] == [Wiring.TRAIN] * 4
    assert {layer.momentum for layer in found.layers.values()} == {0.97}


def test_a_traced_step_tells_whether_unwired_updates_were_fetched(zoo):
    for form, ran in (("traced", False), ("traced_with_updates_fetched", True)):
        assert {(op.wiring, op.ran) for op in updates(zoo[form])} == {(Wiring.NONE, ran)}
    assert {op.ran for op in updates(zoo["unwired-resource"])} == {None}
