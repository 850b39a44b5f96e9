"""Graph evidence on graphs that other people's projects wrote (see the corpus' README)."""

import pytest

from bn_tb import graph
from bn_tb.graph.graph_evidence import GraphEvidence, Wiring
from bn_tb.sources import logdir
from tests.places import SHARED

CORPUS = SHARED / "corpus"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="../shared/corpus is not here")


def evidence(number: str) -> GraphEvidence:
    folder = next(CORPUS.glob(f"{number}-*"))
    (run,) = logdir.read_logdir(str(folder))
    return graph.read(run.graphs)


def wirings(found: GraphEvidence) -> list[Wiring]:
    return [
        op.wiring for layer in found.layers.values() for ops in layer.updates.values() for op in ops
    ]


@pytest.mark.parametrize(
    ("number", "layers", "updates", "momenta"),
    [
        pytest.param("08", 53, 6, {0.99}, id="keras_train_function_partly_frozen"),
        pytest.param("24", 2, 4, {0.99}, id="keras_2_2_with_zero_debias_and_assign_optimizer"),
        pytest.param("26", 5, 10, {0.999}, id="slim_with_supervisor"),
        pytest.param("27", 9, 18, {None, 0.9}, id="moving_averages_in_cond_with_dynamic_decay"),
        pytest.param("32", 7, 20, {0.9}, id="gan_with_discriminator_used_twice"),
        pytest.param("38", 4, 8, {0.99}, id="train_function_with_captured_handles"),
    ],
)
def test_updates_that_reach_training_are_found_wired(number, layers, updates, momenta):
    found = evidence(number)
    assert found.trains
    assert len(found.layers) == layers
    assert wirings(found) == [Wiring.TRAIN] * updates
    ops = [op for layer in found.layers.values() for r in layer.updates.values() for op in r]
    assert {op.momentum for op in ops} == momenta
    assert all(op.needed_by and op.path[-1].node == op.needed_by for op in ops)


def test_keras_layers_in_a_session_are_found_unwired_and_unregistered():
    found = evidence("20")
    assert found.trains and found.has_collections
    assert wirings(found) == [Wiring.NONE] * 12
    assert {layer.in_update_ops for layer in found.layers.values()} == {False}
    assert {layer.momentum for layer in found.layers.values()} == {0.9}


@pytest.mark.parametrize("number", ["01", "04", "39"])
def test_a_model_building_graph_proves_nothing(number):
    found = evidence(number)
    assert not found.trains
    assert found.layers and not wirings(found)


def test_frozen_layers_of_a_train_function_normalise_in_inference_mode():
    found = evidence("07")
    assert found.trains
    assert len(found.layers) == 53
    assert {layer.training for layer in found.layers.values()} == {False}
    assert not wirings(found)
