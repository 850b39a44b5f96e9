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
    REPLICA = "statistic of one replica"
    RENORM = "average that batch renormalisation trains with"


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
    Role.RENORM: {"tf.layers, tf_keras": ("renorm_mean", "renorm_stddev")},
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

_AVERAGES = {
    ("mean", "ema"): (Role.MOVING_MEAN, "tensorpack: mean/EMA"),
    ("variance", "ema"): (Role.MOVING_VARIANCE, "tensorpack: variance/EMA"),
    ("mean_ema", "average"): (Role.MOVING_MEAN, "Haiku: average"),
    ("var_ema", "average"): (Role.MOVING_VARIANCE, "Haiku: average"),
    ("mean_ema", "counter"): (Role.UPDATE_COUNT, "Haiku: counter"),
    ("moving_mean", "average"): (Role.MOVING_MEAN, "Sonnet: average"),
    ("moving_variance", "average"): (Role.MOVING_VARIANCE, "Sonnet: average"),
    ("moving_mean", "counter"): (Role.UPDATE_COUNT, "Sonnet: counter"),
}
"""The last two parts of a name, in small letters."""

# tf.train.ExponentialMovingAverage names the average of a tensor after the op that made it: those
# of tf.nn.moments in several releases, and names that people give the tensors.
_AVERAGE = "ExponentialMovingAverage"
_MOMENTS = {
    **dict.fromkeys(("mean", "Squeeze", "batch_mean"), Role.MOVING_MEAN),
    **dict.fromkeys(("variance", "Squeeze_1", "batch_variance", "batch_var"), Role.MOVING_VARIANCE),
}
_AROUND_MOMENTS = re.compile(r"(?:\w*_)?moments|normalize|(?:smart_)?cond")  # scopes inside a layer
_TOWER = re.compile(r"(?:tower|clone|replica|gpu|device)_?\d+", re.IGNORECASE)
_DEEPEST = 32  # scopes in scopes; networks have up to ten

_JOINED = {
    **dict.fromkeys(("moving_mean", "running_mean", "rm"), Role.MOVING_MEAN),
    **dict.fromkeys(
        ("moving_var", "running_var", "moving_variance", "running_variance", "running_std", "riv"),
        Role.MOVING_VARIANCE,
    ),
    "gamma": Role.GAMMA,
    "beta": Role.BETA,
}
"""What MXNet, Keras 1 (whose `running_std` is a variance) and Caffe2 join to a layer's name by `_`:
`batchnorm0_running_mean`, `conv1_bn_rm`."""
_PADDLE = {
    "w_0": (Role.GAMMA, "Paddle: w_0"),
    "b_0": (Role.BETA, "Paddle: b_0"),
    "w_1": (Role.MOVING_MEAN, "Paddle: w_1"),
    "w_2": (Role.MOVING_VARIANCE, "Paddle: w_2"),
}
"""Paddle numbers the parameters of a layer: `batch_norm2d_0.w_1`."""
_BATCH_NORM = re.compile(r"bn|batch_?norm", re.IGNORECASE)

# What writers append: Keras callbacks and variable_summaries of the TensorFlow tutorial, then
# the output number of a variable's name, then `_0` (`moving_mean:0` made legal) or `_1` (TF1 makes
# a summary's name unique).
_HISTOGRAM = re.compile(r"(?:/summaries)?/hist(?:ogram)?(?:_\d+)?$", re.IGNORECASE)
_REPLICA = re.compile(r"/replica_\d+$")  # tf.distribute: a variable's copy on one device
_OUTPUT = re.compile(r":\d+$")
_UNIQUE = re.compile(r"_\d+$")
_TREE_KEY = re.compile(r"\[['\"]?([^'\"\[\]]+)['\"]?\]")  # jax.tree_util.keystr: ['bn']['mean']
_CLEANED_KEY = re.compile(r"__(?!_)(.+?)__(?=__|\.|$)")
"""The same after tensorboardX has put `_` in place of what it finds illegal: `__bn____mean__`."""
_NNX_VALUE = re.compile(r"[/.]+value$")  # Flax NNX: the leaf of a variable

_FLAX_COLLECTION = re.compile(r"(?:^|(?<=[/.]))(?:batch_stats|params)[/.]")
_FLAX_MODULE = re.compile(r"BatchNorm_\d+")  # Linen numbers the modules that have no name
_FLAX_ENDS = {"mean": Role.MOVING_MEAN, "var": Role.MOVING_VARIANCE}

# Observation and reward normalisers of reinforcement learning keep a cumulative mean, no average
# that a network normalises with in evaluation; gradients and optimizer slots are no weights.
_NORMALISER = re.compile(r"running_mean_std|(?:obs|ret|rew(?:ard)?|state)_(?:rms|normali[sz]er)")
_NOT_A_WEIGHT = re.compile(
    r"(?:^|[/._])(?:grad(?:ient)?s?|optimi[sz]er|opt_state|adam\w*|rmsprop|momentum|activations?)[/._]"
)
_NOT_A_VALUE = re.compile(r"(?:^|[/.])(?:grad(?:ient)?s?|update_(?:ratio|size)s?)[/.]")
"""Scopes in which people log what a variable did, not what it holds."""


LONGEST_NAME = 1024
"""Characters of a name that is looked at; deep networks have up to 300."""


def parse_tag(tag: str, patterns: TagPatterns = TagPatterns()) -> ParsedTag | None:
    """Returns how a histogram or scalar tag is understood, or None for tags of no interest.

    Args:
      tag: A summary tag or a variable's name, as written.
      patterns: Additional names, tried first.
    """
    if len(tag) > LONGEST_NAME:
        return None
    taught = _taught(tag, patterns) if patterns.mean or patterns.variance else None
    return taught or _known(tag)


@functools.lru_cache(1 << 16)  # the tags of one run, looked at by reader, layers, clock and rules
def _known(tag: str) -> ParsedTag | None:
    name = _OUTPUT.sub("", _HISTOGRAM.sub("", tag))
    if "[" in name or "__" in name:
        name = _TREE_KEY.sub(r"/\1", _CLEANED_KEY.sub(r"/\1", name)).lstrip("/.")
    leaf = _NNX_VALUE.sub("", name)
    shared = _REPLICA.sub("", leaf)
    found = _statistic_or_weight(shared) or _of_flax(shared, leaf != name)
    if found is None:
        return None
    layer, role, reason = found
    if shared != leaf:
        return ParsedTag(tag, layer, Role.REPLICA, reason) if role in STATISTICS else None
    if _NORMALISER.search(name.lower()):
        return None
    if _NOT_A_VALUE.search(name.lower()):
        return None
    if role not in STATISTICS and _NOT_A_WEIGHT.search(name.lower()):
        return None
    layer = _FLAX_COLLECTION.sub("", layer + "/").rstrip("/.")
    # Haiku puts `~` between a module and its inner averages: `bn/~/mean_ema` belongs to `bn`.
    return ParsedTag(tag, layer.removesuffix("/~").removesuffix("/_"), role, reason)


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
    if last.lower() in _PADDLE and name.endswith(f".{last}") and _BATCH_NORM.search(layer):
        return layer, *_PADDLE[last.lower()]
    stem = _UNIQUE.sub("", last)
    known = last.lower() if last.lower() in _BY_NAME else stem.lower()
    if known in _BY_NAME:
        # A summary named like the scope it is in: moving_mean/moving_mean.
        parent, scope = _split(layer)
        return (parent if scope.lower() == known else layer, *_BY_NAME[known])
    return _average(layer, stem) or _joined(layer, stem)


def _of_flax(name: str, is_variable: bool) -> tuple[str, Role, str] | None:
    """Understands `mean` and `var`, which alone may as well be those of activations.

    They are in the collection `batch_stats`, in a module that Flax named, `BatchNorm_0`, or a leaf
    of a variable of NNX in a module of batch norm.
    """
    layer, last = _split(name)
    last = _UNIQUE.sub("", last).lower()
    module = _split(layer)[1]
    ours = _FLAX_MODULE.fullmatch(module) or (is_variable and _BATCH_NORM.search(module))
    if last not in _FLAX_ENDS or not (ours or "batch_stats" in name):
        return None
    return layer, _FLAX_ENDS[last], f"Flax: batch_stats {last}"


def _average(layer: str, last: str) -> tuple[str, Role, str] | None:
    """Understands averages that are named after what they average."""
    scope, averaged = _split(layer)
    if found := _AVERAGES.get((averaged.lower(), last.lower())):
        return scope, *found
    if last != _AVERAGE or averaged not in _MOMENTS or (averaged[0] == "S" and not scope):
        return None
    reason = "tf.train.ExponentialMovingAverage of tf.nn.moments"
    return _layer_around(scope), _MOMENTS[averaged], reason


def _layer_around(scope: str) -> str:
    """Returns the layer of a scope in which tf.nn.moments made a tensor.

    Scopes of the moments and of conditions stand at the end. A variable has the scope of variables
    before the name of the op: `net/bn/net/bn` is `net/bn`. A scope that is entered again is made
    unique, as in `bn/bn_1`, and a tower's name may stand between.
    """
    parts = scope.split("/")
    while parts and _AROUND_MOMENTS.fullmatch(_UNIQUE.sub("", parts[-1])):
        parts.pop()
    for size in range(min(len(parts) // 2, _DEEPEST), 0, -1):
        before = len(parts) - size
        between = before > size and bool(_TOWER.fullmatch(parts[before - 1]))
        for end in (size, before - between):  # from the start, or right before: ModelVars/bn/bn
            pairs = zip(parts[end - size : end], parts[-size:], strict=True)
            if all(own in (op, _UNIQUE.sub("", op)) for own, op in pairs):
                return "/".join(parts[:end])
    return "/".join(parts)


def _joined(layer: str, last: str) -> tuple[str, Role, str] | None:
    """Understands `batchnorm0_running_mean`."""
    for cut in (last.rfind("_"), last.rfind("_", 0, max(last.rfind("_"), 0))):
        role = _JOINED.get(last[cut + 1 :].lower())
        if cut > 0 and role and _BATCH_NORM.search(last[:cut]):
            return f"{layer}/{last[:cut]}".lstrip("/"), role, "MXNet: joined with _"
    return None


def _split(name: str) -> tuple[str, str]:
    """Returns what stands before the last `/` or `.`, and what stands after it."""
    cut = max(name.rfind("/"), name.rfind("."))
    return (name[:cut], name[cut + 1 :]) if cut >= 0 else ("", name)
