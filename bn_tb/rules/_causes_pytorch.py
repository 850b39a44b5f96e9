"""Why statistics of PyTorch stand still, in words and with what to change."""

import dataclasses

from bn_tb.rules import _fixes
from bn_tb.rules._cause import NO_WEIGHT, NOT_COUNTED, Cause

MOMENTUM_ZERO = Cause(
    NO_WEIGHT,
    """\
PyTorch's momentum is the weight of the new batch, the other way round than in Keras and \
TensorFlow. Give it some weight:

    nn.BatchNorm2d(channels, momentum=0.1)

model.train() does not help: the layers are in training mode.""",
    _fixes.KEEP_WEIGHTS,
)

HELD = Cause(
    "Other layers of the network are updated: these are held in evaluation mode, or have a "
    "momentum that gives new batches no weight.",
    """\
model.train() does not reach these layers. By likelihood:

1. They are a network of their own beside the one that model.train() is called on: call train() \
of each network before every training epoch.
2. Something puts them back into evaluation mode after model.train(): an overridden train() \
(norm_eval=True in OpenMMLab's backbones, frozen_stages), a freezing helper. Look for .eval() in \
the code of these modules, or print [m.training for m in model.modules()] in the training loop: \
False here, True elsewhere.
3. They were built with momentum=0 (PyTorch): print(layer.momentum).

To train them, switch that off for networks that are trained from the start:

    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()

after every model.train().""",
    _fixes.TRAIN_ANEW,
)

HELD_BY_COUNTER = dataclasses.replace(
    HELD,
    sentence="Their counters of updates stand still while other layers are updated: these layers "
    "are held in evaluation mode in training.",
)

STOPPED = Cause(
    "Their counters of updates stand still from there on: no batch updated them any more.",
    """\
By likelihood:

1. model.eval() of an evaluation (a validation, or sampling from a generator) was not undone. Call

    model.train()

after it, on the module that eval() was called on.
2. A schedule froze them from this step on (eval() of these layers). If it was meant, name them \
with --frozen.
3. The momentum became 0 (PyTorch): print(layer.momentum).""",
    _fixes.TRAIN_ANEW,
)

NOT_IN_TRAINING = Cause(
    "The counters of their updates stand still, and yet training is better than evaluation: "
    "training normalised with the statistics of its batches, and did not keep them.",
    """\
By likelihood:

1. What is logged is not what is trained: a copy or a server that averages model.parameters() only \
leaves the buffers out. Then the weights logged here change once a round, and the copy that is \
trained has other statistics: average model.state_dict() instead.
2. track_running_stats was set to False after the layers were built: build them with it, or set it \
back to True.
3. model.train() is not called, or model.eval() is called after it. Print model.training in the \
training loop; where it is False,

    model.train()

before every training epoch, also after each validation.""",
    _fixes.KEEP_OR_TRAIN_ANEW,
)

EVALUATION_MODE = Cause(
    NOT_COUNTED,
    """\
By likelihood:

1. model.train() is not called, or model.eval() is called after it (after a validation). Print \
model.training in the training loop: False. Then

    model.train()

before every training epoch, also after each validation.
2. What is logged is not what is trained: a copy or a server that averages model.parameters() only \
leaves the buffers out. Then the weights logged here change once a round, and the copy that is \
trained has other statistics: average model.state_dict() instead.
3. The layers are put back into evaluation mode (an overridden train(), norm_eval): \
model.training is True, and module.training is False in these layers.
4. track_running_stats was set to False after the layers were built.""",
    _fixes.KEEP_OR_TRAIN_ANEW,
)

NO_GRADIENTS = Cause(
    "Gamma and beta stand at 1 and 0 as well, so no gradients reach these layers either: they are "
    "frozen in evaluation mode (a FrozenBatchNorm, requires_grad=False), or never called, and do "
    "not normalise.",
    """\
If they are frozen on purpose, load pretrained statistics, gamma and beta with the weights. If \
they shall normalise, let their parameters have gradients, call model.train() before every \
training epoch, and look for .eval() of these modules after it.""",
    _fixes.TRAIN_ANEW,
)

LOADED = (
    "Gamma was trained before this log begins, and the statistics were not: pretrained weights "
    "were loaded without them."
)

LOAD = """\
Load the statistics with the weights. load_state_dict(state, strict=False) passes over what it \
does not find, parameters() holds none, and a prefix ("module.", "backbone.") hides all:

    missing, _ = model.load_state_dict(state, strict=False)
    print([name for name in missing if "running_" in name])

prints an empty list when they are loaded. If the layers shall be trained on, they need updates \
as well. """
