"""Cases of the rules on graphs, made of wiring evidence; real graphs are in the laboratory."""

import dataclasses

import numpy as np

from bn_tb.graph.graph_evidence import GraphEvidence, LayerWiring, UpdateOp, Wiring
from bn_tb.runs.tags import Role
from tests.builders.synthetic import (
    averages,
    batch_statistics,
    constant,
    layer,
    run,
    scalar,
    subject,
)
from tests.rules.case import case

MEAN, VARIANCE = Role.MOVING_MEAN, Role.MOVING_VARIANCE
TRAIN, LOSS, NONE = Wiring.TRAIN, Wiring.LOSS, Wiring.NONE


def _update(name, wiring, momentum=0.99, **fields):
    by = ("train",) if wiring is TRAIN else ()
    return UpdateOp(name, "AssignSub", momentum, wiring, *by, train_ops=by, **fields)


def _wiring(name="bn", mean=(TRAIN,), variance=None, **fields):
    """Returns the wiring of a layer with one update op per element of `mean` and `variance`."""
    updates = {
        role: tuple(_update(f"{name}/{role.value}/{n}", one) for n, one in enumerate(ops))
        for role, ops in ((MEAN, mean), (VARIANCE, mean if variance is None else variance))
    }
    variables = {role: f"{name}/{role.value}" for role in (MEAN, VARIANCE)}
    defaults = {"training": True, "momentum": 0.99, "in_update_ops": True, "trained": True}
    return LayerWiring(name, variables, updates, **{**defaults, **fields})


def _judged(*wirings, histograms=None, trains=True, name="train", scalars=None, **evidence):
    graph = GraphEvidence(
        trains=trains,
        optimizer_ops=("train/ApplyAdam",) if trains else (),
        layers={wiring.layer: wiring for wiring in wirings},
        **evidence,
    )
    return subject(run(histograms, scalars, name=name), graph=graph)


def _moving():
    curves = averages(*batch_statistics(np.random.default_rng(0), 50), 0.9)
    return layer("bn", *curves)


def _frozen(value):
    return layer("bn", constant(value, 9), constant(1 + value, 9))


@case("BN401", "fires", "nothing needs the updates of a graph that trains")
def _():
    return _judged(_wiring(mean=(NONE,)))


@case("BN401", "under", "one node needs both the updates and the optimizer")
def _():
    return _judged(_wiring(mean=(TRAIN,)))


@case("BN401", "look-alike", "an inference graph has no optimizer")
def _():
    return _judged(_wiring(mean=(NONE,)), trains=False)


@case("BN401", "look-alike", "the updates are not in UPDATE_OPS: BN404 speaks")
def _():
    return _judged(_wiring(mean=(NONE,), in_update_ops=False, keras=True))


@case("BN401", "fires", "averages written by hand are in no collection")
def _():
    return _judged(_wiring(mean=(NONE,), in_update_ops=False))


@case("BN401", "look-alike", "pretrained values stand still in a layer that is not trained")
def _():
    return _judged(_wiring(mean=(NONE,), trained=False), histograms=_frozen(0.5))


@case("BN401", "look-alike", "the updates of a layer that is not trained, and not logged")
def _():
    return _judged(_wiring(mean=(NONE,), trained=False))


@case("BN401", "fires", "pretrained values stand still in a layer that is trained")
def _():
    return _judged(_wiring(mean=(NONE,)), histograms=_frozen(0.5))


@case("BN402", "look-alike", "pretrained values stand still in a layer that is not trained")
def _():
    return _judged(_wiring(mean=(LOSS,), trained=False), histograms=_frozen(0.5))


@case("BN403", "look-alike", "frozen at pretrained values: BN102 speaks")
def _():
    return _judged(_wiring(mean=(), training=False), histograms=_frozen(0.5))


@case("BN402", "fires", "only the loss needs the updates")
def _():
    return _judged(_wiring(mean=(LOSS,)))


@case("BN402", "fires", "even if the histograms move by luck")
def _():
    return _judged(_wiring(mean=(LOSS,)), histograms=_moving())


@case("BN402", "under", "loss and train op need them")
def _():
    return _judged(_wiring(mean=(LOSS, TRAIN)))


@case("BN402", "look-alike", "nothing needs them: BN401 speaks")
def _():
    return _judged(_wiring(mean=(NONE,)))


@case("BN403", "fires", "gamma is trained in inference mode and nothing is logged")
def _():
    return _judged(_wiring(mean=(), training=False))


@case("BN403", "fires", "the histograms are at their initial values")
def _():
    return _judged(_wiring(mean=(), training=False, trained=False), histograms=_frozen(0))


@case("BN403", "under", "another layer of the graph is in training mode")
def _():
    return _judged(_wiring(mean=(), training=False), _wiring("other"))


@case("BN403", "look-alike", "the optimizer leaves gamma alone: frozen on purpose")
def _():
    return _judged(_wiring(mean=(), training=False, trained=False))


@case("BN403", "look-alike", "gamma is assigned from another network's: a target network")
def _():
    target = _wiring(mean=(), training=False, trained=False, copied=True)
    return _judged(target, histograms=_frozen(0))


@case("BN401", "look-alike", "a target network in training mode, whose gamma is assigned")
def _():
    return _judged(_wiring(mean=(NONE,), trained=False, copied=True), histograms=_frozen(0))


@case("BN403", "look-alike", "Keras says trainable=False")
def _():
    return _judged(_wiring(mean=(), training=False, trainable=False))


@case("BN403", "look-alike", "the mode is decided at run time")
def _():
    return _judged(_wiring(mean=(), training=None))


@case("BN404", "fires", "a Keras layer, unwired and not in the collection")
def _():
    return _judged(_wiring(mean=(NONE,), keras=True, in_update_ops=False))


@case("BN404", "under", "in the collection: BN401 speaks")
def _():
    return _judged(_wiring(mean=(NONE,), keras=True, in_update_ops=True))


@case("BN404", "look-alike", "averages written by hand are in no collection: BN401 speaks")
def _():
    return _judged(_wiring(mean=(NONE,), in_update_ops=False))


@case("BN404", "look-alike", "model.fit wires the updates itself")
def _():
    return _judged(_wiring(mean=(TRAIN,), keras=True, in_update_ops=False))


@case("BN405", "fires", "one of two layers is wired")
def _():
    return _judged(_wiring(), _wiring("other", mean=(NONE,)))


@case("BN405", "fires", "the mean is wired and the variance is not")
def _():
    return _judged(_wiring(mean=(TRAIN,), variance=(NONE,)))


@case("BN405", "fires", "one of two towers is wired")
def _():
    return _judged(_wiring(mean=(TRAIN, NONE)))


@case("BN405", "under", "both layers are wired")
def _():
    return _judged(_wiring(), _wiring("other"))


@case("BN405", "look-alike", "the unwired layer is not trained either")
def _():
    return _judged(_wiring(), _wiring("other", mean=(NONE,), trained=False))


@case("BN406", "fires", "two updates of one variable in a step")
def _():
    return _judged(_wiring(mean=(TRAIN, TRAIN)))


@case("BN406", "under", "one of the two is not wired")
def _():
    return _judged(_wiring(mean=(TRAIN, NONE)))


@case("BN406", "look-alike", "each tower updates once")
def _():
    wiring = _wiring()
    updates = {
        role: tuple(_update(f"t{n}/{role.value}", TRAIN, tower=f"tower_{n}") for n in (0, 1))
        for role in (MEAN, VARIANCE)
    }
    return _judged(dataclasses.replace(wiring, updates=updates))


@case("BN406", "look-alike", "two train ops update once each")
def _():
    wiring = _wiring()
    updates = {
        role: tuple(
            dataclasses.replace(_update(f"{role.value}/{n}", TRAIN), train_ops=(f"train_{n}",))
            for n in (0, 1)
        )
        for role in (MEAN, VARIANCE)
    }
    return _judged(dataclasses.replace(wiring, updates=updates))


@case("BN407", "fires", "SaveV2 names the weights and not the statistics")
def _():
    return _judged(_wiring(saved=False))


@case("BN407", "under", "SaveV2 names both")
def _():
    return _judged(_wiring(saved=True))


@case("BN407", "look-alike", "there is no SaveV2 for this layer")
def _():
    return _judged(_wiring(saved=None))


@case("BN408", "fires", "an evaluation run whose graph is in training mode")
def _():
    return _judged(_wiring(mean=()), trains=False, name="eval")


@case("BN408", "fires", "only metrics of evaluation tell what the run is for")
def _():
    metric = {"val_accuracy": scalar([1, 2], [0.1, 0.2])}
    return _judged(_wiring(mean=()), trains=False, name=".", scalars=metric)


@case("BN408", "under", "the mode is decided at run time")
def _():
    return _judged(_wiring(mean=(), training=None), trains=False, name="eval")


@case("BN408", "look-alike", "a training run logs a graph for building the model")
def _():
    return _judged(_wiring(mean=()), trains=False, name="train")


@case("BN409", "fires", "a train op needs another model's updates")
def _():
    return _judged(_wiring("net_b/bn"), cross_model=(("net/train", "net_b/bn"),))


@case("BN409", "under", "each train op needs its own")
def _():
    return _judged(_wiring("net/bn"), _wiring("net_b/bn"))


@case("BN409", "look-alike", "one train op for two models")
def _():
    return _judged(_wiring("net/bn"), _wiring("net_b/bn"), train_ops=("train",))


def _keras(axis, data_format):
    return _judged(
        LayerWiring("bn", {}, {}, axis=axis, data_format=data_format, keras=True), trains=False
    )


@case("BN410", "fires", "rows of channels-last pictures")
def _():
    return _keras((1,), "channels_last")


@case("BN410", "fires", "columns of channels-first pictures")
def _():
    return _keras((-1,), "channels_first")


@case("BN410", "under", "channels of channels-first pictures")
def _():
    return _keras((1,), "channels_first")


@case("BN410", "look-alike", "axis 1 of a dense network is its only axis")
def _():
    return _keras((1,), "")
