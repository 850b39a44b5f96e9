"""Which layers belong to a copy of the network: an average, a teacher, a target, a server's model.

A copy is recognised by its names: a whole second model under a name of its own (`ema.` before each
name of the model, or `student.` and `teacher.` before the same names), or a component that says so
(`ema`, `teacher` ...) anywhere before the same ending.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bn_tb.layers import BatchNormLayer
from bn_tb.runs.tags import parse_tag

_COPY_WORDS = frozenset(
    (
        *("ema", "teacher", "target", "average", "averaged", "avg", "swa", "shadow", "momentum"),
        *("slow", "polyak", "key", "k", "server"),
    )
)
_SPLIT = re.compile(r"[/.]")
_WORD = re.compile(r"[a-z]+")
_WRAPPERS = ("module", "model", "net", "network")
_FEWEST = 2  # layers of a copy whose name does not say so; one may be called alike by chance


@dataclasses.dataclass(frozen=True)
class Copy:
    """A layer of a copy.

    Attributes:
      original: The layer that it is a copy of.
      model: The component of its name that names the copy.
      named: Whether that component says that it is a copy.
    """

    original: BatchNormLayer
    model: str
    named: bool


def copies_of(layers: Sequence[BatchNormLayer], tags: Iterable[str] = ()) -> Mapping[str, Copy]:
    """Returns the layers that belong to copies, by name.

    Args:
      layers: All layers of a run.
      tags: All tags of its histograms: a copy has all weights of its original.
    """
    found = dict(_by_words(layers))
    for name, copy in _by_whole_models(layers, tags):
        found.setdefault(name, copy)
    return found


def _by_words(layers: Sequence[BatchNormLayer]) -> Iterator[tuple[str, Copy]]:
    originals: dict[str, BatchNormLayer] = {}
    for layer in layers:
        if _copy_of(layer.name) is None:
            originals.update(dict.fromkeys(_endings(layer.name), layer))
    for layer in layers:
        copied = _copy_of(layer.name)
        if copied is not None and copied[1] in originals:
            yield layer.name, Copy(originals[copied[1]], copied[0], True)


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


def _copy_of(name: str) -> tuple[str, str] | None:
    """Returns the component that names a copy and what follows it, or None."""
    parts = _parts(name)
    for at, part in enumerate(parts[:-1]):
        if _COPY_WORDS.intersection(_WORD.findall(part)):
            rest = parts[at + 1 :]
            while len(rest) > 1 and rest[0] in _WRAPPERS:
                rest = rest[1:]
            return part, ".".join(rest)
    return None


def _endings(name: str) -> Iterator[str]:
    parts = _parts(name)
    return (".".join(parts[at:]) for at in range(len(parts)))
