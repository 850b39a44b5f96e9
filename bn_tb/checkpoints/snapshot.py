"""What is read of one checkpoint: statistics, gammas, betas and counters, and a few weights."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import numpy as np

from bn_tb.checkpoints.contents import CheckpointError, Contents, Stored
from bn_tb.checkpoints.moments import Moments, moments_of
from bn_tb.runs.tags import COUNTERS, STATISTICS, ParsedTag, Role, TagPatterns, parse_tag

MOST_CHANNELS = 1 << 17
"""Elements of a tensor of one value a channel; real layers have some thousand."""

MOST_BYTES = 1 << 26
"""Bytes of values that are read of one checkpoint; a large network has one million."""

_WEIGHTS = 8  # weights of other layers that are looked at, to see whether they change
_HEAD = 1 << 10  # elements that are looked at of each


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One checkpoint.

    Attributes:
      tags: Names of the tensors that were read.
      shapes: Their shapes.
      moments: Their moments, in the same order; of weights those of their first elements.
      counts: Updates of the statistics that layers counted themselves, by tag.
      numbers: Scalars that may say how far the training was, by name.
      optimizer_steps: Most steps that an optimizer made for any parameter, or None.
      graphs: Kind and bytes of graphs and configurations inside.
      names: Names of all tensors.
      format: Name of the format for people.
      remark: What could not be read, in one line, or an empty string.
    """

    tags: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    moments: Moments
    counts: Mapping[str, float]
    numbers: Mapping[str, float]
    optimizer_steps: int | None
    graphs: tuple[tuple[str, bytes], ...]
    names: tuple[str, ...]
    format: str
    remark: str = ""

    @property
    def has_statistics(self) -> bool:
        """Whether any moving statistic was read."""
        return any(len(shape) <= 1 and _is_statistic(tag) for tag, shape in self._shaped)

    @functools.cached_property
    def identity(self) -> bytes:
        """Equal exactly where all statistics of two checkpoints are."""
        kept = [at for at, tag in enumerate(self.tags) if _is_statistic(tag)]
        return self.moments.identity[kept].tobytes()

    def is_copy(self, other: "Snapshot") -> bool:
        """Returns whether two checkpoints hold one state: equal tensors, and no count that differs.

        One of them may leave out what the other counts.
        """
        if not np.array_equal(self.moments.identity, other.moments.identity):
            return False
        own, others = self._counts, other._counts
        return all(own[name] == others[name] for name in own.keys() & others.keys())

    @property
    def _counts(self) -> dict[str, float]:
        steps = {} if self.optimizer_steps is None else {"": float(self.optimizer_steps)}
        return {**self.numbers, **steps}

    @property
    def _shaped(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        return zip(self.tags, self.shapes, strict=True)


def snapshot_of(contents: Contents, patterns: TagPatterns = TagPatterns()) -> Snapshot:
    """Returns what is of interest in a checkpoint; the rest is not read.

    Args:
      contents: What its index tells.
      patterns: Names of statistics taught by the user.

    Raises:
      CheckpointError: A tensor lies where the file does not reach, or there is too much to read.
      OSError: It cannot be read.
    """
    parsed = {name: found for name in contents.tensors if (found := parse_tag(name, patterns))}
    wanted = dict(_wanted(contents.tensors, parsed))
    if sum(_bytes(stored, parsed[name]) for name, stored in wanted.items()) > MOST_BYTES:
        raise CheckpointError(f"statistics of more than {MOST_BYTES} bytes")
    values = {name: _values(stored, parsed[name]) for name, stored in wanted.items()}
    counts = {
        name: float(value.ravel()[0])
        for name, value in values.items()
        if parsed[name].role in COUNTERS
    }
    return Snapshot(
        tags=tuple(values),
        shapes=tuple(stored.shape for stored in wanted.values()),
        moments=moments_of(list(values.values())),
        counts=counts,
        numbers={**contents.numbers, **dict(_scalars(contents.tensors))},
        optimizer_steps=contents.optimizer_steps,
        graphs=contents.graphs,
        names=tuple(contents.tensors),
        format=contents.format,
        remark=contents.remark,
    )


def _is_statistic(tag: str) -> bool:
    found = parse_tag(tag)
    return found is None or found.role in STATISTICS  # a taught name is one


def _wanted(
    tensors: Mapping[str, Stored], parsed: Mapping[str, ParsedTag]
) -> Iterator[tuple[str, Stored]]:
    layers = {
        found.layer
        for name, found in parsed.items()
        if found.role in STATISTICS and _is_small(tensors[name])
    }
    others = 0
    for name, found in parsed.items():
        stored = tensors[name]
        if not _is_real(stored):
            continue
        if found.layer in layers or found.role in COUNTERS:
            if _is_small(stored):
                yield name, stored
        elif found.role is Role.WEIGHT and others < _WEIGHTS:
            others += 1
            yield name, stored


def _is_real(stored: Stored) -> bool:
    return stored.size > 0 and not stored.dtype.startswith("complex") and stored.dtype != "bool"


def _is_small(stored: Stored) -> bool:
    return 0 < stored.size <= MOST_CHANNELS


def _bytes(stored: Stored, found: ParsedTag) -> int:
    return min(stored.nbytes, _HEAD * 8) if found.role is Role.WEIGHT else stored.nbytes


def _values(stored: Stored, found: ParsedTag) -> np.ndarray:
    if found.role is Role.WEIGHT and stored.size > _HEAD:
        return stored.start(_HEAD)
    return stored.array()


_COUNTING = ("global_step", "iter", "iteration", "iterations", "_iterations")


def _scalars(tensors: Mapping[str, Stored]) -> Iterator[tuple[str, float]]:
    """Yields whole numbers that a checkpoint keeps as tensors and that count steps."""
    for name, stored in tensors.items():
        if name.rpartition("/")[2] in _COUNTING and stored.shape == () and "int" in stored.dtype:
            yield name, float(stored.array())
