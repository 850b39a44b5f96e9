"""Which files are checkpoints, which make up one, and to which run they belong."""

import dataclasses
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from bn_tb.files.found import FoundFile
from bn_tb.runs.experiment import experiment_of

_NAMES = re.compile(
    r"keras_metadata\.pb|.+\.(?:index|meta|data-\d{5}-of-\d{5}|pth|pt|ckpt|keras|safetensors|h5|hdf5)"
    r"|.*\.ckpt-\d+|.*model.*\.bin|.+\.tar"
)
_AMBIGUOUS = (".h5", ".hdf5", ".bin", ".tar", ".index", ".meta")
_MODEL = re.compile(r"model|weight|ckpt|checkpoint|epoch|best|last|final|net|\.data-\d{5}-of", re.I)
_PART = re.compile(r"(.+)\.(?:meta|data-\d{5}-of-\d{5})")
_INDEX = ".index"
_KERAS_METADATA = "keras_metadata.pb"
_VARIABLES = "variables/variables"
"""Of a SavedModel: the configuration of its Keras model, and what its checkpoint is called."""
_SHARD = re.compile(r"(.+?)[-_.](\d{5})-of-(\d{5})(\.(?:safetensors|bin|pth|pt|ckpt))")
"""Names of the parts that Hugging Face's libraries cut one model into."""

_NUMBERED_FOLDER = re.compile(
    r"(?:checkpoint|ckpt|epoch|ep|step|global_?step|iter|iteration|save)s?[ _=.-]?\d{1,15}", re.I
)

_NO_INDEX = "its index is missing, and with it the names of its tensors: copy the .index file too"

_HOLDERS = frozenset(
    (
        *("checkpoint", "checkpoints", "ckpt", "ckpts", "weights", "model", "models", "variables"),
        *("saved_model", "saved_models", "savedmodel", "save", "saves", "saved", "snapshots"),
        *("snapshot", "export", "trained_models", "model_checkpoints"),
    )
)
"""Names of folders that say of a training run only that its models are in there."""
_LOGS = frozenset(("log", "logs", "tb", "tb_logs", "tensorboard", "events", "summary", "summaries"))


@dataclasses.dataclass(frozen=True)
class FoundCheckpoint:
    """The files of one checkpoint.

    Attributes:
      path: Its path; of one with an index what TensorFlow calls its prefix.
      main: The file, or the index.
      parts: Data files and graph of one with an index, by what follows the prefix.
      shards: Of one that was cut into files of one format, those after the first.
      missing: How many of these are not there.
      problem: Why it cannot be read whatever its files hold, or an empty string.
    """

    path: str
    main: FoundFile
    parts: Mapping[str, FoundFile] = dataclasses.field(default_factory=dict)
    shards: tuple[FoundFile, ...] = ()
    missing: int = 0
    problem: str = ""

    @property
    def has_index(self) -> bool:
        """Whether it is an index with data files."""
        return self.main.path == f"{self.path}{_INDEX}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self.main.size + sum(file.size for file in (*self.parts.values(), *self.shards))

    @property
    def modified(self) -> float:
        """When it was written, in seconds since the epoch; 0 where that is not known."""
        return int(self.main.mark) / 1e9 if self.main.mark.isdecimal() else 0.0


def is_checkpoint(name: str) -> bool:
    """Returns whether a file of this name, without its folder, may belong to a checkpoint."""
    return bool(_NAMES.fullmatch(name)) and "tfevents" not in name


def is_numbered_folder(name: str) -> bool:
    """Returns whether a folder is named after a step or an epoch: `checkpoint-500`."""
    return bool(_NUMBERED_FOLDER.fullmatch(name))


def may_be_foreign(path: str) -> bool:
    """Returns whether other programs use such a name too, for data that are no model."""
    return path.endswith(_AMBIGUOUS)


def is_run(files: Iterable[FoundFile]) -> bool:
    """Returns whether checkpoints without event files make a run: one of them is named as one."""
    names = (posixpath.basename(file.path) for file in files)
    return any(not may_be_foreign(name) or _MODEL.search(name) for name in names)


def together(files: Iterable[FoundFile]) -> list[FoundCheckpoint]:
    """Returns checkpoints in the order of their numbers.

    Data files without their index are told where they are all there is.
    """
    parts: dict[str, dict[str, FoundFile]] = {}
    cut: dict[tuple[str, int], dict[int, FoundFile]] = {}
    mains, configurations = list[FoundFile](), dict[str, FoundFile]()
    for file in files:
        part, shard = _PART.fullmatch(file.path), _SHARD.fullmatch(file.path)
        if posixpath.basename(file.path) == _KERAS_METADATA:
            model = f"{file.path.removesuffix(_KERAS_METADATA)}{_VARIABLES}"
            configurations[model] = file
        elif part:
            parts.setdefault(part[1], {})[file.path[len(part[1]) :]] = file
        elif shard:
            cut.setdefault((shard[1] + shard[4], int(shard[3])), {})[int(shard[2])] = file
        else:
            mains.append(file)
    found = [_put_together(path, count, shards) for (path, count), shards in cut.items()]
    for main in mains:
        path = main.path.removesuffix(_INDEX)
        own = parts.get(path, {})
        if path in configurations:
            own = own | {_KERAS_METADATA: configurations[path]}
        found.append(FoundCheckpoint(path, main, own))
    if not found:
        found = [_without_index(path, own) for path, own in parts.items()]
    return sorted(found, key=lambda one: _natural(one.path))


def _without_index(path: str, parts: Mapping[str, FoundFile]) -> FoundCheckpoint:
    first, *rest = (parts[part] for part in sorted(parts))  # data before a graph
    return FoundCheckpoint(path, first, shards=tuple(rest), problem=_NO_INDEX)


def _put_together(path: str, count: int, shards: Mapping[int, FoundFile]) -> FoundCheckpoint:
    first, *rest = (shards[at] for at in sorted(shards))
    return FoundCheckpoint(path, first, shards=tuple(rest), missing=max(count - len(shards), 0))


def homes(checkpoints: Collection[str], runs: Collection[str]) -> dict[str, str]:
    """Returns the run that checkpoints of each folder belong to.

    That is the run of their own folder; else, of the folder that holds the folders named only for
    holding models (`checkpoints/`), the run there, the training run below it, or the nearest run
    above it through such folders. Where there is none, they are a run of that folder.

    Args:
      checkpoints: Folders that hold checkpoints, relative to the logdir; `.` for the logdir.
      runs: Folders that hold event files.
    """
    return {folder: _home(folder, runs) for folder in checkpoints}


def _home(folder: str, runs: Collection[str]) -> str:
    if folder in runs:
        return folder
    holder = _without_holders(folder)
    if holder in runs:
        return holder
    beside = [run for run in runs if _is_beside(run, holder)]
    trains = [run for run in beside if experiment_of(run)[1].startswith("train")]
    chosen = trains if len(trains) == 1 else beside
    if len(chosen) == 1:
        return chosen[0]
    return holder


def _without_holders(folder: str) -> str:
    parts = folder.split("/")
    while parts and (parts[-1].lower() in _HOLDERS or is_numbered_folder(parts[-1])):
        parts.pop()
    return "/".join(parts) or "."


def _is_beside(run: str, holder: str) -> bool:
    """Returns whether a run lies in `holder`, in folders that only say that they hold logs."""
    below = run if holder == "." else run.removeprefix(f"{holder}/")
    if holder != "." and below == run:
        return False
    parts = below.split("/")
    rest = [part for part in parts if part.lower() not in _LOGS]
    return not rest or (len(rest) == 1 and bool(experiment_of(rest[0])[1]))


def prefix_files(path: str, names: Sequence[str]) -> list[str]:
    """Returns the names of the files of one TensorFlow checkpoint out of those in its folder."""
    own = posixpath.basename(path.replace("\\", "/"))
    return [name for name in names if name.startswith(f"{own}.") and is_checkpoint(name)]


def _natural(name: str) -> list[tuple[int, str]]:
    """Returns what sorts `ckpt-900` before `ckpt-1000`."""
    return [
        (int(part[:18]), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)
    ]
