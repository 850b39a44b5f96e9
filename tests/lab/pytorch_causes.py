"""PyTorch: one symptom, several causes; each fault that names its cause beside its healthy twin."""

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tests.lab import pytorch_net as net_of
from tests.lab.data import STANDARDISED, pictures
from tests.lab.pytorch_faults import resume
from tests.lab.pytorch_net import tensorboard, torch
from tests.lab.scenario import Scenario

STALE = ("stale",)
HEALTHY = ("healthy",)


def _log(**options: Any) -> Callable[[str], None]:
    return functools.partial(net_of.run, **options)


def _held_in_eval(net: Any, step: int) -> None:
    """norm_eval of a detector: train() of the program leaves the first layer in eval mode."""
    net.train()
    net.bn1.eval()


def _momentum_lost(net: Any, step: int) -> None:
    """From step 31 on the layers have the momentum of another configuration: 0."""
    for norm in net_of.norms(net):
        norm.momentum = 0.0 if step > 30 else 0.1


def _validating(training: bool, steps: int) -> Callable[[str], None]:
    """Validates ten batches every 20 steps, in training mode or not, and logs every step."""

    def log(logdir: str) -> None:
        net = net_of.network()
        with tensorboard.SummaryWriter(logdir) as writer:
            for step in net_of.train(net, writer, steps):
                if step % 20:
                    continue
                net.train(training)
                with torch.no_grad():
                    for seed in range(10):
                        net(net_of.tensors(pictures(32, seed=seed))[0])
                net.train()
                writer.add_scalar("loss/val", 1 / step, step)

    return log


def _own_loop(
    logdir: str,
    batches: Callable[[int], tuple[Any, Any]],
    steps: int = 200,
    momentum: float = 0.1,
    skip_nan: bool = False,
    between: Callable[[Any, int], None] = lambda net, step: None,
) -> None:
    """A loop over batches of one's own; with `skip_nan` it leaves out what the writer refuses."""
    net = net_of.network(momentum)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in range(1, steps + 1):
            pixels, classes = net_of.tensors(batches(step))
            loss = torch.nn.functional.cross_entropy(net(pixels), classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            between(net, step)
            writer.add_scalar("loss/train", loss.item(), step)
            for name, value in net.state_dict().items():
                if "fc" not in name and not (skip_nan and not value.isfinite().any()):
                    writer.add_histogram(name, value, step)


def _shuffled(step: int) -> tuple[Any, Any]:
    return pictures(32, seed=step)


def _sorted(step: int) -> tuple[Any, Any]:
    """Five batches of one class, and on to the next: brightness differs between the classes."""
    images, labels = pictures(400, seed=step)
    of = step // 5 % 4
    chosen = labels == of
    return images[chosen][:32] + 30.0 * of, labels[chosen][:32]


def _bright(step: int) -> tuple[Any, Any]:
    """The same pictures, shuffled."""
    images, labels = pictures(32, seed=step)
    return images + 30.0 * labels[:, None, None, None].astype(np.float32), labels


def _precise(net: Any, step: int) -> None:
    """PreciseBN: statistics are set back and estimated anew, in the program, every 50 steps."""
    if step % 50 == 0:
        for norm in net_of.norms(net):
            norm.reset_running_stats()


def _averaged(keep: Callable[[Any], Iterable[Any]], decay: float = 0.9) -> Callable[[str], None]:
    """An exponential average of what `keep` returns of a model, logged as `net` and `ema`."""

    def log(logdir: str) -> None:
        net = net_of.network()
        for norm in net_of.norms(net):
            norm.running_mean.fill_(3.0)  # pretrained
            norm.running_var.fill_(7.0)
        ema = copy.deepcopy(net)

        def state(writer: Any, net: Any, step: int) -> None:
            net_of.log_state(writer, net, step, "net.")
            net_of.log_state(writer, ema, step, "ema.")

        with tensorboard.SummaryWriter(logdir) as writer:
            for _ in net_of.train(net, writer, 80, log=state):
                with torch.no_grad():
                    for old, new in zip(keep(ema), keep(net), strict=True):
                        old.copy_(decay * old + (1 - decay) * new)

    return log


def _late(momentum: float, first: int, head: bool = False) -> Callable[[str], None]:
    """Logs every tenth step from a late one on; with `head`, a new layer on a warm network."""

    def log(logdir: str) -> None:
        net = net_of.pretrained() if head else net_of.network(momentum)
        if head:
            net.bn2 = torch.nn.BatchNorm1d(8, momentum=momentum)
        net_of.run(logdir, lambda: net, steps=100, first=first, every=10)

    return log


def _reset(net: Any, step: int) -> None:
    """reset_running_stats() at each epoch of 50 steps, and nothing that estimates them anew."""
    if step % 50 == 1:
        for norm in net_of.norms(net):
            norm.reset_running_stats()


def _coarse(logdir: str, momentum: float, norms_in_float32: bool = False, **data: Any) -> None:
    """A network in bfloat16, with all of its statistics or not; add_histogram takes float32."""
    net = net_of.network(momentum).bfloat16()
    for norm in net_of.norms(net) if norms_in_float32 else ():
        norm.float()

    def log(writer: Any, net: Any, step: int) -> None:
        net_of.log_state(writer, copy.deepcopy(net).float(), step)

    def forward(net: Any, images: Any) -> Any:
        return net(images.bfloat16()).float()

    with tensorboard.SummaryWriter(logdir) as writer:
        options: Any = {"rate": 0.01, "log": log, "forward": forward}
        net_of.finish(net_of.train(net, writer, 400, **options, **data))


def _everything(net: Any) -> Iterator[Any]:
    return (value for value in net.state_dict().values() if value.is_floating_point())


def _broken_from_the_start() -> Any:
    """A converted checkpoint with mean and variance swapped."""
    net = net_of.network()
    for norm in net_of.norms(net):
        norm.running_var.fill_(-0.5)
        norm.momentum = 0.0
    return net


def _with_spare_layer(called: bool) -> Any:
    """A third batch norm that `forward` never calls, or does."""
    net = net_of.network()
    parts = list(net)
    net.spare = torch.nn.BatchNorm2d(6)
    if called:
        parts.insert(1, net.spare)
    net.forward = lambda x: functools.reduce(lambda y, part: part(y), parts, x)
    return net


def _one_value_a_channel(norm_of: Callable[[int], Any]) -> Callable[[str], None]:
    """A layer that sees one value per channel: its batch variance is 0."""

    def log(logdir: str) -> None:
        torch.manual_seed(0)
        norm = norm_of(6)
        scale = torch.nn.Parameter(torch.ones(6))
        optimizer = torch.optim.SGD([scale, *norm.parameters()], lr=0.05)
        with tensorboard.SummaryWriter(logdir) as writer:
            for step in range(1, 81):
                loss = (norm(torch.full((8, 6), 2.0) * scale) - 1).square().mean()
                loss = loss + (scale - 3).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                writer.add_scalar("loss/train", loss.item(), step)
                for name, value in norm.state_dict().items():
                    writer.add_histogram(f"bn.{name}", value, step)
                writer.add_histogram("scale.weight", scale, step)

    return log


def _nan_from(step: int) -> Callable[[int], tuple[Any, Any]]:
    def batch(now: int) -> tuple[Any, Any]:
        images, labels = _shuffled(now)
        return (images * np.nan if now >= step else images), labels

    return batch


SCENARIOS = (
    Scenario(
        "torch_bfloat16_variance_stands_still",
        functools.partial(_coarse, momentum=0.001, mean=0.1, scale=1.0),
        "Statistics in bfloat16: 1 + 0.001 x is 1 again, while small means still move.",
        STALE,
        must=("BN105",),
        may=("BN201",),
        says=("bfloat16", "module.float()"),
    ),
    Scenario(
        "torch_bfloat16_rests",
        functools.partial(_coarse, momentum=0.01),
        "Statistics in bfloat16 stop on their way, and rest more and more often.",
        STALE,
        must=("BN104",),
        may=("BN103", "BN201"),
        says=("bfloat16", "module.float()"),
    ),
    Scenario(
        "torch_bfloat16_statistics_in_float32",
        functools.partial(_coarse, momentum=0.02, norms_in_float32=True),
        "The network is in bfloat16, its batch norm in float32.",
        HEALTHY,
    ),
    Scenario(
        "torch_bfloat16_quick",
        functools.partial(_coarse, momentum=0.1),
        "Statistics in bfloat16 come near those of the batches with a momentum of 0.1.",
        HEALTHY,
        says=("bfloat16", "bn_tb.check"),
    ),
    Scenario(
        "torch_momentum_0",
        _log(prepare=functools.partial(net_of.network, 0.0), **STANDARDISED),
        "momentum=0: the layers run in training mode and new batches get no weight.",
        STALE,
        must=("BN101",),
        says=("momentum=0",),
    ),
    Scenario(
        "torch_momentum_lost_at_step_30",
        _log(mode=_momentum_lost, steps=80),
        "The momentum becomes 0 in the middle; the counters go on.",
        STALE,
        must=("BN103",),
        says=("momentum=0",),
    ),
    Scenario(
        "torch_one_layer_held_in_eval",
        _log(mode=_held_in_eval, steps=80, **STANDARDISED),
        "norm_eval: one layer is held in evaluation mode, the other is updated.",
        STALE,
        must=("BN101",),
        says=("evaluation mode",),
    ),
    Scenario(
        "torch_both_layers_train",
        _log(mode=lambda net, step: net.train(), steps=80, **STANDARDISED),
        "The twin: train() reaches both layers.",
        HEALTHY,
    ),
    Scenario(
        "torch_validation_in_training_mode",
        _validating(training=True, steps=120),
        "The validation runs in training mode: the counters grow by ten more across it.",
        ("suspect",),
        must=("BN206",),
        says=("model.eval()",),
    ),
    Scenario(
        "torch_validation_in_evaluation_mode",
        _validating(training=False, steps=120),
        "The twin: the validation runs in evaluation mode.",
        HEALTHY,
    ),
    Scenario(
        "torch_batches_sorted_by_class",
        functools.partial(_own_loop, batches=_sorted),
        "Batches come sorted by class: the moving mean swings against its own sigma.",
        ("suspect",),
        must=("BN204",),
    ),
    Scenario(
        "torch_batches_shuffled",
        functools.partial(_own_loop, batches=_bright),
        "The twin: the same pictures, shuffled.",
        HEALTHY,
    ),
    Scenario(
        "torch_batches_of_two_with_a_low_momentum",
        functools.partial(_own_loop, batches=lambda step: pictures(2, seed=step), momentum=0.3),
        "Batches of two: noise, and no batch that poisons the average.",
        ("suspect", "healthy"),
        may=("BN204",),
    ),
    Scenario(
        "torch_precise_batch_norm",
        functools.partial(_own_loop, batches=_shuffled, between=_precise),
        "The program sets the statistics back every 50 steps, and they recover.",
        ("healthy", "lagging", "suspect"),
        may=("BN201", "BN204"),
    ),
    Scenario(
        "torch_nan_that_the_loop_skips",
        functools.partial(_own_loop, batches=_nan_from(100), skip_nan=True),
        "Statistics are NaN from step 100 on, and the loop does not log what the writer refuses.",
        ("broken",),
        must=("BN301",),
    ),
    Scenario(
        "torch_negative_variance_from_the_start",
        _log(prepare=_broken_from_the_start, steps=40, **STANDARDISED),
        "The loaded checkpoint holds a negative variance.",
        ("broken",),
        must=("BN302",),
        may=("BN301",),
        says=("loaded",),
    ),
    Scenario(
        "torch_average_of_parameters",
        _averaged(lambda net: net.parameters()),
        "The average takes over parameters() and its statistics stand at those of its beginning.",
        STALE,
        must=("BN107",),
    ),
    Scenario(
        "torch_average_of_everything",
        _averaged(_everything),
        "The twin averages the buffers, too.",
        HEALTHY,
    ),
    Scenario(
        "torch_lag_logged_from_a_late_step",
        _late(0.005, first=20001),
        "Statistics began at 0 and 1, at global step 20000 of an earlier training.",
        ("lagging",),
        must=("BN201",),
        may=("BN501",),
    ),
    Scenario(
        "torch_warm_logged_from_a_late_step",
        _late(0.3, first=20001),
        "The twin follows quickly.",
        HEALTHY,
    ),
    Scenario(
        "torch_new_head_lags_on_a_warm_network",
        _late(0.005, first=1, head=True),
        "A layer that follows slowly was put onto a pretrained network.",
        ("lagging",),
        must=("BN201",),
    ),
    Scenario(
        "torch_new_head_follows",
        _late(0.3, first=1, head=True),
        "The twin follows quickly.",
        HEALTHY,
    ),
    Scenario(
        "torch_reset_each_epoch",
        functools.partial(_own_loop, batches=_shuffled, momentum=0.01, between=_reset),
        "The program sets the statistics back each epoch, and they never catch up.",
        ("lagging",),
        must=("BN201",),
        may=("BN106",),
    ),
    Scenario(
        "torch_resumed_without_buffers_every_tenth_step",
        functools.partial(resume, complete=False, steps=100, every=10),
        "The checkpoint had no buffers; ten steps later the statistics are near again.",
        STALE,
        must=("BN106",),
        may=("BN205",),
    ),
    Scenario(
        "torch_resumed_with_buffers_every_tenth_step",
        functools.partial(resume, complete=True, steps=100, every=10),
        "The twin has them.",
        HEALTHY,
    ),
    Scenario(
        "torch_layer_never_called",
        _log(prepare=functools.partial(_with_spare_layer, called=False), steps=80),
        "A batch norm is built and never called; the others are trained.",
        ("suspect",),
        must=("BN109",),
        says=("forward()",),
    ),
    Scenario(
        "torch_layer_called",
        _log(prepare=functools.partial(_with_spare_layer, called=True), steps=80),
        "The twin: the third layer is called, too.",
        HEALTHY,
    ),
    Scenario(
        "torch_one_value_a_channel",
        _one_value_a_channel(lambda size: torch.nn.BatchNorm1d(size)),
        "All values of a channel are equal: no batch has a variance, and nobody froze anything.",
        ("broken",),
        must=("BN303",),
    ),
)  # fmt: skip
