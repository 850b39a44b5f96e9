"""Folders and files of this machine."""

import dataclasses
import os
import stat
from collections.abc import Iterator

from bn_tb.files.found import Folder, FoundFile, Wanted


class NotAFileError(OSError):
    """A folder, a pipe or a device where a file is wanted."""


class LocalFile:
    """An open file; what is read is not copied."""

    def __init__(self, path: str) -> None:
        """Opens a file.

        Raises:
          OSError: It cannot be opened.
        """
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115

    @property
    def size(self) -> int:
        """Bytes as of now."""
        return os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Returns a range; see `RangeFile`."""
        self._file.seek(offset)
        return self._file.read(length)

    def __enter__(self) -> "LocalFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def look(path: str) -> FoundFile:
    """Returns a file as it is now.

    Raises:
      NotAFileError: It is no regular file; opening a pipe would wait for a writer.
      OSError: It cannot be looked at.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(f"is a {_kind(found.st_mode)}, not a file")
    return FoundFile(path, found.st_size, str(found.st_mtime_ns))


def obstacle(path: str) -> str:
    """Returns why nobody can look at a path, or an empty string; that it is not there is none."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        return f"cannot be looked at: {getattr(error, 'strerror', None) or error}"
    return ""


def folders(top: str, wanted: Wanted) -> Iterator[Folder]:
    """Walks a folder; one that several symbolic links lead to counts once, under its own name.

    Args:
      top: A folder, or a file, which is then all there is, whatever its name.
      wanted: Which files to list.
    """
    if not os.path.isdir(top):
        yield Folder(".", top, (_listed(top),))
        return
    waiting, linked = [(top, os.path.realpath(top))], list[str]()
    seen = set[str]()
    while waiting or linked:
        path, real = waiting.pop() if waiting else _followed(linked.pop(0))
        if real in seen:
            continue
        seen.add(real)
        listing = _look_into(path, wanted)
        waiting += [(entry.path, os.path.join(real, entry.name)) for entry in listing.folders]
        linked += listing.links
        for faulty, reason in listing.problems:
            yield Folder(_name(faulty, top), faulty, problem=reason)
        if listing.files:
            yield Folder(_name(path, top), path, tuple(map(_listed, listing.files)))


def _followed(link: str) -> tuple[str, str]:
    return link, os.path.realpath(link)


@dataclasses.dataclass
class _Listing:
    """What a folder holds: paths of files and of links to folders, folders, and what is wrong.

    `problems` has paths that nobody can look at, each with the reason: a folder that may not be
    listed, a link to itself.
    """

    files: list[str] = dataclasses.field(default_factory=list)
    folders: list[os.DirEntry[str]] = dataclasses.field(default_factory=list)
    links: list[str] = dataclasses.field(default_factory=list)
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def _look_into(path: str, wanted: Wanted) -> _Listing:
    listing = _Listing()
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        listing.problems.append((path, f"cannot list the folder: {error.strerror}"))
        return listing
    for entry in listed:
        try:
            is_folder = entry.is_dir()
        except OSError as error:
            listing.problems.append((entry.path, f"cannot be looked at: {error.strerror}"))
            continue
        if is_folder and entry.is_symlink():
            listing.links.append(entry.path)
        elif is_folder:
            listing.folders.append(entry)
        elif wanted(entry.name):
            listing.files.append(entry.path)
    return listing


def _listed(path: str) -> FoundFile:
    """Returns a file as listed; what is wrong with it is told when it is read."""
    try:
        found = os.stat(path)
    except OSError:
        return FoundFile(path)
    return FoundFile(path, found.st_size, str(found.st_mtime_ns))


def _name(path: str, top: str) -> str:
    r"""Returns the name of a folder at or below `top`; a byte that is not UTF-8 becomes `\xe9`.

    Names stand in JSON, in addresses and on pages, which hold text alone.
    """
    name = path[len(top) :].lstrip(os.sep).replace(os.sep, "/") or "."
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    while text != name and os.path.lexists(os.path.join(top, text)):  # `\xe9` written out
        text += "~"
    return text


def _kind(mode: int) -> str:
    names = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    return names.get(stat.S_IFMT(mode), "device")
