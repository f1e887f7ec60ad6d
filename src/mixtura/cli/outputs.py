"""What may be written where: into folders that can be written, and never onto what is read."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlparse

from mixtura.errors import FileError


def require_writable(folder: Path) -> None:
    """Raises FileError where the folder cannot be made or written, which is better told before a fit than after."""
    place = standing(folder)
    if not place.is_dir():
        raise FileError(f"cannot write into {folder}: {place} is a file, expected a directory; try another --output")
    if not os.access(place, os.W_OK | os.X_OK):
        raise FileError(f"cannot write into {folder}: no permission in {place}; try another --output")


def require_place(file: Path) -> None:
    """Raises FileError where the file cannot be written, which is better told before the work than after."""
    if file.is_dir() or not file.absolute().parent.is_dir():
        what = "a directory" if file.is_dir() else "a folder that does not exist"
        raise FileError(f"cannot write {file}: got {what}, expected a file in one that does; try another --output")
    require_writable(file.absolute().parent)


def require_apart(outputs: Sequence[Path], data: str | None, *models: Path) -> None:
    """Raises FileError where an output is a file that is read, by whatever path, or would be read with the data the next time."""
    from mixtura.sources.opening import located

    local = None if data is None else _local(data)
    read = [*models, *([] if local is None else map(Path, located(local)[1]))]
    for output in outputs:
        for one in read:
            if output.exists() and one.exists() and output.samefile(one):
                raise FileError(
                    f"cannot write {output}: got a file that is read ({one}), expected another, as it would be lost; try another --output"
                )
        if local is not None and _belongs(output, local):
            raise FileError(f"cannot write {output}: got a file that {local} would read with its rows, expected one elsewhere; try another --output")


def _local(data: str) -> str | None:
    """The path of data on this machine; None for those elsewhere."""
    if "://" not in data:
        return data
    url = urlparse(data)
    return unquote(url.path) if url.scheme == "file" else None


def _belongs(output: Path, data: str) -> bool:
    """Whether a file of this name is among those that a folder or a pattern stands for, as `opening.located` takes them."""
    from mixtura.sources.datasets import format_of

    place = Path(os.path.realpath(output.parent), output.name)
    if os.path.isdir(data):
        return Path(os.path.realpath(data)) in place.parents and format_of(place.name) is not None and not place.name.startswith((".", "_"))
    if os.path.exists(data) or not glob.has_magic(data):
        return False
    plain = next(one for one in Path(os.path.abspath(data)).parents if not glob.has_magic(str(one)))
    pattern = Path(os.path.abspath(data)).relative_to(plain).parts
    root = Path(os.path.realpath(plain))
    return root in place.parents and _matches(place.relative_to(root).parts, pattern)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is of a pattern, both in their parts; ** stands for any number of them."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[first:], pattern[1:]) for first in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def standing(folder: Path) -> Path:
    """The folder, or what is nearest above it and exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
