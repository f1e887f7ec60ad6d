"""The model file of the command and what is written beside it.

model.safetensors   the mixture, its columns, criteria, history, settings and versions
summary.json        every candidate of the grid, the best, settings and versions
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixtura.cli.endings import signals
from mixtura.cli.outputs import standing
from mixtura.drafts import drafts
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

    file = file_of(path)
    mixture, metadata = Mixture.load_with_metadata(file)
    columns = metadata.get("columns")
    if columns is not None and not (isinstance(columns, list) and len(columns) == mixture.D and all(isinstance(name, str) for name in columns)):
        raise ModelFileError(f"{file} is damaged: got columns {columns!r}, expected {mixture.D} names; try fitting again")
    return Model(file, mixture, tuple(columns) if columns else None, metadata)


def file_of(path: Path) -> Path:
    """The model file that is meant: itself, or that in a folder."""
    return path / MODEL if path.is_dir() else path


def save(folder: Path, mixture: Mixture, metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Writes both files into the folder, which is made where it is missing: both whole, or neither.

    Raises FileError where that cannot be done.
    """
    try:
        with drafts(folder, (MODEL, SUMMARY), standing(folder), signals.hold) as draft:
            _draft(draft, folder, mixture, metadata, summary)
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
