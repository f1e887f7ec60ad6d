"""A log of results under their digests, in one file that only grows: what was written is found again after the process was killed.

    file     MAGIC, then records
    record   digest, length of the content, checksum of these two; content; checksum of all before it

A record goes to the operating system as soon as it is known, so a killed process loses nothing; it is on the disk within `every` seconds of work,
for when the machine fails. Only digests and places are held in memory.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import time
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mixtura.errors import CheckpointWarning, FileError
from mixtura.forms import short
from mixtura.sources.digests import LENGTH
from mixtura.sources.records import decode, encode

MAGIC = b"mixtura.journal.1\n"
MISSING = object()  # what is not known
_HEAD = struct.Struct(f"<{LENGTH}sQ")
_HEAD_SUM = struct.Struct("<I")
_SUM = 16  # bytes of the checksum of a record
_START = _HEAD.size + _HEAD_SUM.size


class _Place(NamedTuple):
    offset: int
    length: int


class Journal:
    """The log in a file, which is made where it is missing; what a killed process left unfinished at its end is dropped.

    Damage is never read as a result: records from the first damaged one on are dropped, and computed anew, with a warning (CheckpointWarning).
    One process at a time; any of its threads. Raises FileError where the file cannot be read or written, or is something else.
    """

    def __init__(self, path: Path, every: float):
        self.path, self.every = path, every
        self._lock = threading.Lock()
        self._places: dict[bytes, _Place] = {}
        try:
            self._file: BinaryIO = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._failure(error) from None
        try:
            self._end = self._scanned()
        except BaseException:
            self._file.close()
            raise
        self._synced = time.monotonic()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, digest: bytes) -> Any:
        """The result under this digest, or MISSING. Raises FileError where the file was damaged since it was opened."""
        with self._lock:
            place = self._places.get(digest)
            if place is None:
                return MISSING
            try:
                self._file.seek(place.offset)
                record = _read(self._file, _START + place.length + _SUM)
            except OSError as error:
                raise self._failure(error) from None
        if not _is_whole(record):
            raise FileError(f"{self.path} was damaged while it was in use: got other bytes than were written; try the same call again")
        try:
            return decode(record[_START:-_SUM])
        except ValueError as error:
            raise FileError(
                f"{self.path} is damaged: got a record that is none ({short(str(error))}), expected one of ours; try another folder"
            ) from None

    def put(self, digest: bytes, result: Any) -> None:
        """Keeps a result, if it is of a kind that can be written down (see `records`)."""
        content = encode(result)
        if content is None:
            return
        head = _HEAD.pack(digest, len(content))
        head += _HEAD_SUM.pack(zlib.crc32(head))
        record = b"".join([head, content, hashlib.blake2b(head + content, digest_size=_SUM).digest()])
        with self._lock:
            if digest in self._places:
                return
            try:
                self._file.seek(self._end)
                _write(self._file, record)
                if time.monotonic() - self._synced >= self.every:
                    self._sync()
            except OSError as error:
                raise self._failure(error) from None
            self._places[digest] = _Place(self._end, len(content))
            self._end += len(record)

    def close(self) -> None:
        """Puts everything on the disk, and closes the file."""
        with self._lock:
            if not self._file.closed:
                try:
                    self._file.truncate(self._end)  # what an interrupt left behind it
                    self._sync()
                except OSError as error:
                    raise self._failure(error) from None
                finally:
                    self._file.close()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _scanned(self) -> int:
        """Where the last whole record ends; what comes after it is cut off."""
        try:
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            begin = _read(self._file, len(MAGIC))
            if not MAGIC.startswith(begin):
                raise FileError(f"{self.path} is no journal: got {begin!r}, expected {MAGIC!r}; try another folder")
            if len(begin) < len(MAGIC):
                self._file.seek(0)
                self._file.truncate()
                _write(self._file, MAGIC)
                return len(MAGIC)
            end = self._scan(len(MAGIC), size)
            if end < size:
                self._file.truncate(end)
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise self._failure(error) from None
        return end

    def _scan(self, end: int, size: int) -> int:
        while end < size:
            head = _read(self._file, _START)
            if len(head) < _START:
                return end
            digest, length = _HEAD.unpack_from(head)
            if _HEAD_SUM.unpack_from(head, _HEAD.size)[0] != zlib.crc32(head[: _HEAD.size]):
                return self._damaged(end, size)
            if end + _START + length + _SUM > size:
                return end  # cut off
            if not _is_whole(head + _read(self._file, length + _SUM)):
                return self._damaged(end, size)
            self._places[digest] = _Place(end, length)
            end += _START + length + _SUM
        return end

    def _damaged(self, end: int, size: int) -> int:
        warnings.warn(
            f"{self.path} is damaged: got bytes that were not written there, from byte {end:,} of {size:,}; what followed is computed anew",
            CheckpointWarning,
            stacklevel=2,
        )
        return end

    def _failure(self, error: OSError) -> FileError:
        return FileError(f"cannot keep a checkpoint in {self.path}: {error.strerror or error}; try another folder")


def _is_whole(record: bytes) -> bool:
    return hashlib.blake2b(record[:-_SUM], digest_size=_SUM).digest() == record[-_SUM:]


def _read(file: BinaryIO, length: int) -> bytes:
    """So many bytes, or all there are: one call may give fewer."""
    parts = []
    while length and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(file: BinaryIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]
