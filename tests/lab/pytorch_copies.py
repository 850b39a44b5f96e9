"""PyTorch: networks beside each other: copies with and without statistics, and no copies at all."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

from tests.lab import pytorch_net as net_of
from tests.lab.data import batches
from tests.lab.pytorch_net import tensorboard, torch
from tests.lab.scenario import Scenario


def _mutual(
    logdir: str,
    momentum: float = 0.1,
    held: bool = False,
    names: Sequence[str] = ("student1", "student2"),
) -> None:
    """Two networks learn from the pictures and from each other; one may be in evaluation mode."""
    nets = [net_of.network(momentum, seed=seed) for seed in range(2)]
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.05) for net in nets]
    with tensorboard.SummaryWriter(logdir) as writer:
        for step, images, labels in batches(100):
            pixels, classes = net_of.tensors((images, labels))
            nets[1].train(not held)
            logits = [net(pixels) for net in nets]
            for own, other, optimizer in zip(logits, logits[::-1], optimizers, strict=True):
                taught = other.detach().softmax(1)
                loss = torch.nn.functional.cross_entropy(own, classes)
                loss += torch.nn.functional.cross_entropy(own, taught)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            writer.add_scalar("loss/train", loss.item(), step)
            for name, net in zip(names, nets, strict=True):
                net_of.log_state(writer, net, step, f"{name}.")


def _average_in_a_run_of_its_own(logdir: str, run: str, buffers: bool) -> None:
    """An exponential average of the weights, which the program evaluates and logs apart."""
    net = net_of.network()
    average = net_of.copy_of(net)
    with tensorboard.SummaryWriter(os.path.join(logdir, run)) as writer:

        def log(own: Any, net: Any, step: int) -> None:
            net_of.log_state(own, net, step)
            net_of.log_state(writer, average, step)

        with tensorboard.SummaryWriter(os.path.join(logdir, "train")) as own:
            for step in net_of.train(net, own, 100, log=log, every=2):
                with torch.no_grad():
                    for old, new in zip(average.parameters(), net.parameters(), strict=True):
                        old.lerp_(new, 0.05)
                    if buffers:
                        for old, new in zip(average.buffers(), net.buffers(), strict=True):
                            old.copy_(new)
                if step % 20 == 0:
                    net_of.evaluate(average, writer, step)


def _log(scenario: Callable[..., None], **options: Any) -> Callable[[str], None]:
    return functools.partial(scenario, **options)


STALE = ("stale",)
HEALTHY = ("healthy",)

SCENARIOS = (
    Scenario(
        "torch_mutual_learning",
        _mutual,
        "Two networks teach each other; none is a copy.",
        HEALTHY,
    ),
    Scenario(
        "torch_mutual_learning_lagging",
        _log(_mutual, momentum=0.001),
        "Both lag by their own momentum of 0.001, not by the decay of a copy.",
        ("lagging",),
        must=("BN201",),
        says=("Use a higher momentum",),
    ),
    *(
        Scenario(
            f"torch_mutual_learning_{'_'.join(names)}_held",
            _log(_mutual, held=True, names=names),
            "The second one is in evaluation mode: no copy, whatever it is called.",
            STALE,
            must=("BN101",),
            says=("train()",),
        )
        for names in (("student1", "student2"), ("student", "teacher"))
    ),
    *(
        Scenario(
            f"torch_average_in_run_{run}{'_with_buffers' if buffers else ''}",
            _log(_average_in_a_run_of_its_own, run=run, buffers=buffers),
            "An average of the weights is logged in a run of its own, with its statistics or not.",
            HEALTHY if buffers else STALE,
            must=() if buffers else ("BN107",),
            may=() if buffers else ("BN501",),
            run=run,
            says=() if buffers else ("Copy the statistics with the weights",),
        )
        for run in ("ema", "validation")
        for buffers in (False, True)
    ),
)
