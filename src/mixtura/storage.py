"""Safe model files: arrays and JSON in the safetensors format, which cannot execute anything when loaded; and JSON by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mixtura.drafts import draft
from mixtura.errors import FileError, ModelFileError
from mixtura.terminal import visible_in_json

FORMAT = "mixtura.mixture.1"
DEEPEST = 64  # levels of JSON: an estimator's parameters are a rule with its parts and their arrays, some ten
TOO_DEEP = f"JSON is nested deeper than {DEEPEST} levels"
LONGEST = 200  # characters of another library's message that are passed on


def write(path: str | Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Writes arrays and JSON metadata beside the path, then renames: the file is whole or not there.

    Raises FileError where that cannot be done.
    """
    header = {FORMAT: json.dumps(metadata)}  # one entry: safetensors writes several in any order, and files should repeat
    payload = save({name: np.array(array, order="C") for name, array in tensors.items()}, metadata=header)
    replace_file(path, lambda place: place.write_bytes(payload))


def read(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The arrays and metadata of a file that `write` wrote.

    Raises FileError where it cannot be read, ModelFileError where it is damaged or not ours.
    """
    if not Path(path).is_file():
        raise FileError(f"cannot read {path}: there is no such file; try the path that was given as output")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if FORMAT not in header:
                raise ModelFileError(f"{path} is not a mixtura model: got metadata {sorted(header)!r}, expected {FORMAT!r}; try another file")
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, from_json(header[FORMAT])  # noqa: SIM118
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; try another path") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, MemoryError) as error:  # whatever NumPy makes of a dtype or a shape
        said = " ".join(str(error).split())[:LONGEST]
        raise ModelFileError(f"{path} is damaged or not a model file: {said}; expected a file that mixtura wrote; try fitting again") from None
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path} is damaged: got metadata of {type(metadata).__name__}, expected an object; try fitting again")
    return tensors, metadata


def write_json(path: str | Path, value: Any) -> None:
    """Writes the value as JSON beside the path, then renames. Raises FileError where that cannot be done."""
    replace_file(path, lambda place: place.write_text(as_json(value) + "\n", encoding="utf-8"))


def from_json(text: str | bytes) -> Any:
    """What JSON from anywhere says. Raises ValueError where it is none, or is nested deeper than anything of ours.

    >>> from_json('{"history": [1.0]}')
    {'history': [1.0]}
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level if isinstance(one, dict | list) for part in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return value
    raise ValueError(TOO_DEEP)


def as_json(value: Any) -> str:
    """JSON with every number finite: NaN and infinities become null. Characters that would steer a terminal are spelled out as JSON spells them."""
    return visible_in_json(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def plain(value: Any) -> Any:
    """The same made of JSON's own types.

    >>> plain({"history": (1.0, float("nan"))})
    {'history': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def replace_file(path: str | Path, fill: Callable[[Path], object]) -> None:
    """Lets `fill` write a temporary file beside `path`, then renames it; on any failure nothing is left and `path` is as it was.

    Raises FileError for whatever the operating system refuses.
    """
    with replacing(path) as place, _refusals(path):
        fill(place)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name when the block ends; where it raises, nothing is left and `path` is as it was.

    Raises FileError where the operating system refuses the file or its name.
    """
    path = Path(path)
    with draft(path, lambda: _refusals(path)) as place:
        yield place


@contextmanager
def _refusals(path: str | Path) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}; try another output") from None
