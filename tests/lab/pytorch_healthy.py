"""PyTorch: what is healthy, frozen on purpose, or only looks like batch norm."""

import functools
from collections.abc import Callable
from typing import Any

from tests.lab import pytorch_net as net_of
from tests.lab.data import OTHER_DATA, pictures
from tests.lab.pytorch_faults import ranks, resume, teacher
from tests.lab.pytorch_net import tensorboard, torch
from tests.lab.scenario import Scenario


def _log(**options: Any) -> Callable[[str], None]:
    return functools.partial(net_of.run, **options)


def _frozen(*names: str) -> Callable[[], Any]:
    """Returns a maker of a pretrained network whose modules of these names are frozen."""

    def prepare() -> Any:
        net = net_of.pretrained()
        net_of.freeze(*(net.get_submodule(name) for name in names))
        for name in names:
            net.get_submodule(name).eval()
        return net

    return prepare


def _evaluation_only(logdir: str) -> None:
    """One checkpoint is evaluated on three sets, one step each."""
    net = net_of.pretrained().eval()
    with tensorboard.SummaryWriter(logdir) as writer:
        for step, mean in enumerate((30.0, 40.0, 50.0)):
            net_of.evaluate(net, writer, step, mean=mean)
            net_of.log_state(writer, net, step)


def _averaged(logdir: str) -> None:
    """SWA: the average's statistics are estimated by update_bn once training is over."""
    net = net_of.network()
    average = torch.optim.swa_utils.AveragedModel(net)

    def log(writer: Any, net: Any, step: int) -> None:
        net_of.log_state(writer, net, step)
        net_of.log_state(writer, average, step, "swa_model.")

    with tensorboard.SummaryWriter(logdir) as writer:
        for step in net_of.train(net, writer, log=log):
            if step > 30:
                average.update_parameters(net)
        loader = [net_of.tensors(pictures(32, seed=seed))[0] for seed in range(5)]
        torch.optim.swa_utils.update_bn(loader, average)
        log(writer, net, 61)
        net_of.evaluate(average, writer, 61)


def _estimated_anew(logdir: str) -> None:
    """Precise batch norm: after training, update_bn resets and estimates the statistics."""
    net = net_of.network()
    with tensorboard.SummaryWriter(logdir) as writer:
        net_of.finish(net_of.train(net, writer, every=5))
        loader = [net_of.tensors(pictures(32, seed=seed))[0] for seed in range(10)]
        torch.optim.swa_utils.update_bn(loader, net)
        net_of.log_state(writer, net, 61)


def _accumulated(logdir: str, count_batches: bool) -> None:
    """Gradients of four batches make a step; the logged step counts steps or batches."""
    net = net_of.network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with tensorboard.SummaryWriter(logdir) as writer:
        for batch in range(1, 161):
            pixels, classes = net_of.tensors(pictures(32, seed=batch))
            loss = torch.nn.functional.cross_entropy(net(pixels), classes)
            (loss / 4).backward()
            if batch % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
            step = batch if count_batches else batch // 4
            if count_batches or batch % 4 == 0:
                writer.add_scalar("loss/train", loss.item(), step)
                net_of.log_state(writer, net, step)


def _group_norm(size: int, dims: int) -> Any:
    return torch.nn.GroupNorm(2, size)


def _untracked(size: int, dims: int) -> Any:
    kind = torch.nn.BatchNorm2d if dims == 2 else torch.nn.BatchNorm1d
    return kind(size, track_running_stats=False)


def _observation_normaliser(logdir: str) -> None:
    """rl_games: a running mean and variance of the observations, averaged by count."""
    noise = torch.Generator().manual_seed(0)
    mean, variance, count = torch.zeros(6), torch.ones(6), 1e-4
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in range(1, 61):
            batch = 5.0 + 3.0 * torch.randn(32, 6, generator=noise)
            delta, total = batch.mean(0) - mean, count + 32
            squares = variance * count + batch.var(0) * 32 + delta**2 * count * 32 / total
            mean, variance, count = mean + delta * 32 / total, squares / total, total
            writer.add_histogram("running_mean_std.running_mean", mean, step)
            writer.add_histogram("running_mean_std.running_var", variance, step)
            writer.add_scalar("running_mean_std.count", count, step)
            writer.add_scalar("rewards/step", float(step), step)


def _frozen_normaliser(logdir: str) -> None:
    """obs_rms of a policy that is only replayed: constant at 0 and 1, and no batch norm."""
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in range(1, 31):
            writer.add_histogram("obs_rms/running_mean", torch.zeros(6), step)
            writer.add_histogram("obs_rms/running_var", torch.ones(6), step)
            writer.add_scalar("rewards/step", float(step % 7), step)


def _overfitting(logdir: str) -> None:
    """64 pictures with random classes, learnt by heart: validation is at chance, truly."""
    net = net_of.network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    images, _ = pictures(64)
    _, labels = pictures(64, seed=3)
    pixels, classes = net_of.tensors((images, labels))
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in range(1, 201):
            logits = net(pixels)
            loss = torch.nn.functional.cross_entropy(logits, classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 5 == 0:
                accuracy = (logits.argmax(1) == classes).float().mean().item()
                writer.add_scalar("loss/train", loss.item(), step)
                writer.add_scalar("accuracy/train", accuracy, step)
                net_of.evaluate(net, writer, step)
                net_of.log_state(writer, net, step)


def _alternating_gan(logdir: str) -> None:
    """Discriminator and generator are trained in phases of 10 steps, both logged always."""
    nn = torch.nn
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 16))
    critic = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    nets = {"generator": generator, "discriminator": critic}
    optimizers = {name: torch.optim.SGD(net.parameters(), lr=0.05) for name, net in nets.items()}
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in range(1, 101):
            phase = "generator" if step % 20 < 10 else "discriminator"
            for name, net in nets.items():
                net.train(name == phase)
            fake = generator(torch.randn(32, 4))
            real = 3.0 + torch.randn(32, 16)
            sign = 1.0 if phase == "generator" else -1.0
            loss = sign * (critic(real).mean() - critic(fake).mean())
            optimizers[phase].zero_grad()
            loss.backward()
            optimizers[phase].step()
            writer.add_scalar(f"loss/{phase}", loss.item(), step)
            for name, net in nets.items():
                net_of.log_state(writer, net, step, f"{name}.")


def _first_run_again(logdir: str) -> None:
    """The same script is started twice with one log folder: step 1 comes twice."""
    for seed in range(2):
        net = net_of.network(seed=seed)
        with tensorboard.SummaryWriter(logdir, filename_suffix=f".{seed}") as writer:
            net_of.finish(net_of.train(net, writer, seed=seed))


def _standardised(size: int, dims: int) -> Any:
    return torch.nn.Identity()


def _norm_of_standardised_inputs() -> Any:
    """A norm of standardised pixels: its true statistics are 0 and 1, and it says so."""
    net = net_of.network(norm=_standardised)
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Unflatten(1, (1, 8, 8)), net)


def _constant_channels(net: Any, images: Any) -> Any:
    """The border pixels are always the same, as in padded pictures."""
    images[:, :, 0, :] = 0.0
    images[:, :, :, 0] = 0.0
    return net(images)


def _pixel_norm() -> Any:
    """A norm of each raw pixel, 15 of 64 of which never vary."""
    return _norm_of_standardised_inputs()


def _log_scalars(writer: Any, net: Any, step: int) -> None:
    """One scalar a layer and statistic, the mean over its channels."""
    for name, module in net.named_modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            writer.add_scalar(f"BN/{name}/running_mean", module.running_mean.mean(), step)
            writer.add_scalar(f"BN/{name}/running_var", module.running_var.mean(), step)


def _log_statistics(writer: Any, net: Any, step: int) -> None:
    """named_buffers() only: no weight is logged."""
    for name, value in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            writer.add_histogram(name, value, step)


def _domain_switch(logdir: str) -> None:
    """From step 61 on the pictures have four times the contrast: other data, no fault."""
    net = net_of.network()
    with tensorboard.SummaryWriter(logdir) as writer:
        net_of.finish(net_of.train(net, writer, every=2))
        net_of.finish(net_of.train(net, writer, first=61, every=2, seed=3, mean=40.0, scale=40.0))


def _placeholder_metrics(logdir: str) -> None:
    """A logger that writes NaN for metrics it has not computed yet."""
    net = net_of.network()
    with tensorboard.SummaryWriter(logdir) as writer:
        for step in net_of.train(net, writer, every=5):
            if step % 20 == 0:
                net_of.evaluate(net, writer, step)
            else:
                writer.add_scalar("accuracy/val", float("nan"), step)


def _momentum(value: float | None) -> Callable[[], Any]:
    return functools.partial(net_of.network, momentum=value)


HEALTHY = ("healthy",)

SCENARIOS = (
    Scenario("torch_healthy", _log(evaluate_every=10), "Training as documented.", HEALTHY),
    Scenario("torch_sparse", _log(steps=200, every=100), "Three snapshots of 200 steps.", HEALTHY),
    Scenario(
        "torch_frozen_on_purpose",
        _log(prepare=_frozen("conv1", "bn1", "bn2")),
        "The backbone is frozen and in eval mode, with pretrained values.",
        ("frozen",),
        must=("BN102",),
    ),
    Scenario(
        "torch_partly_frozen",
        _log(prepare=_frozen("conv1", "bn1"), evaluate_every=10),
        "The first block is frozen with pretrained values, the second is fine-tuned.",
        ("frozen",),
        must=("BN102",),
    ),
    Scenario(
        "torch_fine_tuning",
        _log(prepare=net_of.pretrained, **OTHER_DATA),
        "Everything is trained from pretrained values, on other data.",
        HEALTHY,
    ),
    Scenario(
        "torch_evaluation_only",
        _evaluation_only,
        "One checkpoint is evaluated three times: nothing trains, so nothing can be stale.",
        # Constant at pretrained values is BN102's description; without training it may abstain.
        ("frozen", "insufficient"),
    ),
    Scenario(
        "torch_teacher_with_buffers",
        functools.partial(teacher, buffers=True),
        "The mean teacher copies the buffers too.",
        HEALTHY,
    ),
    Scenario(
        "torch_swa_with_update_bn",
        _averaged,
        "The averaged copy's statistics wait at 0 and 1 until update_bn at the end.",
        HEALTHY,
    ),
    Scenario(
        "torch_estimated_anew",
        _estimated_anew,
        "Statistics are reset and estimated anew after training (precise batch norm).",
        HEALTHY,
    ),
    Scenario(
        "torch_cumulative_average",
        _log(prepare=_momentum(None), steps=120, every=2),
        "momentum=None: a cumulative average that settles without a constant decay.",
        HEALTHY,
    ),
    Scenario(
        "torch_long_high_momentum",
        _log(prepare=_momentum(0.005), steps=1000, every=25, evaluate_every=200),
        "0.995 to the power of 1000: 0.7 % is left.",
        HEALTHY,
    ),
    Scenario(
        "torch_accumulated_gradients",
        functools.partial(_accumulated, count_batches=False),
        "Four batches a step, and so four updates: momentum 0.9 acts as 0.66.",
        HEALTHY,
        must=("BN205",),
    ),
    Scenario(
        "torch_accumulated_gradients_by_batch",
        functools.partial(_accumulated, count_batches=True),
        "The logged step counts batches; the weights move at every fourth.",
        HEALTHY,
    ),
    Scenario(
        "torch_learning_rate_zero",
        _log(rate=0.0),
        "A dry run with learning rate 0: statistics move, no weight does, nothing was frozen.",
        HEALTHY,
    ),
    Scenario(
        "torch_group_norm",
        _log(prepare=functools.partial(net_of.network, norm=_group_norm)),
        "GroupNorm has no statistics.",
        ("no-batch-norm", "not-logged"),
    ),
    Scenario(
        "torch_untracked",
        _log(prepare=functools.partial(net_of.network, norm=_untracked)),
        "track_running_stats=False: there are no statistics to log.",
        ("no-batch-norm", "not-logged"),
    ),
    Scenario(
        "torch_named_parameters_only",
        _log(log=net_of.log_parameters, steps=20),
        "The idiom that cannot hold the statistics.",
        ("not-logged",),
        must=("BN901",),
    ),
    Scenario(
        "torch_observation_normaliser",
        _observation_normaliser,
        "Reinforcement learning's running_mean_std is no batch norm.",
        ("unknown",),
    ),
    Scenario(
        "torch_frozen_normaliser",
        _frozen_normaliser,
        "obs_rms at 0 and 1 is no batch norm.",
        ("unknown",),
    ),
    Scenario(
        "torch_overfitting",
        _overfitting,
        "Real overfitting: statistics are healthy and explain nothing.",
        HEALTHY,
    ),
    Scenario(
        "torch_gan_in_phases",
        _alternating_gan,
        "Statistics rest while their network rests: not intermittent.",
        HEALTHY,
    ),
    Scenario(
        "torch_ranks_agree",
        functools.partial(ranks, shift=0.0),
        "Two ranks see the same kind of data: their statistics differ by noise only.",
        HEALTHY,
        run="rank0",
    ),
    Scenario(
        "torch_ranks_synchronised",
        functools.partial(ranks, shift=60.0, synchronise=True),
        "Rank 0 broadcasts its buffers after each step, as DistributedDataParallel does.",
        HEALTHY,
        run="rank0",
    ),
    Scenario(
        "torch_resumed",
        functools.partial(resume, complete=True),
        "The checkpoint is a whole state_dict().",
        HEALTHY,
    ),
    Scenario(
        "torch_started_twice",
        _first_run_again,
        "A new run in an old folder begins at 0 and 1 again, and so do its weights.",
        HEALTHY,
        must=("BN905",),
    ),
    Scenario(
        "torch_standardised_inputs",
        _log(prepare=_norm_of_standardised_inputs, mean=0.0, scale=0.8),
        "Inputs with mean 0 and variance 1: healthy statistics near their initial values.",
        HEALTHY,
    ),
    Scenario(
        "torch_constant_pixels",
        _log(prepare=_pixel_norm, forward=_constant_channels, steps=200, every=10),
        "A quarter of the channels never vary, as padding does.",
        HEALTHY,
    ),
    Scenario(
        "torch_scalars_only",
        _log(log=_log_scalars),
        "Statistics logged as scalars, one mean over the channels each.",
        HEALTHY,
    ),
    Scenario(
        "torch_statistics_only",
        _log(log=_log_statistics),
        "Only the buffers are logged.",
        HEALTHY,
    ),
    Scenario(
        "torch_domain_switch",
        _domain_switch,
        "Other data from the middle on: the variance grows sixteenfold and stays.",
        HEALTHY,
    ),
    Scenario(
        "torch_placeholder_metrics",
        _placeholder_metrics,
        "NaN metrics are placeholders; the statistics are finite.",
        HEALTHY,
    ),
)
