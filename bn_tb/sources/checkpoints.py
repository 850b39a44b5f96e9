"""The checkpoints of a run, read and put into the same series as its event files give."""

import contextlib
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from bn_tb.checkpoints import formats, keras_metadata
from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.checkpoints.snapshot import Snapshot, snapshot_of
from bn_tb.files import place
from bn_tb.files.found import FoundFile, RangeFile
from bn_tb.runs.run import Checkpoint, FileReport, GraphSource, Run
from bn_tb.runs.series import HistogramSeries
from bn_tb.runs.tags import STATISTICS, TagPatterns, parse_tag
from bn_tb.sources.found_checkpoints import FoundCheckpoint, may_be_foreign, together
from bn_tb.sources.stepping import (
    Steps,
    equally_counted,
    number_in_name,
    optimizer_steps_of,
    steps_of,
)

MOST = 1000
"""Checkpoints of a run that are read; of more, as many at even distances."""

_LARGEST_GRAPH = 1 << 26  # bytes of a MetaGraph; those of large networks have ten million
_MOST_NAMES = 10_000
_FOREIGN = "foreign"  # a file of another program: no word about it where there are others


@dataclasses.dataclass(frozen=True)
class _Read:
    """One checkpoint that was read."""

    found: FoundCheckpoint
    snapshot: Snapshot


def with_checkpoints(
    run: Run, files: Iterable[FoundFile], patterns: TagPatterns = TagPatterns()
) -> Run:
    """Returns a run with what its checkpoints hold; layers that event files show stay as they are.

    Args:
      run: As its event files tell; without any if there are none.
      files: Files of its checkpoints.
      patterns: Names of statistics taught by the user.
    """
    reports, foreign, read = list[FileReport](), list[FileReport](), list[_Read]()
    for found in _some(together(files)):
        report, snapshot = _read(found, patterns)
        (foreign if report.status == _FOREIGN else reports).append(report)
        read += [_Read(found, snapshot)] if snapshot else []
    if not reports and not run.files:  # then there is nothing else to speak of
        reports = [dataclasses.replace(one, status="corrupt") for one in foreign]
    run = dataclasses.replace(run, files=(*run.files, *reports))
    for prefix, group in _models(read).items():
        run = _joined(run, prefix, group, patterns)
    return run


def _some(found: Sequence[FoundCheckpoint]) -> Sequence[FoundCheckpoint]:
    if len(found) <= MOST:
        return found
    return [found[round(at)] for at in np.linspace(0, len(found) - 1, MOST)]


def _read(found: FoundCheckpoint, patterns: TagPatterns) -> tuple[FileReport, Snapshot | None]:
    """Returns what became of a checkpoint, and what it holds."""
    report = FileReport(found.path, found.size, 0, "ok", kind="checkpoint")
    if found.problem:
        status = _FOREIGN if may_be_foreign(found.main.path) else "corrupt"
        return dataclasses.replace(report, status=status, detail=found.problem), None
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(place.open_file(found.main))
            shards = _shards(found, stack) if found.has_index else None
            contents = formats.read(file, shards)
            for shard in found.shards:
                contents = contents.with_part(
                    formats.read(stack.enter_context(place.open_file(shard)))
                )
            snapshot = snapshot_of(contents, patterns)
    except formats.ForeignError as error:
        status = _FOREIGN if may_be_foreign(found.main.path) else "corrupt"
        return dataclasses.replace(report, status=status, detail=str(error)), None
    except (CheckpointError, OSError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        return dataclasses.replace(report, status="corrupt", detail=_one_line(reason)), None
    if not snapshot.tags and may_be_foreign(found.main.path) and not found.has_index:
        detail = "no variables of a model are in it"
        return dataclasses.replace(report, status=_FOREIGN, detail=detail), None
    if found.missing:
        them = "is missing: copy it too" if found.missing == 1 else "are missing: copy them too"
        detail = f"{found.missing} of its parts {them}"
        return dataclasses.replace(report, status="truncated", detail=detail), snapshot
    return dataclasses.replace(report, events=len(snapshot.names)), snapshot


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "cannot be read"


def _shards(found: FoundCheckpoint, stack: contextlib.ExitStack) -> formats.Shards:
    opened = dict[int, RangeFile]()

    def shard(at: int, count: int) -> RangeFile:
        if at not in opened:
            name = f".data-{at:05d}-of-{count:05d}"
            if name not in found.parts:
                raise CheckpointError(
                    f"its data file {posixpath.basename(found.path)}{name} is missing: only names "
                    "and shapes are there; copy it too"
                )
            opened[at] = stack.enter_context(place.open_file(found.parts[name]))
        return opened[at]

    return shard


def _models(read: Sequence[_Read]) -> dict[str, list[_Read]]:
    """Returns checkpoints of one model each: same tensors of same shapes, same name but numbers.

    Where several models lie side by side (`netG_10.pth`, `netD_10.pth`), the name of the file goes
    before the names of their layers.
    """
    with_statistics = [one for one in read if one.snapshot.has_statistics]
    groups: dict[tuple[object, ...], list[_Read]] = {}
    for one in with_statistics or read[-1:]:
        key = (one.snapshot.tags, one.snapshot.shapes, _apart(one.found.path))
        groups.setdefault(key, []).append(one)
    parted = {key: _parted(group) for key, group in groups.items()}
    if sum(map(len, parted.values())) == 1:
        return {"": next(iter(groups.values()))}
    named: dict[str, list[_Read]] = {}
    for parts in parted.values():
        stems = [_stem(part[0].found.path, numbered=False) for part in parts]
        for part, stem in zip(parts, stems, strict=True):
            if stems.count(stem) > 1:
                stem = _stem(part[0].found.path, numbered=True)
            named[next(name for name in _numbered(stem) if name not in named)] = part
    return named


def _parted(group: list[_Read]) -> list[list[_Read]]:
    """Returns a group, or each of its checkpoints alone where they are no points of one training.

    Members of an ensemble, and a copy beside its original, were updated as often as each other and
    hold different statistics. Points of one training that were updated as often hold the same.
    """
    by_word: dict[str, list[_Read]] = {}
    for one in group:
        by_word.setdefault(_own_words(one.found.path), []).append(one)
    if len(by_word) > 1 and _meet(by_word):
        return [part for own in by_word.values() for part in _parted(own)]
    alike = len({one.snapshot.identity for one in group}) == 1
    if alike or not equally_counted([one.snapshot for one in group]):
        return [group]
    return [[one] for one in group]


def _meet(by_word: Mapping[str, list[_Read]]) -> bool:
    """Returns whether files of different words have one number and different statistics.

    So do `net_G_A_10.pth` and `net_G_B_10.pth`; a copy of the best epoch is equal to that epoch.
    """
    seen = dict[int, set[bytes]]()
    for own in by_word.values():
        for one in own:
            number = number_in_name(one.found.path)
            if number is not None:
                seen.setdefault(number, set()).add(one.snapshot.identity)
    return any(len(found) > 1 for found in seen.values())


def _numbered(stem: str) -> Iterator[str]:
    """Yields `net`, `net#2`, `net#3` and so on."""
    yield stem
    yield from (f"{stem}#{at}" for at in itertools.count(2))


_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_COMMON_WORDS = frozenset(
    (
        *("best", "last", "final", "latest", "current", "end", "start", "init", "old", "new"),
        *("epoch", "epochs", "ep", "e", "step", "steps", "iter", "iteration", "it", "at"),
        *("model", "models", "net", "network", "ckpt", "checkpoint", "checkpoints", "weight"),
        *("weights", "state", "dict", "params", "save", "saved", "snapshot", "backup", "tmp"),
        *("acc", "accuracy", "loss", "val", "valid", "train", "test", "score", "metric", "auc"),
        *("min", "max", "top", "f", "map", "v", "pth", "pt", "tar", "h", "hdf", "safetensors"),
        *("keras", "bin"),
    )
)
"""Words of file names that do not say which model it is."""


def _own_words(path: str) -> str:
    words = _WORD.findall(posixpath.basename(path))
    return " ".join(word for word in words if word.lower() not in _COMMON_WORDS)


_APART = re.compile(
    r"(?:fold|run|seed|trial|split|cv|client|worker|exp|version|part)[ _=-]?\d+", re.I
)
"""Parts of a name that number trainings, not points of one."""
_NUMBERS = re.compile(r"[ _=.-]*\d+")
_ENDINGS = re.compile(
    r"\.(?:pth|pt|ckpt|keras|safetensors|h5|hdf5|bin|tar|weights)$|[ _.-](?:best|last|final)$", re.I
)


def _apart(path: str) -> str:
    return " ".join(_APART.findall(posixpath.basename(path)))


def _stem(path: str, numbered: bool) -> str:
    """Returns the name of a model by a file of it; with its numbers where they name models."""
    name = posixpath.basename(path.replace("\\", "/"))
    while (shorter := _ENDINGS.sub("", name)) != name:
        name = shorter
    kept = _apart(name)
    return kept or (name if numbered else _NUMBERS.sub("", name)) or name


def _joined(run: Run, prefix: str, group: list[_Read], patterns: TagPatterns) -> Run:
    """Returns a run with the series of one model's checkpoints; files that are copies are told."""
    copies = _copies(group)
    group = [one for one in group if one.found.path not in copies]
    steps = steps_of([one.found.path for one in group], [one.snapshot for one in group])
    places = sorted(zip(steps.steps, group, strict=True), key=lambda p: (p[0], p[1].found.modified))
    group = [one for _, one in places]
    steps = Steps(tuple(step for step, _ in places), steps.counted)
    logged = _logged_layers(run, patterns)
    series = {
        tag: one
        for tag, one in _series(group, steps, prefix).items()
        if tag not in run.histograms and not _is_logged(tag, logged, patterns)
    }
    told = _with_copies(group, steps, copies)
    ends = [step for step in (run.first_step, run.last_step) if step is not None]
    ends += [steps.steps[0], steps.steps[-1]] if series else []
    names = dict.fromkeys((*run.all_tags, *(prefixed(prefix, n) for n in _names(group))))
    return dataclasses.replace(
        run,
        histograms={**run.histograms, **series},
        graphs=run.graphs or _graphs(group[-1]),
        first_step=min(ends, default=None),
        last_step=max(ends, default=None),
        all_tags=tuple(names),
        checkpoints=(*run.checkpoints, *_told(told, steps.counted, prefix)),
        checkpoint_tags=run.checkpoint_tags | series.keys(),
    )


def _copies(group: Sequence[_Read]) -> dict[str, tuple[_Read, _Read]]:
    """Returns, by path, the checkpoints that hold the state of one before them, each with that one.

    `best.pth` is one of the others, and no point of its own.
    """
    kept, copies = dict[bytes, list[_Read]](), dict[str, tuple[_Read, _Read]]()
    for one in group:
        same = kept.setdefault(one.snapshot.moments.identity.tobytes(), [])
        original = next((each for each in same if _is_copy(each, one)), None)
        if original is None:
            same.append(one)
        else:
            copies[one.found.path] = one, original
    return copies


def _names(group: Sequence[_Read]) -> Sequence[str]:
    return group[-1].snapshot.names[:_MOST_NAMES]


def prefixed(prefix: str, name: str) -> str:
    """Returns the name of a tensor in a run that holds several models."""
    return f"{prefix}/{name}" if prefix else name


def _series(group: Sequence[_Read], steps: Steps, prefix: str) -> dict[str, HistogramSeries]:
    """Returns one series a tensor, with a point a checkpoint."""
    written = np.array([one.found.modified for one in group])
    moments = [one.snapshot.moments for one in group]
    measures = np.stack([one.measures for one in moments])  # [T, N, 5]
    bands = np.stack([one.bands for one in moments])
    identity = np.stack([one.identity for one in moments])
    return {
        prefixed(prefix, tag): HistogramSeries(
            np.array(steps.steps, np.int64),
            written,
            *(measures[:, at, 0], measures[:, at, 1], measures[:, at, 2]),
            *(measures[:, at, 3], measures[:, at, 4]),
            bands=bands[:, at],
            identity=identity[:, at],
        )
        for at, tag in enumerate(group[0].snapshot.tags)
    }


def _logged_layers(run: Run, patterns: TagPatterns) -> frozenset[str]:
    """Returns layers whose statistics event files show at two or more steps."""
    return frozenset(
        parsed.layer
        for tag, series in run.histograms.items()
        if tag not in run.checkpoint_tags
        and (parsed := parse_tag(tag, patterns))
        and parsed.role in STATISTICS
        and np.unique(series.steps).size > 1
    )


def _is_logged(tag: str, logged: frozenset[str], patterns: TagPatterns) -> bool:
    """Returns whether event files show the layer of a tensor, maybe with more before its name."""
    parsed = parse_tag(tag, patterns)
    if parsed is None or not logged:
        return False
    own = parsed.layer.replace("/", ".")
    return any(_same_end(own, layer.replace("/", ".")) for layer in logged)


def _same_end(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long == short or long.endswith(f".{short}")


def _is_copy(one: _Read, other: _Read) -> bool:
    """Returns whether two files hold one state, and are not numbered as two points."""
    numbers = {number_in_name(one.found.path), number_in_name(other.found.path)} - {None}
    return len(numbers) < 2 and one.snapshot.is_copy(other.snapshot)


def _with_copies(
    group: Sequence[_Read], steps: Steps, copies: Mapping[str, tuple[_Read, _Read]]
) -> list[tuple[int, _Read]]:
    """Returns all checkpoints with their steps, copies with that of what they are copies of."""
    known = {one.found.path: step for step, one in zip(steps.steps, group, strict=True)}
    told = [(known[one.found.path], one) for one in group]
    told += [(known[original.found.path], one) for one, original in copies.values()]
    return sorted(told, key=lambda each: each[0])


def _told(group: Iterable[tuple[int, _Read]], counted: bool, prefix: str) -> tuple[Checkpoint, ...]:
    return tuple(
        Checkpoint(
            path=one.found.path,
            format=one.snapshot.format,
            model=prefix,
            step=step,
            counted=counted,
            optimizer_steps=optimizer_steps_of(one.snapshot),
        )
        for step, one in group
    )


def _graphs(one: _Read) -> tuple[GraphSource, ...]:
    """Returns the graph or configuration of a checkpoint: inside it, or the MetaGraph beside it."""
    found = [GraphSource(kind, "", 0, data) for kind, data in one.snapshot.graphs]
    for part, kind, decode in _BESIDE:
        file = one.found.parts.get(part)
        if file is not None and file.size <= _LARGEST_GRAPH:
            with contextlib.suppress(OSError, CheckpointError):
                data = decode(place.read_each([file])[0])
                found.append(GraphSource(kind, "", 0, data))
    return tuple(found)


_BESIDE: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
    (".meta", "meta_graph_def", bytes),
    ("keras_metadata.pb", "keras_model", keras_metadata.configuration),
)
"""Files beside a checkpoint that tell its graph or configuration, and what they hold."""
