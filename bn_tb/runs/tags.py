"""The names under which statistics and weights are logged; only this file knows them.

A name alone never makes a layer: a moving mean needs its variance, a gamma, or the graph beside
it (see `layers`). The names are those met in public event files and logging code.
"""

import dataclasses
import enum
import functools
import re


class Role(enum.Enum):
    """What a tag stands for in its layer."""

    MOVING_MEAN = "moving_mean"
    MOVING_VARIANCE = "moving_variance"
    GAMMA = "gamma"
    BETA = "beta"
    WEIGHT = "weight"
    UPDATE_COUNT = "update_count"
    TRAINING_PASSES = "training_passes"
    EVALUATION_PASSES = "evaluation_passes"
    MOMENTUM = "momentum"


STATISTICS = (Role.MOVING_MEAN, Role.MOVING_VARIANCE)
COUNTERS = (Role.UPDATE_COUNT, Role.TRAINING_PASSES, Role.EVALUATION_PASSES, Role.MOMENTUM)
"""What is logged of a layer beside its values: updates of its statistics, forward passes by mode,
and the weight of the old value per update."""


@dataclasses.dataclass(frozen=True)
class ParsedTag:
    """How a tag was understood.

    Attributes:
      tag: The tag as written.
      layer: The layer's name: the tag without role and writer suffixes; may be empty.
      role: What the tag stands for.
      reason: The pattern that matched, for `--show_tags`.
    """

    tag: str
    layer: str
    role: Role
    reason: str


@dataclasses.dataclass(frozen=True)
class TagPatterns:
    """Additional names for statistics, taught by the user.

    Attributes:
      mean: Regular expressions searched in the tag; group 1, if any, is the layer.
      variance: The same for moving variances.
    """

    mean: tuple[re.Pattern[str], ...] = ()
    variance: tuple[re.Pattern[str], ...] = ()


_NAMES: dict[Role, dict[str, tuple[str, ...]]] = {
    Role.MOVING_MEAN: {
        "Keras, TensorFlow": ("moving_mean",),
        "PyTorch, MLX": ("running_mean", "bn_running_mean"),
        "Chainer": ("avg_mean",),
        "Paddle": ("_mean",),
        "hand-written": ("pop_mean", "population_mean"),
    },
    Role.MOVING_VARIANCE: {
        "Keras, TensorFlow": ("moving_variance", "moving_var"),
        "PyTorch, MLX": ("running_var", "running_variance", "bn_running_var"),
        "Chainer": ("avg_var",),
        "Paddle": ("_variance",),
        "hand-written": ("pop_var", "pop_variance", "population_variance"),
    },
    Role.UPDATE_COUNT: {
        "PyTorch": ("num_batches_tracked",),
        "bn_tb.monitor": ("statistics_updates",),
    },
    Role.TRAINING_PASSES: {"bn_tb.monitor": ("training_passes",)},
    Role.EVALUATION_PASSES: {"bn_tb.monitor": ("evaluation_passes",)},
    Role.MOMENTUM: {"bn_tb.monitor": ("statistics_momentum",)},
    Role.GAMMA: {"scale of the layer": ("gamma",)},
    Role.BETA: {"offset of the layer": ("beta",)},
    Role.WEIGHT: {
        "trainable variable": (
            *("kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel"),
            *("weight", "weights", "w", "bias", "biases", "b", "embedding", "embeddings"),
            *("scale", "offset"),
        )
    },
}
_BY_NAME = {
    name: (role, f"{reason}: {name}")
    for role, reasons in _NAMES.items()
    for reason, names in reasons.items()
    for name in names
}

_MOMENTS = r"(?:moments(?:_\d+)?/)*(?:normalize/)?"  # tf.nn.moments of several releases
_BY_PATH = tuple(
    (role, reason, re.compile(f"(?:^|(?<=[/.])){path}$", re.IGNORECASE))
    for role, reason, path in (
        (Role.MOVING_MEAN, "tensorpack: mean/EMA", "mean/EMA"),
        (Role.MOVING_VARIANCE, "tensorpack: variance/EMA", "variance/EMA"),
        (
            Role.MOVING_MEAN,
            "tf.train.ExponentialMovingAverage of tf.nn.moments",
            _MOMENTS + r"(?:mean|(?<=/)Squeeze)/ExponentialMovingAverage",
        ),
        (
            Role.MOVING_VARIANCE,
            "tf.train.ExponentialMovingAverage of tf.nn.moments",
            _MOMENTS + r"(?:variance|(?<=/)Squeeze_1)/ExponentialMovingAverage",
        ),
        (Role.MOVING_MEAN, "Haiku, Sonnet: average", "(?:mean_ema|moving_mean)[/.]average"),
        (Role.MOVING_VARIANCE, "Haiku, Sonnet: average", "(?:var_ema|moving_variance)[/.]average"),
        (Role.UPDATE_COUNT, "Haiku, Sonnet: counter", "(?:mean_ema|moving_mean)[/.]counter"),
    )
)
_PATH_ENDS = ("ema", "exponentialmovingaverage", "average", "counter")

# What writers append: Keras callbacks and variable_summaries of the TensorFlow tutorial, then
# the output number of a variable's name, then `_0` (`moving_mean:0` made legal) or `_1` (TF1 makes
# a summary's name unique).
_HISTOGRAM = re.compile(r"(?:/summaries)?/hist(?:ogram)?(?:_\d+)?$", re.IGNORECASE)
_OUTPUT = re.compile(r":\d+$")
_UNIQUE = re.compile(r"_\d+$")
_TREE_KEY = re.compile(r"\[['\"]?([^'\"\]]+)['\"]?\]")  # jax.tree_util.keystr: ['bn']['mean']
# MXNet joins with "_": batchnorm0_running_mean.
_MXNET = re.compile(
    r"^(?P<layer>.*(?:bn|batch_?norm)\d*)_(?:moving|running)_(?P<stat>mean|var)$", re.IGNORECASE
)

_FLAX_COLLECTION = re.compile(r"(?:^|(?<=[/.]))(?:batch_stats|params)[/.]")
_FLAX_ENDS = {"mean": Role.MOVING_MEAN, "var": Role.MOVING_VARIANCE}

# Observation and reward normalisers of reinforcement learning keep a cumulative mean, no average
# that a network normalises with in evaluation; gradients and optimizer slots are no weights.
_NORMALISER = re.compile(r"running_mean_std|(?:obs|ret|rew(?:ard)?|state)_(?:rms|normali[sz]er)")
_NOT_A_WEIGHT = re.compile(
    r"(?:^|[/._])(?:grad(?:ient)?s?|optimi[sz]er|opt_state|adam\w*|rmsprop|momentum|activations?)[/._]"
)


def parse_tag(tag: str, patterns: TagPatterns = TagPatterns()) -> ParsedTag | None:
    """Returns how a histogram or scalar tag is understood, or None for tags of no interest.

    Args:
      tag: A summary tag or a variable's name, as written.
      patterns: Additional names, tried first.
    """
    return _taught(tag, patterns) or _known(tag)


@functools.lru_cache(1 << 16)  # the tags of one run, looked at by reader, layers, clock and rules
def _known(tag: str) -> ParsedTag | None:
    name = _OUTPUT.sub("", _HISTOGRAM.sub("", tag))
    if "[" in name:
        name = _TREE_KEY.sub(r"/\1", name).lstrip("/")
    found = _statistic_or_weight(name)
    if found is None:
        return None
    layer, role, reason = found
    if _NORMALISER.search(name.lower()):
        return None
    if role not in STATISTICS and _NOT_A_WEIGHT.search(name.lower()):
        return None
    layer = _FLAX_COLLECTION.sub("", layer + "/").rstrip("/.")
    # Haiku puts `~` between a module and its inner averages: `bn/~/mean_ema` belongs to `bn`.
    return ParsedTag(tag, layer.removesuffix("/~"), role, reason)


def _taught(tag: str, patterns: TagPatterns) -> ParsedTag | None:
    for role, regexes in zip(STATISTICS, (patterns.mean, patterns.variance), strict=True):
        for regex in regexes:
            match = regex.search(tag)
            if match:
                layer = match[1] if regex.groups else tag[: match.start()] + tag[match.end() :]
                return ParsedTag(tag, (layer or "").strip("/."), role, f"taught: {regex.pattern}")
    return None


def _statistic_or_weight(name: str) -> tuple[str, Role, str] | None:
    layer, last = _split(name)
    known = last.lower() if last.lower() in _BY_NAME else _UNIQUE.sub("", last).lower()
    if known in _BY_NAME:
        # A summary named like the scope it is in: moving_mean/moving_mean.
        parent, scope = _split(layer)
        return (parent if scope.lower() == known else layer, *_BY_NAME[known])
    if last.lower() in _PATH_ENDS:
        for role, reason, path in _BY_PATH:
            match = path.search(name)
            if match:
                return name[: match.start()].rstrip("/."), role, reason
    if last.lower() in _FLAX_ENDS and "batch_stats" in name:
        return layer, _FLAX_ENDS[last.lower()], f"Flax: batch_stats {last}"
    mxnet = _MXNET.match(name)
    if mxnet:
        role = _FLAX_ENDS[mxnet["stat"].lower()]
        return mxnet["layer"], role, "MXNet: joined with _"
    return None


def _split(name: str) -> tuple[str, str]:
    """Returns what stands before the last `/` or `.`, and what stands after it."""
    cut = max(name.rfind("/"), name.rfind("."))
    return (name[:cut], name[cut + 1 :]) if cut >= 0 else ("", name)
