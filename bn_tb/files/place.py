"""One door to bytes: a path is of this machine, a URL is fsspec's."""

import os
import re
from collections.abc import Iterator, Sequence

from bn_tb.errors import UsageError
from bn_tb.files import local
from bn_tb.files.found import Folder, FoundFile, RangeFile, Wanted

_URL = re.compile(r"(?:[a-zA-Z][0-9a-zA-Z.+-]*::)*[a-zA-Z][0-9a-zA-Z.+-]*://")


def is_url(path: str) -> bool:
    """Returns whether a path is a URL, or a chain of them (`simplecache::s3://...`)."""
    return bool(_URL.match(path))


def may_exist(path: str) -> bool:
    """Returns whether a path exists; of a URL only its listing tells."""
    return is_url(path) or os.path.exists(path)


def obstacle(path: str) -> str:
    """Returns why a path cannot be looked at, or an empty string; of a URL its listing tells."""
    return "" if is_url(path) else local.obstacle(path)


def folders(top: str, wanted: Wanted) -> Iterator[Folder]:
    """Yields the folders at or below a place that hold files of interest.

    Of a remote place there is one listing, whatever the number of its folders.

    Args:
      top: A folder or a single file.
      wanted: Which files to list.

    Raises:
      UsageError: There is no such path, or a remote place cannot be listed.
    """
    if is_url(top):
        from bn_tb.files import remote  # fsspec is an extra

        yield from remote.folders(top, wanted)
    elif os.path.exists(top):
        yield from local.folders(top, wanted)
    else:
        raise UsageError(f"{top}: no such file or folder")


def look(found: FoundFile) -> FoundFile:
    """Returns a file as it is now; a remote one as listed, for a look would be a request.

    Raises:
      OSError: It cannot be looked at, or is no file.
    """
    return found if is_url(found.path) else local.look(found.path)


def open_file(found: FoundFile) -> RangeFile:
    """Opens a file for reading ranges of it.

    Raises:
      OSError: It cannot be opened.
    """
    if is_url(found.path):
        from bn_tb.files import remote

        return remote.RemoteFile(found)
    return local.LocalFile(found.path)


def read_each(files: Sequence[FoundFile]) -> list[bytes]:
    """Returns the content of small files of one place; remote ones are asked for all at once.

    Raises:
      OSError: One of them cannot be read, or is not as it was when found.
    """
    if files and is_url(files[0].path):
        from bn_tb.files import remote

        return remote.read_each(files)
    return [_whole(file) for file in files]


def _whole(found: FoundFile) -> bytes:
    with local.LocalFile(found.path) as file:
        data = file.read(0, found.size)
    if len(data) < found.size:
        raise OSError("became shorter")
    return data
