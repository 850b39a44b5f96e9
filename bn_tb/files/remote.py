"""Folders and files of every file system that fsspec knows: s3://, gs://, abfs://, hdfs://, ...

Credentials are those of the environment or of `use`, which gives them to fsspec; no value of ours
holds them, and no message shows them. Failed requests are tried again by the file systems.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bn_tb.errors import UsageError
from bn_tb.files.found import Folder, FoundFile, Wanted

Access = Mapping[str, Mapping[str, Any]]
"""Options of the fsspec class that a URL belongs to."""

READ_AHEAD = 8 << 20
"""Bytes asked for at least; smaller requests wait more than they transfer (6 MB/s without)."""

_MARKS = ("ETag", "etag", "generation", "mtime", "LastModified", "last_modified", "updated")
"""Keys under which file systems tell versions of a file apart, the strongest first."""
_SECRET = re.compile(r"://[^/]*:[^/]*@|[?&](X-Amz-|sig|signature|token|key)[^/]*=", re.I)
_LONGEST_REASON = 200


def use(access: Access) -> None:
    """Gives fsspec the options of file systems, for all that this process opens on them.

    Raises:
      UsageError: fsspec is not installed.
    """
    for url, options in access.items():
        protocol = url.split("://")[0].split("::")[-1]
        _fsspec(url).config.conf.setdefault(protocol, {}).update(options)


def obstacle(url: str) -> str:
    """Returns why no file system can be had for a URL, or an empty string."""
    try:
        _system(url)
    except UsageError as error:
        return str(error)
    return ""


def folders(top: str, wanted: Wanted) -> Iterator[Folder]:
    """Yields the folders of a URL from one listing; see `place.folders`.

    Raises:
      UsageError: The place cannot be listed.
    """
    system, root = _system(top)
    try:
        system.invalidate_cache()
        listed = system.find(root, detail=True)
    except Exception as error:  # each file system has its own
        raise UsageError(f"{top}: cannot be listed: {_reason(error, system)}") from None
    base = root.rstrip("/")
    files: dict[str, list[FoundFile]] = {}
    for path, entry in sorted(listed.items()):
        below = path.removeprefix(base).strip("/")
        folder, name = posixpath.split(below)
        if not below or wanted(name):
            files.setdefault(folder, []).append(_found(_join(top, below), entry))
    for folder in sorted(files):
        yield Folder(folder or ".", _join(top, folder), tuple(files[folder]))


class RemoteFile:
    """A file of which every request brings `READ_AHEAD` bytes or more, as far as there are."""

    def __init__(self, found: FoundFile) -> None:
        """Asks for nothing yet.

        Raises:
          OSError: Its file system cannot be used.
        """
        self.size = found.size
        self._system, self._path = _opened(found.path)
        self._start, self._ahead = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Returns a range; see `RangeFile`."""
        length = max(min(length, self.size - offset), 0)
        at = offset - self._start
        if at < 0 or at + length > len(self._ahead):
            end = min(offset + max(length, READ_AHEAD), self.size)
            self._ahead = _asked(self._system, self._path, offset, end) if length else b""
            self._start, at = offset, 0
        if at == 0 and length >= len(self._ahead):
            return self._ahead
        return self._ahead[at : at + length]

    def __enter__(self) -> "RemoteFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead = b""


def read_each(files: Sequence[FoundFile]) -> list[bytes]:
    """Returns the content of small files, asked for at the same time; see `place.read_each`."""
    system, _ = _opened(files[0].path)
    paths = [system._strip_protocol(file.path) for file in files]
    try:
        contents = system.cat_ranges(
            paths, [0] * len(files), [file.size for file in files], on_error="raise"
        )
    except Exception as error:
        raise OSError(_reason(error, system)) from None
    if any(len(data) != file.size for data, file in zip(contents, files, strict=True)):
        raise OSError("not as long as listed")
    return list(contents)


def _asked(system: Any, path: str, start: int, end: int) -> bytes:
    try:
        data: bytes = system.cat_file(path, start=start, end=end)
    except Exception as error:
        raise OSError(_reason(error, system)) from None
    return data


def _opened(url: str) -> tuple[Any, str]:
    try:
        return _system(url)
    except UsageError as error:
        raise OSError(str(error)) from None


def _system(url: str) -> tuple[Any, str]:
    """Returns the file system of a URL and the path in it."""
    if _SECRET.search(url):
        bare = url.split("://")[0]
        raise UsageError(
            f"{bare}://...: credentials in a URL would be printed; give them in the "
            "environment or with --storage_options"
        )
    core = _fsspec(url).core
    try:
        system, path = core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{url}: {' '.join(str(error).split())}") from None
    except Exception as error:
        raise UsageError(f"{url}: cannot be opened: {_reason(error, None)}") from None
    return system, path


def _fsspec(url: str) -> Any:
    try:
        import fsspec
        import fsspec.config
        import fsspec.core
    except ImportError:
        raise UsageError(f"{url}: remote places need fsspec: pip install fsspec") from None
    return fsspec


def _found(url: str, entry: Mapping[str, Any]) -> FoundFile:
    mark = next((str(entry[key]) for key in _MARKS if entry.get(key)), "")
    return FoundFile(url, int(entry.get("size") or 0), mark or str(entry.get("created", "")))


def _join(top: str, below: str) -> str:
    return f"{top.rstrip('/')}/{below}" if below else top


def _reason(error: Exception, system: Any) -> str:
    """Returns one line about an error, without the options that the file system was given."""
    text = " ".join(str(error).split()) or "no reason given"
    for secret in _texts(getattr(system, "storage_options", {})):
        text = text.replace(secret, "***")
    return f"{type(error).__name__}: {text}"[:_LONGEST_REASON]


def _texts(value: Any) -> Iterator[str]:
    """Yields the texts in nested options; short ones would blank out half a message."""
    if isinstance(value, str) and len(value) > 3:
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
