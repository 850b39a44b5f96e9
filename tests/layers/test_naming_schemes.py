"""However a framework names its variables, the same layers come out.

A network is drawn (blocks in blocks, each with dense layers and batch norm), named as each
framework names it, and logged through the writers that are in use.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from bn_tb.layers import Framework, Motion, find_layers
from bn_tb.runs.tags import Role
from tests.builders.synthetic import histogram, run

STATISTICS = ("mean", "variance")
NETWORKS = 25
"""Networks drawn for each scheme."""


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How a framework names what it logs.

    Attributes:
      batch_norm: Names of mean, variance, gamma and beta, from the blocks around a layer and its
        number among the batch norms of the network.
      layer: The name of such a layer in reports.
      dense: Names of kernel and bias of a dense layer, from the same.
      writers: What writers make of a name.
    """

    batch_norm: Callable[[list[str], int], tuple[str, ...]]
    layer: Callable[[list[str], int], str]
    dense: Callable[[list[str], int], tuple[str, str]]
    writers: tuple[Callable[[str], str], ...] = (str,)


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _under(*names: str) -> Callable[[list[str], int, str], tuple[str, ...]]:
    return lambda blocks, number, last: tuple("/".join([*blocks, last, name]) for name in names)


_KERAS_NAMES = _under("moving_mean", "moving_variance", "gamma", "beta")
_TF1_WRITERS = (
    str,
    lambda name: f"{name}_1",  # made unique
    lambda name: f"{name}_2",
    lambda name: f"{name}:0",
    lambda name: f"{name}_0",  # `:0` made legal
    lambda name: f"{name}/summaries/histogram",
    lambda name: f"ModelVars/{name}",
)


def _tf_dense(blocks: list[str], number: int) -> tuple[str, str]:
    scope = "/".join([*blocks, f"ReLU_BN/{_numbered('dense', number)}"])
    return f"{scope}/kernel", f"{scope}/bias"


def _library(last: Callable[[int], str]) -> tuple[Callable, Callable]:
    return (
        lambda blocks, number: _KERAS_NAMES(blocks, number, last(number)),
        lambda blocks, number: "/".join([*blocks, last(number)]),
    )


def _averages(scope_of_op: Callable[[str], str], moments: tuple[str, str]) -> tuple[Callable, ...]:
    """ExponentialMovingAverage: the scope of variables before the name of the op."""

    def names(blocks: list[str], number: int) -> tuple[str, ...]:
        scope = "/".join([*blocks, f"bn{number}"])
        kept = [f"{scope_of_op(scope)}/{one}/ExponentialMovingAverage" for one in moments]
        return (*kept, f"{scope}/gamma", f"{scope}/beta")

    return names, lambda blocks, number: "/".join([*blocks, f"bn{number}"])


def _tensorpack(blocks: list[str], number: int) -> tuple[str, ...]:
    scope = "/".join([*blocks, f"bn{number}"])
    return f"{scope}/mean/EMA", f"{scope}/variance/EMA", f"{scope}/gamma", f"{scope}/beta"


def _torch(prefix: str, last: Callable[[int], str]) -> Scheme:
    def scope(blocks: list[str], number: int, name: str) -> str:
        return prefix + ".".join([*blocks, name])

    def names(blocks: list[str], number: int) -> tuple[str, ...]:
        ends = ("running_mean", "running_var", "weight", "bias")
        return tuple(f"{scope(blocks, number, last(number))}.{end}" for end in ends)

    return Scheme(
        names,
        lambda blocks, number: scope(blocks, number, last(number)),
        lambda blocks, number: tuple(
            f"{scope(blocks, number, f'ReLU_BN.fc{number}')}.{end}" for end in ("weight", "bias")
        ),
        (str, lambda name: f"{name}/histogram"),
    )


def _flax(write: Callable[[str, list[str], str], str], joint: str = "/") -> Scheme:
    def names(blocks: list[str], number: int) -> tuple[str, ...]:
        path = [*blocks, f"BatchNorm_{number}"]
        moving = [write("batch_stats", path, end) for end in ("mean", "var")]
        return (*moving, *(write("params", path, end) for end in ("scale", "bias")))

    return Scheme(
        names,
        lambda blocks, number: joint.join([*blocks, f"BatchNorm_{number}"]),
        lambda blocks, number: tuple(
            write("params", [*blocks, f"Dense_{number}"], end) for end in ("kernel", "bias")
        ),
    )


def _haiku(state: str, parameters: str) -> Scheme:
    def layer(blocks: list[str], number: int) -> str:
        return "/".join([*blocks, "~", _numbered("batch_norm", number)])

    def names(blocks: list[str], number: int) -> tuple[str, ...]:
        name = layer(blocks, number)
        moving = [f"{state}{name}/~/{one}_ema/average" for one in ("mean", "var")]
        return (*moving, *(f"{parameters}{name}/{end}" for end in ("scale", "offset")))

    return Scheme(
        names,
        lambda blocks, number: state + layer(blocks, number),
        lambda blocks, number: tuple(
            f"{parameters}{'/'.join([*blocks, _numbered('linear', number)])}/{end}"
            for end in ("w", "b")
        ),
    )


def _joined(ends: tuple[str, ...]) -> Scheme:
    return Scheme(
        lambda blocks, number: tuple(
            "_".join([*blocks, f"batchnorm{number}", end]) for end in ends
        ),
        lambda blocks, number: "_".join([*blocks, f"batchnorm{number}"]),
        lambda blocks, number: tuple(
            "_".join([*blocks, f"dense{number}", end]) for end in ("weight", "bias")
        ),
    )


def _paddle_static(blocks: list[str], number: int) -> tuple[str, ...]:
    return tuple(f"batch_norm2d_{number}.{end}" for end in ("w_1", "w_2", "w_0", "b_0"))


SCHEMES = {
    "tf.layers": Scheme(
        *_library(lambda number: _numbered("batch_normalization", number)), _tf_dense, _TF1_WRITERS
    ),
    "slim": Scheme(*_library(lambda number: f"Conv_{number}/BatchNorm"), _tf_dense, _TF1_WRITERS),
    "tensorpack": Scheme(
        _tensorpack,
        lambda blocks, number: "/".join([*blocks, f"bn{number}"]),
        _tf_dense,
        _TF1_WRITERS,
    ),
    "average of moments": Scheme(
        *_averages(lambda scope: f"{scope}/{scope}/moments", ("Squeeze", "Squeeze_1")),
        _tf_dense,
        _TF1_WRITERS,
    ),
    "average of moments in a name scope": Scheme(
        *_averages(lambda scope: f"{scope}/moments", ("mean", "variance")), _tf_dense, _TF1_WRITERS
    ),
    "average of moments in a condition": Scheme(
        *_averages(lambda scope: f"{scope}/{scope}/cond_1/moments", ("Squeeze", "Squeeze_1")),
        _tf_dense,
        _TF1_WRITERS,
    ),
    "average of moments in a scope entered again": Scheme(
        *_averages(lambda scope: f"{scope}/{scope}_1/moments_1", ("Squeeze", "Squeeze_1")),
        _tf_dense,
        _TF1_WRITERS,
    ),
    "average of moments in a tower": Scheme(
        *_averages(lambda scope: f"{scope}/tower_0/{scope}/moments", ("mean", "variance")),
        _tf_dense,
        _TF1_WRITERS,
    ),
    "Keras 2": Scheme(
        *_library(lambda number: _numbered("batch_normalization", number)),
        _tf_dense,
        (lambda name: f"{name}_0", lambda name: f"{name}_0/histogram"),
    ),
    "Keras 3": Scheme(
        *_library(lambda number: f"bn{number}"), _tf_dense, (lambda name: f"{name}/histogram",)
    ),
    "PyTorch": _torch("", lambda number: f"bn{number}"),
    "PyTorch, Sequential": _torch("", lambda number: f"norm.{number}"),
    "PyTorch, ModuleList": _torch("", lambda number: f"bns.{number}"),
    "PyTorch, DistributedDataParallel": _torch("module.", lambda number: f"bn{number}"),
    "PyTorch, compiled": _torch("_orig_mod.", lambda number: f"bn{number}"),
    "PyTorch, both": _torch("module._orig_mod.", lambda number: f"conv{number}_bn"),
    "Flax, paths": _flax(lambda tree, path, end: "/".join([tree, *path, end])),
    "Flax, keystr": _flax(
        lambda tree, path, end: "".join(f"['{part}']" for part in [tree, *path, end])
    ),
    "Flax, keystr of a state": _flax(
        lambda tree, path, end: f".{tree}" + "".join(f"['{part}']" for part in [*path, end])
    ),
    "Flax, dots": _flax(lambda tree, path, end: "/".join([tree, ".".join(path), end]), "."),
    "Flax, no trees": _flax(lambda tree, path, end: "/".join([*path, end])),
    "Flax, NNX": _flax(lambda tree, path, end: "/".join([*path, end, "value"])),
    "Haiku": _haiku("", ""),
    "Haiku, two trees": _haiku("state/", "params/"),
    "Haiku, state apart": _haiku("state/", ""),
    "MXNet": _joined(("running_mean", "running_var", "gamma", "beta")),
    "MXNet, symbols": _joined(("moving_mean", "moving_var", "gamma", "beta")),
    "Keras 1": _joined(("running_mean", "running_std", "gamma", "beta")),
    "Paddle": Scheme(
        _paddle_static,
        lambda blocks, number: f"batch_norm2d_{number}",
        lambda blocks, number: (f"linear_{number}.w_0", f"linear_{number}.b_0"),
    ),
}


def _series(rng: np.random.Generator, channels: int, around: float):
    return histogram([0, 10, 20], around + rng.uniform(0.1, 1, (3, channels)))


def _drawn(scheme: Scheme, seed: int, statistics: bool = True):
    """Returns the histograms of a network, and the names of its batch-norm layers."""
    rng = np.random.default_rng(seed)
    write = scheme.writers[rng.integers(len(scheme.writers))]
    logged, layers = {}, []
    for number in range(rng.integers(1, 6)):
        blocks = [f"block{rng.integers(3)}" for _ in range(rng.integers(0, 3))]
        names = scheme.batch_norm(blocks, number)[0 if statistics else 2 :]
        logged.update({write(name): _series(rng, 8, 1.0) for name in names})
        layers.append(_as_written(write, names[0], scheme.layer(blocks, number)))
        kernel, bias = scheme.dense(blocks, number)
        logged.update({write(kernel): _series(rng, 32, 0.0), write(bias): _series(rng, 4, 0.0)})
    order = rng.permutation(list(logged))
    return {tag: logged[tag] for tag in order}, sorted(layers)


def _as_written(write: Callable[[str], str], name: str, layer: str) -> str:
    """Returns a layer's name with what the writer puts before names."""
    written = write(name)
    return written[: written.index(name)] + layer


@pytest.mark.parametrize("seed", range(NETWORKS))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_batch_norm_is_one_layer_with_its_weights(scheme, seed):
    logged, expected = _drawn(SCHEMES[scheme], seed)
    found = find_layers(run(logged))
    assert sorted(layer.name for layer in found) == expected
    assert {layer.motion for layer in found} == {Motion.MOVING}
    for layer in found:
        assert [role for role, _ in layer.statistics] == [Role.MOVING_MEAN, Role.MOVING_VARIANCE]
        assert len(layer.weights) == 2


NAMELESS = {"PyTorch, Sequential"}  # nothing says that `norm.0` is batch norm


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - NAMELESS))
def test_layers_are_named_alike_where_only_their_weights_are_logged(scheme, seed):
    logged, expected = _drawn(SCHEMES[scheme], seed, statistics=False)
    found = find_layers(run(logged))
    names = sorted(layer.name for layer in found)
    assert names == [name.removeprefix("state/") for name in expected] or names == [
        f"params/{name.removeprefix('state/')}" for name in expected
    ]
    assert {layer.motion for layer in found} == {Motion.NOT_LOGGED}


@pytest.mark.parametrize(
    ("ends", "framework"),
    [
        (("scale", "bias"), Framework.JAX),
        (("weight", "bias"), Framework.UNKNOWN),
        (("gamma", "beta"), Framework.UNKNOWN),
    ],
)
def test_the_weights_of_batch_norm_tell_flax(ends, framework):
    rng = np.random.default_rng(0)
    (found,) = find_layers(run({f"BatchNorm_0/{end}": _series(rng, 8, 1.0) for end in ends}))
    assert found.framework is framework
