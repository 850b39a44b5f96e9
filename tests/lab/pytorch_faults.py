"""PyTorch: train(), eval(), buffers left behind, momenta and bad batches."""

import functools
from collections.abc import Callable
from typing import Any

from tests.lab import pytorch_net as net_of
from tests.lab.data import OTHER_DATA, STANDARDISED, pictures
from tests.lab.pytorch_net import tensorboard, torch
from tests.lab.scenario import Scenario


def _log(**options: Any) -> Callable[[str], None]:
    return functools.partial(net_of.run, **options)


def _evaluating_network() -> Any:
    return net_of.network().eval()


def _eval_after_validation(net: Any, step: int) -> None:
    if step == 31:
        net.eval()


def _eval_after_each_validation(net: Any, step: int) -> None:
    """net.train() is called at the start of each epoch of 20 steps only; validation is halfway."""
    net.train(step % 20 < 10)


def _frozen_parameters() -> Any:
    """A backbone frozen through requires_grad alone: its statistics go on in train mode."""
    net = net_of.pretrained()
    net_of.freeze(net.conv1, net.bn1)
    return net


def _undone_by_validation(logdir: str) -> None:
    """The frozen block is in eval mode until the first validation calls net.train()."""
    net = _frozen_parameters()
    net.bn1.eval()
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in net_of.train(net, writer, steps=80, **OTHER_DATA):
            if step % 20 == 0:
                net_of.evaluate(net, writer, step, **OTHER_DATA)
                net.train()


def _functional(logdir: str) -> None:
    """torch.func.functional_call with buffers whose new values nobody keeps."""

    def forward(net: Any, images: Any) -> Any:
        buffers = {name: value.clone() for name, value in net.named_buffers()}
        state = {**dict(net.named_parameters()), **buffers}
        return torch.func.functional_call(net, state, (images,))

    net_of.run(logdir, forward=forward)


def _hand_written(size: int, dims: int, mean: bool = True, cancel: bool = False) -> Any:
    """A batch norm of somebody's own; its variance is forgotten or cancels in float32."""

    class OwnBatchNorm(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(size))
            self.bias = torch.nn.Parameter(torch.zeros(size))
            self.register_buffer("running_mean", torch.zeros(size))
            self.register_buffer("running_var", torch.ones(size))

        def forward(self, x: Any) -> Any:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            shape = [1, size] + [1] * (x.dim() - 2)
            average, spread = x.mean(axes), x.var(axes, unbiased=False)
            with torch.no_grad():
                self.running_mean += 0.1 * (average - self.running_mean)
                if cancel:
                    squares = (x * x).mean(axes) - average * average
                    self.running_var += 0.1 * (squares - self.running_var)
            x = (x - average.view(shape)) / torch.sqrt(spread.view(shape) + 1e-5)
            return x * self.weight.view(shape) + self.bias.view(shape)

    return OwnBatchNorm()


def resume(logdir: str, complete: bool, steps: int = 60, every: int = 1) -> None:
    """The checkpoint holds the parameters, with or without the buffers."""
    net = net_of.network()
    with tensorboard.SummaryWriter(logdir, filename_suffix=".1") as writer:
        net_of.finish(net_of.train(net, writer, steps, every=every))
    state = net.state_dict() if complete else dict(net.named_parameters())
    again = net_of.network(seed=1)
    again.load_state_dict(state, strict=complete)
    with tensorboard.SummaryWriter(logdir, filename_suffix=".2") as writer:
        net_of.finish(net_of.train(again, writer, steps, first=steps + 1, every=every, seed=61))


def teacher(logdir: str, buffers: bool) -> None:
    """A teacher that averages parameters(), with or without copying the buffers."""
    student = net_of.network()
    average = net_of.copy_of(student)

    def log(writer: Any, net: Any, step: int) -> None:
        net_of.log_state(writer, student, step, "student.")
        net_of.log_state(writer, average, step, "teacher.")

    with tensorboard.SummaryWriter(logdir) as writer:
        for _ in net_of.train(student, writer, log=log):
            with torch.no_grad():
                pairs = zip(average.parameters(), student.parameters(), strict=True)
                for old, new in pairs:
                    old.lerp_(new, 0.1)
                if buffers:
                    for old, new in zip(average.buffers(), student.buffers(), strict=True):
                        old.copy_(new)


def _target_network(logdir: str) -> None:
    """A DQN-like target network that takes over the parameters every 10 steps, hard."""
    online = net_of.network()
    target = net_of.copy_of(online)

    def log(writer: Any, net: Any, step: int) -> None:
        net_of.log_state(writer, online, step, "q_net.")
        net_of.log_state(writer, target, step, "target_q_net.")

    with tensorboard.SummaryWriter(logdir) as writer:
        for step in net_of.train(online, writer, steps=80, log=log):
            if step % 10 == 0:
                target.load_state_dict(dict(online.named_parameters()), strict=False)


def _poison(at: int, pixel: float, channels: int = 1) -> Callable[[Any, int], None]:
    """A broken picture passes through in train mode; the step that had it was skipped."""

    def mode(net: Any, step: int) -> None:
        if step == at:
            pixels, _ = net_of.tensors(pictures(32, seed=9))
            pixels[0] = pixel
            with torch.no_grad():
                net(pixels)

    return mode


def _far_off(net: Any, step: int) -> None:
    """A batch that somebody forgot to scale: all of its pixels are off, and vary as ever."""
    if step == 50:
        pixels, _ = net_of.tensors(pictures(32, seed=9))
        with torch.no_grad():
            net(pixels + 1e5)


def _nan_in_one_channel(net: Any, step: int) -> None:
    """An overflow in one channel of the first layer, as float16 activations have."""
    if step == 30:
        net.bn1.running_var[2] = float("nan")


def _infinite_variance(net: Any, step: int) -> None:
    """One channel's activations of 1e25 overflow in the squares: infinity, not NaN."""
    if step == 30:
        activations = torch.randn(32, 8)
        activations[:, 3] *= 1e25
        with torch.no_grad():
            net.bn2(activations)


def _all_nan(logdir: str) -> None:
    """All channels become NaN: add_histogram raises and the run stops."""
    try:
        net_of.run(logdir, mode=_poison(40, float("nan")))
    except ValueError as error:
        assert "histogram is empty" in str(error)
    else:
        raise AssertionError("torch logged a histogram of NaN")


def _growing_activations(net: Any, step: int) -> None:
    """The layer before batch norm diverges, unnoticed behind its scale invariance."""
    with torch.no_grad():
        net.conv1.weight.mul_(1.08)


def _relu_then_norm(size: int, dims: int) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.ReLU(), (nn.BatchNorm2d if dims == 2 else nn.BatchNorm1d)(size))


def _dead_relus(net: Any, step: int) -> None:
    """A step with a learning rate far too high: no picture activates any unit again."""
    if step == 40:
        with torch.no_grad():
            net.conv1.bias.fill_(-1e4)


def _average_gradients(first: Any, second: Any) -> None:
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        one.grad = other.grad = (one.grad + other.grad) / 2


def ranks(logdir: str, shift: float, synchronise: bool = False) -> None:
    """Two data-parallel replicas in rank folders: gradients are averaged, buffers are not."""
    nets = [net_of.network() for _ in range(2)]
    writers = [tensorboard.SummaryWriter(f"{logdir}/rank{rank}") for rank in range(2)]
    means = (40.0, 40.0 + shift)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.05) for net in nets]
    for step in range(1, 61):
        for rank, net in enumerate(nets):
            batch = pictures(32, seed=2 * step + rank, mean=means[rank])
            pixels, classes = net_of.tensors(batch)
            loss = torch.nn.functional.cross_entropy(net(pixels), classes)
            optimizers[rank].zero_grad()
            loss.backward()
            writers[rank].add_scalar("loss/train", loss.item(), step)
        _average_gradients(*nets)
        for optimizer in optimizers:
            optimizer.step()
        if synchronise:
            for first, second in zip(*(net.buffers() for net in nets), strict=True):
                second.copy_(first)
        for rank, net in enumerate(nets):
            net_of.log_state(writers[rank], net, step)
    for writer in writers:
        writer.close()


def _checkpointed(logdir: str) -> None:
    """Activation checkpointing runs each forward pass twice, and so the updates."""

    def forward(net: Any, images: Any) -> Any:
        images.requires_grad_()
        return torch.utils.checkpoint.checkpoint(net, images, use_reentrant=False)

    net_of.run(logdir, forward=forward)


def _slow(momentum: float) -> Callable[[], Any]:
    return functools.partial(net_of.network, momentum=momentum)


STALE = ("stale",)
BROKEN = ("broken",)
SUSPECT = ("suspect",)

SCENARIOS = (
    Scenario(
        "torch_eval_before_training",
        _log(prepare=_evaluating_network, **STANDARDISED),
        "model.eval() was called and never model.train().",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "torch_eval_before_training_sparse",
        _log(prepare=_evaluating_network, every=50, steps=100, **STANDARDISED),
        "The same with three snapshots.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "torch_functional_call",
        _functional,
        "functional_call updates copies of the buffers, which are thrown away.",
        STALE,
        must=("BN101",),
    ),
    Scenario(
        "torch_eval_after_first_validation",
        _log(mode=_eval_after_validation),
        "eval() of the validation at step 30 stays on.",
        STALE,
        must=("BN103",),
    ),
    Scenario(
        "torch_eval_half_of_each_epoch",
        _log(mode=_eval_after_each_validation, steps=100),
        "eval() of the validation stays on until the next epoch begins.",
        STALE,
        must=("BN104",),
    ),
    Scenario(
        "torch_variance_forgotten",
        _log(prepare=functools.partial(net_of.network, norm=_hand_written)),
        "A hand-written layer updates running_mean only.",
        STALE,
        must=("BN105",),
    ),
    Scenario(
        "torch_resume_without_buffers",
        functools.partial(resume, complete=False),
        "The checkpoint held named_parameters() and no buffers.",
        STALE,
        must=("BN106",),
    ),
    Scenario(
        "torch_teacher_without_buffers",
        functools.partial(teacher, buffers=False),
        "The mean teacher averages parameters() and leaves the buffers at 0 and 1.",
        STALE,
        must=("BN107",),
    ),
    Scenario(
        "torch_target_network_without_buffers",
        _target_network,
        "The target network takes over parameters and no buffers.",
        STALE,
        must=("BN107",),
    ),
    Scenario(
        "torch_frozen_but_in_train_mode",
        _log(prepare=_frozen_parameters, **OTHER_DATA),
        "requires_grad=False freezes the weights; train() goes on with the statistics.",
        SUSPECT,
        must=("BN108",),
    ),
    Scenario(
        "torch_train_undoes_eval",
        _undone_by_validation,
        "A frozen block's eval() is undone by net.train() after the first validation.",
        SUSPECT,
        must=("BN108",),
    ),
    Scenario(
        "torch_lagging_by_curve",
        _log(prepare=_slow(0.001), steps=200, every=5, evaluate_every=20),
        "Keras' 0.001 of the new value and 200 steps: 82 % of the start is left; no graph.",
        ("lagging",),
        must=("BN201",),
        may=("BN501",),
    ),
    Scenario(
        "torch_slightly_lagging_by_curve",
        _log(prepare=_slow(0.01), steps=150, every=5),
        "0.99 to the power of 150: 22 % of the initial value is left; no graph says so.",
        ("lagging",),
        must=("BN201",),
    ),
    Scenario(
        "torch_gap_explained",
        _log(prepare=_slow(0.001), steps=60, every=3, evaluate_every=6),
        "Training is good, validation at chance in the same run, 94 % of the start is left.",
        ("lagging",),
        must=("BN201", "BN501"),
    ),
    Scenario(
        "torch_swapped_momentum",
        _log(prepare=_slow(0.99), steps=100),
        "TensorFlow's 0.99 given to PyTorch: the statistics are those of the last batch.",
        SUSPECT,
        must=("BN203",),
        may=("BN204",),
    ),
    Scenario(
        "torch_batches_of_two",
        _log(prepare=_slow(0.4), size=2, steps=150, rate=0.01),
        "Batches of 2 and a momentum of 0.4: the statistics jump from step to step.",
        SUSPECT,
        must=("BN204",),
    ),
    Scenario(
        "torch_nan_in_one_channel",
        _log(mode=_nan_in_one_channel),
        "One channel of six is NaN: minimum and sum are NaN, the buckets hold five.",
        BROKEN,
        must=("BN301",),
    ),
    Scenario(
        "torch_infinite_variance",
        _log(mode=_infinite_variance),
        "Squares overflow: the variance is infinite from step 30 on.",
        BROKEN,
        must=("BN301",),
    ),
    Scenario(
        "torch_negative_variance",
        _log(
            prepare=functools.partial(
                net_of.network, norm=functools.partial(_hand_written, cancel=True)
            ),
            mean=2e4,
            scale=0.01,
        ),
        "E[x^2] - E[x]^2 of large pixels in float32 is below 0.",
        BROKEN,
        must=("BN302",),
        may=("BN303", "BN304", "BN204"),
    ),
    Scenario(
        "torch_variance_dies",
        _log(
            prepare=functools.partial(net_of.network, norm=_relu_then_norm),
            mode=_dead_relus,
            steps=240,
            every=5,
        ),
        "All units of the ReLU before batch norm die at step 40: nothing varies any more.",
        BROKEN,
        must=("BN303",),
    ),
    Scenario(
        "torch_variance_explodes",
        _log(mode=_growing_activations, steps=120, every=4),
        "The weights before batch norm grow by 8 % a step, hidden by its scale invariance.",
        BROKEN,
        must=("BN304",),
    ),
    Scenario(
        "torch_one_poisoned_batch",
        _log(mode=_poison(50, 1e6), steps=100),
        "One broken picture enters the average at step 50.",
        BROKEN,
        must=("BN304",),
    ),
    Scenario(
        "torch_poisoned_mean",
        _log(mode=_far_off, steps=80),
        "One batch that is far off as a whole enters the moving mean at step 50.",
        BROKEN,
        must=("BN304",),
        says=("The moving mean of",),
    ),
    Scenario(
        "torch_poisoned_and_forgotten",
        _log(mode=_poison(50, 1e4), steps=300, every=2),
        "One broken picture enters the average at step 50 and is forgotten by step 200.",
        SUSPECT,
        must=("BN304",),
        says=("has forgotten it",),
    ),
    Scenario(
        "torch_ranks_disagree",
        functools.partial(ranks, shift=60.0),
        "Two ranks see different data and keep their own statistics.",
        SUSPECT,
        must=("BN502",),
        run="rank0",
    ),
    Scenario(
        "torch_checkpointed",
        _checkpointed,
        "Activation checkpointing updates the statistics twice a step, says num_batches_tracked.",
        ("healthy",),
        must=("BN205",),
    ),
    Scenario(
        "torch_all_nan",
        _all_nan,
        "NaN in all channels stops the run in add_histogram: the file holds only what was finite.",
        ("healthy",),
    ),
)
