"""The model file of the command and what is written beside it.

model.safetensors   the mixture, its columns, criteria, history, settings and versions
summary.json        every candidate of the grid, the best, settings and versions
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.errors import DataError, FileError, ModelFileError

if TYPE_CHECKING:
    from mixtura.mixture import Mixture
    from mixtura.sources import Source

MODEL = "model.safetensors"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Model:
    """A mixture that was read from `path`, the columns it was fitted on (None where the file does not say) and all that stands beside it."""

    path: Path
    mixture: Mixture
    columns: tuple[str, ...] | None
    metadata: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, x0, x1, ... where the file does not say."""
        return self.columns or tuple(f"x{j}" for j in range(self.mixture.D))


def load(path: Path) -> Model:
    """The model in a file, or in a folder that `mixtura fit` wrote. Raises FileError, ModelFileError for a damaged or foreign file."""
    from mixtura.mixture import Mixture

    file = path / MODEL if path.is_dir() else path
    mixture, metadata = Mixture.load_with_metadata(file)
    columns = metadata.get("columns")
    if columns is not None and not (isinstance(columns, list) and len(columns) == mixture.D and all(isinstance(name, str) for name in columns)):
        raise ModelFileError(f"{file} is damaged: got columns {columns!r}, expected {mixture.D} names; try fitting again")
    return Model(file, mixture, tuple(columns) if columns else None, metadata)


def save(folder: Path, mixture: Mixture, metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Writes both files into the folder, which is made where it is missing: both whole, or neither.

    Raises FileError where that cannot be done.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".mixtura-", dir=_standing(folder)) as draft:
            _draft(Path(draft), folder, mixture, metadata, summary)
            folder.mkdir(parents=True, exist_ok=True)
            for name in (MODEL, SUMMARY):
                Path(draft, name).replace(folder / name)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write into {folder}: {error.strerror or error}; try another --output") from None


def _draft(draft: Path, folder: Path, mixture: Mixture, metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    from mixtura import storage

    try:
        mixture.save(draft / MODEL, storage.plain(metadata))
        storage.write_json(draft / SUMMARY, summary)
    except FileError as error:
        raise FileError(str(error).replace(str(draft), str(folder))) from None


def require_writable(folder: Path) -> None:
    """Raises FileError where the folder cannot be made or written, which is better told before a fit than after."""
    standing = _standing(folder)
    if not standing.is_dir():
        raise FileError(f"cannot write into {folder}: {standing} is a file, expected a directory; try another --output")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise FileError(f"cannot write into {folder}: no permission in {standing}; try another --output")


def require_place(file: Path) -> None:
    """Raises FileError where the file cannot be written, which is better told before the work than after."""
    if file.is_dir() or not file.absolute().parent.is_dir():
        what = "a directory" if file.is_dir() else "a folder that does not exist"
        raise FileError(f"cannot write {file}: got {what}, expected a file in one that does; try another --output")
    require_writable(file.absolute().parent)


def rows(model: Model, data: str, weight: str | None = None, *, in_memory: bool | None, threads: int | None) -> Source:
    """The columns of the model, taken by name. Raises ModelFileError where the data lack them or they do not hold numbers."""
    from mixtura.sources import open as open_source

    try:
        return open_source(data, model.columns, weight, in_memory=in_memory, n_jobs=threads)
    except DataError as error:
        raise ModelFileError(f"{model.path} does not fit {data}: {error}") from None


def versions() -> dict[str, str]:
    """What made a file: the versions of mixtura, NumPy and Python."""
    import numpy

    import mixtura

    return {"mixtura": mixtura.__version__, "numpy": numpy.__version__, "python": platform.python_version()}


def _standing(folder: Path) -> Path:
    """The folder, or what is nearest above it and exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
