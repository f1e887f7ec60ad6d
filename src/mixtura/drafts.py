"""Temporary files beside what they become: they take its name as a whole or are gone, and those of a process that was killed are swept.

A draft of `rows.csv` is called `.rows.csv.mixtura-0123456789abcdef.csv`; several that appear together lie in a folder `.mixtura-0123456789abcdef`.
While its process lives it holds a lock on the draft, which the system takes back whatever becomes of the process. So a later run that writes into
the same folder knows which drafts nobody works on any more, on whatever machine that was, and removes these and nothing else. Where there are no
such locks (Windows, some network filesystems) nothing is swept.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

LOCKS = os.name == "posix"
MARK = "mixtura-"
LONGEST = 25  # characters of a name that its draft repeats: systems allow 255 bytes
FILE = re.compile(r"\..+\.mixtura-[0-9a-f]{16}(\..*)?", re.DOTALL)
FOLDER = re.compile(r"\.mixtura-[0-9a-f]{16}")
Within = Callable[[], AbstractContextManager[object]]


@contextmanager
def draft(path: Path, asking: Within = nullcontext) -> Iterator[Path]:
    """A new empty file beside `path` that takes its name when the block ends; where it raises, the file is gone and `path` is as it was.

    The system is asked for the file and its name within `asking`, where its refusals (OSError) can be told.
    """
    place = path.with_name(f".{path.name[:LONGEST]}.{MARK}{secrets.token_hex(8)}{path.suffix[:LONGEST]}")
    handle = None
    try:
        with asking():
            sweep(path.parent)
            handle = _held(place, lambda: os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)))
        yield place
        with asking():
            place.chmod(0o666 & ~_umask())
            place.replace(path)
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)


@contextmanager
def drafts(folder: Path, names: Sequence[str], beside: Path, whole: Within = nullcontext) -> Iterator[Path]:
    """A new folder in `beside` for files of these names; when the block ends they move into `folder`, which is made where it is missing.

    Where the block raises, nothing is left. The moves are made within `whole`, where whatever comes between them can be kept waiting.
    """
    for one in {beside, folder, folder.parent}:
        sweep(one)
    place = beside / f".{MARK}{secrets.token_hex(8)}"
    handle = None
    try:
        handle = _held(place, lambda: place.mkdir(mode=0o700))
        yield place
        with whole():
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (place / name).replace(folder / name)
    finally:
        _empty(place)
        if handle is not None:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Removes the drafts in a folder that no process works on any more; whatever cannot be removed stays."""
    if not LOCKS:
        return
    with suppress(OSError):
        left = [Path(one.path) for one in os.scandir(folder) if _is_ours(one)]
        for place in left:
            with suppress(OSError):
                handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    _lock(handle, wait=False)
                    _remove(place)
                finally:
                    os.close(handle)


def _is_ours(one: os.DirEntry[str]) -> bool:
    """By name and kind, and that it belongs to whoever runs this."""
    kind = FOLDER if one.is_dir(follow_symlinks=False) else FILE if one.is_file(follow_symlinks=False) else None
    return kind is not None and kind.fullmatch(one.name) is not None and one.stat(follow_symlinks=False).st_uid == os.geteuid()


def _remove(place: Path) -> None:
    if place.is_dir():
        _empty(place)
    else:
        place.unlink()


def _empty(folder: Path) -> None:
    """A folder of drafts is gone with its files; a folder within it, which is none of ours, keeps it where it is."""
    with suppress(OSError):
        for one in folder.iterdir():
            one.unlink()
        folder.rmdir()


def _held(place: Path, make: Callable[[], object]) -> int | None:
    """Makes a draft and locks it, anew where somebody who sweeps was quicker; None where there are no locks."""
    while True:
        make()
        if not LOCKS:
            return None
        with suppress(FileNotFoundError):
            handle = os.open(place, os.O_RDONLY)
            with suppress(OSError):  # a filesystem without locks
                _lock(handle, wait=True)
            if os.path.samestat(os.fstat(handle), os.stat(place)):
                return handle
            os.close(handle)


def _lock(handle: int, wait: bool) -> None:
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
