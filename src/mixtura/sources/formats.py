"""What a file's suffix says of it, and how what other libraries hold against a file becomes one error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from mixtura.errors import FileError, MixturaError

T = TypeVar("T")
COMPRESSED = (".gz", ".bz2", ".zst")  # after the suffix of a text file
TEXT = (".csv", ".tsv", ".txt")
LONGEST = 200  # characters of another library's message that are passed on


def bare(path: Path) -> Path:
    """The path without the suffix of a compression.

    >>> bare(Path("rows.csv.gz")).name
    'rows.csv'
    """
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def of_suffix(path: Path, known: Mapping[str, T], failure: str) -> T:
    """What is known for this suffix. Raises FileError for an unknown one."""
    if path.suffix.lower() not in known:
        raise FileError(f"{failure}: got suffix {path.suffix!r}, expected one of {', '.join(known)}; try another format")
    return known[path.suffix.lower()]


@contextmanager
def as_file_error(failure: Callable[[], str], expected: str = "a whole file of the kind its suffix says; try another one") -> Iterator[None]:
    """What NumPy, pyarrow or the operating system hold against a file, as one short FileError."""
    try:
        yield
    except MixturaError:
        raise
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError) as error:
        said = " ".join(str(getattr(error, "strerror", None) or error).split())[:LONGEST].rstrip(".")
        raise FileError(f"{failure()}: {said}; expected {expected}") from None
