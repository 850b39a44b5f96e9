"""PyTorch as people log it: torch.utils.tensorboard, tags from named_parameters and buffers."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.lab.data import CLASSES, SIDE, batches, pictures
from tests.lab.scenario import Framework

torch: Any = Framework("torch")
tensorboard: Any = Framework("torch.utils.tensorboard")


def network(momentum: float | None = 0.1, seed: int = 0, norm: Any = None) -> Any:
    """Returns conv, norm, relu, linear, norm, relu, linear with the names of torchvision."""
    torch.manual_seed(seed)
    nn = torch.nn
    norm = norm or (lambda size, dims: _batch_norm(size, dims, momentum))
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(1, 6, 3, stride=2))
    net.add_module("bn1", norm(6, 2))
    net.add_module("relu1", nn.ReLU())
    net.add_module("flatten", nn.Flatten())
    side = (SIDE - 3) // 2 + 1
    net.add_module("fc1", nn.Linear(6 * side * side, 8))
    net.add_module("bn2", norm(8, 1))
    net.add_module("relu2", nn.ReLU())
    net.add_module("fc2", nn.Linear(8, CLASSES))
    return net


def _batch_norm(size: int, dims: int, momentum: float | None) -> Any:
    kind = torch.nn.BatchNorm2d if dims == 2 else torch.nn.BatchNorm1d
    return kind(size, momentum=momentum)


def norms(net: Any) -> Iterator[Any]:
    """Yields the batch-norm layers of a network."""
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            yield module


def freeze(*modules: Any) -> None:
    """Stops the gradients of the modules' parameters, as fine-tuning guides do."""
    for module in modules:
        for parameter in module.parameters():
            parameter.requires_grad_(False)


def pretrained() -> Any:
    """Returns a network trained on data of its own."""
    net = network(seed=5)
    for _ in train(net, None, steps=80, seed=5):
        pass
    return net


def tensors(pictures_and_classes: tuple[Any, Any]) -> tuple[Any, Any]:
    """Returns pictures `[N, 1, 8, 8]` and classes `[N]` as tensors."""
    images, labels = pictures_and_classes
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels).long()


def log_state(writer: Any, net: Any, step: int, prefix: str = "") -> None:
    """Logs buffers and the weights of conv1 and bn*; the linear layers would cost half the time."""
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            writer.add_scalar(prefix + name, value, step)
        elif "fc" not in name and name != "conv1.bias":
            writer.add_histogram(prefix + name, value, step)


def log_parameters(writer: Any, net: Any, step: int) -> None:
    """Logs named_parameters only: the most common idiom, which cannot hold the statistics."""
    for name, value in net.named_parameters():
        writer.add_histogram(name, value, step)


def train(
    net: Any,
    writer: Any,
    steps: int = 60,
    *,
    first: int = 1,
    every: int = 1,
    rate: float = 0.05,
    log: Callable[[Any, Any, int], None] = log_state,
    size: int = 32,
    forward: Callable[[Any, Any], Any] = lambda net, images: net(images),
    **data: float,
) -> Iterator[int]:
    """Trains by gradient descent and yields after each step, before it is logged."""
    weights = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=rate)
    for index, images, labels in batches(steps, size, **data):
        step = first + index - 1
        pixels, classes = tensors((images, labels))
        optimizer.zero_grad()
        logits = forward(net, pixels)
        loss = torch.nn.functional.cross_entropy(logits, classes)
        loss.backward()
        optimizer.step()
        yield step
        if writer and (index % every == 0 or index == 1):
            writer.add_scalar("loss/train", loss.item(), step)
            accuracy = (logits.argmax(1) == classes).float().mean()
            writer.add_scalar("accuracy/train", accuracy.item(), step)
            log(writer, net, step)


def evaluate(net: Any, writer: Any, step: int, **data: float) -> None:
    """Logs loss and accuracy of held-out pictures; every module's mode is restored."""
    pixels, classes = tensors(pictures(256, seed=99, **data))
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    with torch.no_grad():
        logits = net(pixels)
        loss = torch.nn.functional.cross_entropy(logits, classes)
    writer.add_scalar("loss/val", loss.item(), step)
    writer.add_scalar("accuracy/val", (logits.argmax(1) == classes).float().mean().item(), step)
    for module, training in modes:
        module.training = training


def finish(steps: Iterable[int]) -> None:
    """Runs a training to its end."""
    for _ in steps:
        pass


def run(
    logdir: str,
    prepare: Callable[[], Any] = network,
    *,
    mode: Callable[[Any, int], None] = lambda net, step: None,
    evaluate_every: int = 0,
    evaluation: dict[str, float] | None = None,
    **options: Any,
) -> None:
    """Prepares a network, trains it and logs it; `mode(net, step)` is called before each step."""
    net = prepare()
    with tensorboard.SummaryWriter(logdir) as writer:
        first = options.get("first", 1)
        mode(net, first)
        for step in train(net, writer, **options):
            if evaluate_every and step % evaluate_every == 0:
                evaluate(net, writer, step, **(evaluation or {}))
            mode(net, step + 1)


def copy_of(net: Any) -> Any:
    """Returns a copy, as teachers and target networks begin."""
    return copy.deepcopy(net)
