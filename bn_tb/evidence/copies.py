"""Which layers belong to a copy of the network: an average, a teacher, a target, a server's model.

A copy may be where names say so: a whole second model under a name of its own (`ema.` before each
name of the model, or `student.` and `teacher.` before the same names), a component that says so
(`ema`, `teacher` ...) anywhere before the same ending, or the same layers in another run of the
experiment. It is one where its weights follow those of the original (see `following`): networks
that are trained side by side are none. Where no weights tell, only a name that says so counts.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bn_tb.evidence.activity import TRAINED_ROLES
from bn_tb.evidence.following import follows
from bn_tb.layers import BatchNormLayer, trajectory
from bn_tb.runs.experiment import experiment_of
from bn_tb.runs.run import Run
from bn_tb.runs.series import HistogramSeries
from bn_tb.runs.tags import parse_tag

_SAY_COPY = frozenset(("ema", "teacher", "target", "averaged", "swa", "shadow", "polyak"))
"""Words that stand for copies only."""
_JOINED = re.compile(rf"(?<![a-z\d])(?:{'|'.join(sorted(_SAY_COPY))})_")
"""What Keras layers are called by: `target_critic/target_critic_bn1`."""
_RUN_OF_COPY = _SAY_COPY - {"target", "shadow"}  # of which a run may tell its data
_COPY_WORDS = _SAY_COPY | frozenset(("average", "avg", "momentum", "slow", "key", "k", "server"))
_SPLIT = re.compile(r"[/.]")
_WORD = re.compile(r"[a-z]+")
_WRAPPERS = ("module", "model", "net", "network")
_MOST_WEIGHTS = 64  # that are compared; a copy is made of all weights in one way
_FEWEST = 2  # layers of a copy whose name does not say so; one may be called alike by chance


@dataclasses.dataclass(frozen=True)
class Copy:
    """A layer of a copy.

    Attributes:
      original: The layer that it is a copy of.
      model: The component of its name that names the copy; empty in a run of its own.
      named: Whether that component, or the name of the run, says that it is a copy.
      shown: Whether its weights follow those of the original.
      run: The run of the original, if it is another one.
    """

    original: BatchNormLayer
    model: str
    named: bool
    shown: bool = False
    run: str = ""


_Parts = tuple[str, ...]
_Weights = Mapping[_Parts, HistogramSeries]


def copies_of(
    layers: Sequence[BatchNormLayer], histograms: Mapping[str, HistogramSeries]
) -> Mapping[str, Copy]:
    """Returns the layers that belong to copies, by name.

    Args:
      layers: All layers of a run.
      histograms: All of its histograms: a copy has all weights of its original.
    """
    found = {**dict(_by_whole_models(layers, histograms)), **dict(_by_words(layers))}
    weights = _weights(histograms) if found else {}
    follow: dict[tuple[_Parts, _Parts], bool | None] = {}
    copies = {}
    assigned = {layer.name for layer in layers if layer.wiring is not None and layer.wiring.copied}
    for name, copy in found.items():
        prefixes = _apart(_parts(name), _parts(copy.original.name))
        if prefixes not in follow:
            follow[prefixes] = follows(_pairs(weights, *prefixes))
        shown = follow[prefixes] or name in assigned
        if shown or (follow[prefixes] is None and copy.named):
            copies[name] = dataclasses.replace(copy, shown=shown)
    return copies


def copies_beside(
    run: Run, layers: Sequence[BatchNormLayer], other: Run, originals: Sequence[BatchNormLayer]
) -> Mapping[str, Copy]:
    """Returns the layers of a run that are copies of those of another run of its experiment.

    The runs of a training and of its evaluation may log the same network: no copy. Unless its name
    says so, a copy is behind its original.

    Args:
      run: The run.
      layers: Its layers.
      other: The run that may hold the originals.
      originals: Its layers.
    """
    by_name = {layer.name: layer for layer in originals if layer.statistics}
    own = [layer for layer in layers if layer.name in by_name and layer.statistics]
    if not own:
        return {}
    named = _says_copy(run) and not _says_copy(other)
    weights, theirs = _weights(run.histograms), _weights(other.histograms)
    pairs = [(weights[tag], theirs[tag]) for tag in weights if tag in theirs]
    follow = follows(pairs[:_MOST_WEIGHTS])
    behind = follow and not follows([(there, here) for here, there in pairs[:_MOST_WEIGHTS]])
    if not behind and (not named or follow is False):
        return {}
    return {
        layer.name: Copy(by_name[layer.name], "", named, bool(follow), other.name) for layer in own
    }


def is_called_copy(run: Run, layer: BatchNormLayer, others: Iterable[BatchNormLayer]) -> bool:
    """Returns whether names alone say that a layer belongs to a copy, and nothing tells more.

    Args:
      run: Its run.
      layer: A layer that is not among the copies that were found.
      others: All layers of the experiment; an original among them was looked at.
    """
    copied = _copy_of(layer.name, _SAY_COPY)
    if copied is not None:
        return not any(copied[1] in _endings(one.name) for one in others if one is not layer)
    same = any(one.name == layer.name for one in others if one is not layer)
    last = run.name.lower().rpartition("/")[2]
    said = not _RUN_OF_COPY.isdisjoint(_WORD.findall(last)) or _says_copy(run)
    return said and not same


def _says_copy(run: Run) -> bool:
    """Returns whether the part of the experiment that a run is says that it is a copy."""
    return not _COPY_WORDS.isdisjoint(_WORD.findall(experiment_of(run.name)[1].lower()))


def _weights(histograms: Mapping[str, HistogramSeries]) -> _Weights:
    """Returns what training changes, by the parts of its tag."""
    return {
        tuple(_parts(tag)): trajectory.as_shown(series)
        for tag, series in histograms.items()
        if (parsed := parse_tag(tag)) is not None and parsed.role in TRAINED_ROLES
    }


def _apart(one: Sequence[str], other: Sequence[str]) -> tuple[_Parts, _Parts]:
    """Returns what stands before the ending that two names have in common."""
    same = 0
    while same < min(len(one), len(other)) and one[-1 - same] == other[-1 - same]:
        same += 1
    return tuple(one[: len(one) - same]), tuple(other[: len(other) - same])


def _pairs(
    weights: _Weights, copied: _Parts, original: _Parts
) -> Iterator[tuple[HistogramSeries, HistogramSeries]]:
    """Yields weights with what the copy's names begin with, each with that of the original."""
    left = _MOST_WEIGHTS
    for name, series in weights.items():
        there = weights.get(original + name[len(copied) :])
        if left and name[: len(copied)] == copied and there is not None and there is not series:
            left -= 1
            yield series, there


def _by_words(layers: Sequence[BatchNormLayer]) -> Iterator[tuple[str, Copy]]:
    originals: dict[str, BatchNormLayer] = {}
    for layer in layers:
        if _copy_of(layer.name) is None:
            originals.update(dict.fromkeys(_endings(layer.name), layer))
    for layer in layers:
        copied = _copy_of(layer.name)
        if copied is not None and copied[1] in originals:
            yield layer.name, Copy(originals[copied[1]], copied[0], True)
    whole = {".".join(_parts(layer.name)): layer for layer in layers}
    for name, layer in whole.items():
        plain = _JOINED.sub("", name)
        if plain != name and plain in whole:
            yield layer.name, Copy(whole[plain], name.partition(".")[0], True)


def _by_whole_models(
    layers: Sequence[BatchNormLayer], tags: Iterable[str]
) -> Iterator[tuple[str, Copy]]:
    """Yields the layers of models whose every layer and weight has a twin in another model."""
    by_name = {".".join(_parts(layer.name)): layer for layer in layers}
    weights = (parsed.layer for tag in tags if (parsed := parse_tag(tag)) is not None)
    names = {*by_name, *(".".join(_parts(name)) for name in weights)} - {""}
    models = _models(names)
    for model, twin in _twins(models, names):
        own = {name for name in by_name if name.startswith(f"{model}.")}
        if len(own) < _FEWEST:
            continue
        for name in own:
            other = f"{twin}{name[len(model) + 1 :]}"
            if other in by_name:
                yield by_name[name].name, Copy(by_name[other], model, False)


def _models(names: Iterable[str]) -> dict[str, set[str]]:
    """Returns what follows the first component of names, by that component."""
    models: dict[str, set[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        if rest:
            models.setdefault(first, set()).add(rest)
    return models


def _twins(models: Mapping[str, set[str]], names: set[str]) -> Iterator[tuple[str, str]]:
    """Yields (model, what stands before the names of its twin), where all names have a twin."""
    for model, own in models.items():
        rest = {name for name in names if not name.startswith(f"{model}.")}
        if own == rest:
            yield model, ""
        for other, theirs in models.items():
            whole = len(own) + len(theirs) == len(names)
            if other != model and own == theirs and whole:
                yield model, f"{other}."


def _parts(name: str) -> list[str]:
    return [part for part in _SPLIT.split(name.lower()) if part]


def _copy_of(name: str, words: frozenset[str] = _COPY_WORDS) -> tuple[str, str] | None:
    """Returns the component that names a copy and what follows it, or None."""
    parts = _parts(name)
    for at, part in enumerate(parts[:-1]):
        if words.intersection(_WORD.findall(part)):
            rest = parts[at + 1 :]
            while len(rest) > 1 and rest[0] in _WRAPPERS:
                rest = rest[1:]
            return part, ".".join(rest)
    return None


def _endings(name: str) -> Iterator[str]:
    parts = _parts(name)
    return (".".join(parts[at:]) for at in range(len(parts)))
