"""The directory of a zip archive, and members of it without the others.

The standard library's zipfile reads the directory; here it is held to a size first, for what it
says is believed before anything is read.
"""

import dataclasses
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from bn_tb.checkpoints.contents import LARGEST_INDEX, MOST_TENSORS, CheckpointError, exactly
from bn_tb.files.found import RangeFile

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # its signature, lengths of name and extra field
_LARGEST_DIRECTORY = 1 << 24  # bytes; zipfile takes about a second for as many


def is_zip(file: RangeFile) -> bool:
    """Returns whether a file begins as zip archives do."""
    return file.read(0, 4) == b"PK\3\4"


@dataclasses.dataclass(frozen=True)
class Member:
    """A member: where its header lies, its bytes, and those in the archive if it is compressed."""

    header: int
    size: int
    compressed: int | None = None


class ZipIndex:
    """An archive whose directory was read."""

    def __init__(self, file: RangeFile) -> None:
        """Reads the directory.

        Raises:
          CheckpointError: It is damaged, or absurdly large.
          OSError: It cannot be read.
        """
        self._file, self._size = file, file.size
        try:
            with zipfile.ZipFile(Stream(file, _LARGEST_DIRECTORY)) as archive:
                listed = archive.infolist()
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                "a zip archive without its directory: cut off or damaged; copy it again"
            ) from None
        if len(listed) > MOST_TENSORS:
            raise CheckpointError(f"an archive of {len(listed)} members")
        self.members: Mapping[str, Member] = {one.filename: _member(one) for one in listed}

    def start(self, member: Member) -> int:
        """Returns where the bytes of a member begin, for one that is not compressed."""
        if member.compressed is not None:
            raise CheckpointError("a compressed tensor; torch.save and Keras compress none")
        header = self._file.read(member.header, _LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size:
            raise CheckpointError("an archive that is cut off or damaged; copy it again")
        signature, name, extra = _LOCAL_HEADER.unpack(header)
        start = member.header + _LOCAL_HEADER.size + name + extra
        if signature != b"PK\3\4" or start + member.size > self._size:
            raise CheckpointError("a member that is not where the directory says; copy it again")
        return int(start)

    def read(self, member: Member) -> bytes:
        """Returns a small member, unpacked; larger than any index it is refused."""
        if member.size > LARGEST_INDEX:
            raise CheckpointError(f"a member of {member.size} bytes")
        if member.compressed is None:
            return exactly(self._file, self.start(member), member.size, "member of the archive")
        plain = dataclasses.replace(member, size=member.compressed, compressed=None)
        packed = self.read(plain)
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size or 1)
        except zlib.error:
            raise CheckpointError("a member that cannot be unpacked; copy it again") from None


def _member(info: zipfile.ZipInfo) -> Member:
    if info.compress_type == zipfile.ZIP_STORED:
        return Member(info.header_offset, info.file_size)
    return Member(info.header_offset, info.file_size, info.compress_size)


class Stream(io.RawIOBase):
    """A range file, or a part of it, as libraries want files; it reads no more than it may."""

    def __init__(self, file: RangeFile, budget: int, start: int = 0, size: int = -1) -> None:
        """Reads nothing yet.

        Args:
          file: An open file.
          budget: Bytes that may be read in all.
          start: Where the part begins.
          size: Bytes of the part; -1 for the rest.
        """
        self._file, self._left, self._start = file, budget, start
        self._size = size if size >= 0 else file.size - start
        self._at = 0

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves the position and returns it."""
        base = {0: 0, 1: self._at, 2: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the file")
        self._at = base + offset
        return self._at

    def read(self, length: int | None = -1) -> bytes:
        """Returns the next bytes.

        Raises:
          CheckpointError: More than the budget is wanted.
        """
        rest = max(self._size - self._at, 0)
        length = rest if length is None or length < 0 else min(length, rest)
        if length > self._left:
            raise CheckpointError("an index larger than any real one")
        self._left -= length
        data = self._file.read(self._start + self._at, length)
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills a buffer and returns how many bytes there were."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
