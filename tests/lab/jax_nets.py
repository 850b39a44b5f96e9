"""JAX: Flax linen, Flax NNX and Haiku, in which new statistics are values that a program keeps."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.lab.data import CLASSES, STANDARDISED, batches
from tests.lab.scenario import Framework, Scenario

jax: Any = Framework("jax")
linen: Any = Framework("flax.linen")
nnx: Any = Framework("flax.nnx")
haiku: Any = Framework("haiku")
writers: Any = Framework("tensorboardX")

Trees = dict[str, Any]
RATE, MOMENTUM, STEPS = 0.05, 0.9, 60


def _log(logdir: str, trained: Iterator[Trees]) -> None:
    """Logs what training yields after each step: trees by the prefix of their tags."""
    writer = writers.SummaryWriter(logdir)
    for step, trees in enumerate(trained):
        for prefix, tree in trees.items():
            for path, value in jax.tree_util.tree_leaves_with_path(tree):
                keys = [str(getattr(key, "key", key)) for key in path]
                writer.add_histogram("/".join([prefix, *keys]), np.asarray(value), step)
    writer.close()


def _data() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _, images, labels in batches(STEPS, **STANDARDISED):
        yield images.reshape(len(images), -1), np.eye(CLASSES, dtype=np.float32)[labels]


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -(jax.nn.log_softmax(logits) * labels).sum(1).mean()


def _descend(weights: Any, gradients: Any) -> Any:
    return jax.tree_util.tree_map(lambda w, g: w - RATE * g, weights, gradients)


def _linen(keep: bool) -> Iterator[Trees]:
    class Net(linen.Module):  # type: ignore[misc, name-defined]
        @linen.compact
        def __call__(self, x: Any, train: bool) -> Any:
            x = linen.Dense(8)(x)
            x = linen.BatchNorm(use_running_average=not train, momentum=MOMENTUM)(x)
            return linen.Dense(CLASSES)(linen.relu(x))

    model = Net()
    made = model.init(jax.random.key(0), np.zeros((1, 64), np.float32), train=False)
    weights, statistics = made["params"], made["batch_stats"]

    @jax.jit
    def step(weights: Any, statistics: Any, images: Any, labels: Any) -> Any:
        def loss(weights: Any) -> Any:
            variables = {"params": weights, "batch_stats": statistics}
            logits, new = model.apply(variables, images, train=True, mutable=["batch_stats"])
            return _cross_entropy(logits, labels), new["batch_stats"]

        gradients, new = jax.grad(loss, has_aux=True)(weights)
        return _descend(weights, gradients), new

    for images, labels in _data():
        weights, new = step(weights, statistics, images, labels)
        statistics = new if keep else statistics
        yield {"params": weights, "batch_stats": statistics}


def _nnx(train: bool) -> Iterator[Trees]:
    rngs = nnx.Rngs(0)
    norm = nnx.BatchNorm(8, momentum=MOMENTUM, rngs=rngs)
    hidden, head = nnx.Linear(64, 8, rngs=rngs), nnx.Linear(8, CLASSES, rngs=rngs)
    model = nnx.Sequential(hidden, norm, jax.nn.relu, head)
    model.train() if train else model.eval()

    @nnx.jit
    def step(model: Any, images: Any, labels: Any) -> None:
        gradients = nnx.grad(lambda model: _cross_entropy(model(images), labels))(model)
        nnx.update(model, _descend(nnx.state(model, nnx.Param), gradients))

    for images, labels in _data():
        step(model, images, labels)
        yield {
            "params": nnx.state(model, nnx.Param),
            "batch_stats": nnx.state(model, nnx.BatchStat),
        }


def _haiku(keep: bool) -> Iterator[Trees]:
    def forward(x: Any, is_training: bool) -> Any:
        x = haiku.BatchNorm(True, True, MOMENTUM)(haiku.Linear(8)(x), is_training)
        return haiku.Linear(CLASSES)(jax.nn.relu(x))

    net = haiku.without_apply_rng(haiku.transform_with_state(forward))
    weights, state = net.init(jax.random.key(0), np.zeros((1, 64), np.float32), True)

    @jax.jit
    def step(weights: Any, state: Any, images: Any, labels: Any) -> Any:
        def loss(weights: Any) -> Any:
            logits, new = net.apply(weights, state, images, is_training=True)
            return _cross_entropy(logits, labels), new

        gradients, new = jax.grad(loss, has_aux=True)(weights)
        return _descend(weights, gradients), new

    for images, labels in _data():
        weights, new = step(weights, state, images, labels)
        state = new if keep else state
        yield {"params": weights, "state": state}


def _scenario(name: str, train: Callable[[], Iterator[Trees]], truth: str, *says: str) -> Scenario:
    """Declares a stale run where its fix has to say something, else a healthy one."""
    verdicts, must = (("stale",), ("BN101",)) if says else (("healthy",), ())
    return Scenario(
        name, lambda logdir: _log(logdir, train()), truth, verdicts, must=must, says=says
    )


SCENARIOS = (
    _scenario(
        "flax_linen_dropped",
        functools.partial(_linen, keep=False),
        "apply returns new statistics and nobody keeps them.",
        'mutable=["batch_stats"]',
    ),
    _scenario(
        "flax_nnx_evaluation_mode",
        functools.partial(_nnx, train=False),
        "model.eval() before training, and no model.train().",
        "model.train()",
    ),
    _scenario(
        "haiku_dropped",
        functools.partial(_haiku, keep=False),
        "apply returns a new state and nobody keeps it.",
        "net.apply(params, state",
    ),
    _scenario("flax_linen", functools.partial(_linen, keep=True), "The statistics are kept."),
    _scenario("flax_nnx", functools.partial(_nnx, train=True), "model.train() before training."),
    _scenario("haiku", functools.partial(_haiku, keep=True), "The state is kept."),
)
