"""A folder in which a fit is kept, so that it survives its process: called again in the same way, it goes on and ends with the same bits.

checkpoint.json       what was called, on which rows, by which versions; another call is refused
sweeps.log            what each pass over the rows gave (see sources.journal): the fit itself needs nothing else
model.safetensors     the best complete mixture so far, a model file as any other
lock                  held while a process works here
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mixtura import forms, storage
from mixtura.drafts import sweep
from mixtura.errors import FileError, ParameterError
from mixtura.mixture import Mixture
from mixtura.sources import Source
from mixtura.sources.digests import digest
from mixtura.sources.journal import Journal
from mixtura.sources.remembered import remembered

FORMAT = "mixtura.checkpoint.1"
HEADER, LOG, MODEL, LOCK = "checkpoint.json", "sweeps.log", "model.safetensors", "lock"
LIBRARIES = ("numpy", "scipy", "numba")  # that take part in the bits of a fit
COMPARED = {"format": "format", "versions": "version of", "source": "rows", "call": ""}  # and what a difference is called
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
SHOWN = 80  # characters of a value in the header: its digest tells it from others

HEADED = forms.fields(
    *("format", "entropy", "note"),
    entropy=forms.maybe(lambda value: forms.text(value) and re.fullmatch(r"\d{1,99}", value, re.ASCII) is not None),
    note=forms.mapped(forms.anything),
)

PathLike = str | os.PathLike[str]


class Noted(os.PathLike[str]):
    """A folder, and a note that is written into its header: how the command was called."""

    def __init__(self, folder: Path, note: Mapping[str, Any]):
        self.folder, self.note = folder, note

    def __fspath__(self) -> str:
        return str(self.folder)


class Unkept:
    """A fit of which nothing is kept, where no checkpoint is asked for."""

    def __init__(self, source: Source):
        self.source = source

    @property
    def kept_where(self) -> str:
        """What is said of an interrupted fit: that nothing of it is kept on disk."""
        return "use what there is, or checkpoint='DIR' next time, from which the same call goes on"

    def seeded(self, random_state: Any) -> Any:
        """What chance begins with."""
        return random_state

    def offer(self, worth: Any, mixture: Mixture) -> None:
        """A complete mixture, and what mixtures are ranked by; the best is written now and then."""

    def finish(self, mixture: Mixture) -> None:
        """Writes the mixture that the fit ends with."""


class Kept(Unkept):
    """A fit that is kept in a folder; its `source` remembers passes."""

    def __init__(self, folder: Path, source: Source, every: float, entropy: int | None):
        super().__init__(source)
        self.folder, self.every, self.entropy = folder, every, entropy
        self.written = time.monotonic()
        self.best: tuple[Any, Mixture] | None = None

    @property
    def kept_where(self) -> str:
        """Where it is, and how it goes on."""
        return f"the best so far is saved in {self.folder / MODEL}, and the same call goes on from there"

    def seeded(self, random_state: Any) -> Any:
        """Where there is no seed, the one that was drawn when the fit was first called."""
        return np.random.default_rng(self.entropy) if random_state is None else random_state

    def offer(self, worth: Any, mixture: Mixture) -> None:
        """The best so far is written at most every so many seconds."""
        if self.best is None or worth >= self.best[0]:
            self.best = worth, mixture
        if time.monotonic() - self.written >= self.every:
            self.finish(self.best[1])

    def finish(self, mixture: Mixture) -> None:
        """Beside the file, then renamed: it is whole at any moment."""
        mixture.save(self.folder / MODEL, {"columns": list(self.source.columns)} if self.source.named else {})
        self.written = time.monotonic()


@contextmanager
def opened(checkpoint: PathLike | None, every: str | float, source: Source, call: Mapping[str, Any], random_state: Any = 0) -> Iterator[Unkept]:
    """The fit of a source that `call` describes, kept in the folder where one is given; `random_state` is part of the call.

    Raises ParameterError where the folder holds another fit, naming the first difference, and for an `every` that is no time; FileError where
    another process works in the folder, or it cannot be written.
    """
    pause = seconds(every)
    if checkpoint is None:
        yield Unkept(source)
        return
    folder = Path(checkpoint)
    note = checkpoint.note if isinstance(checkpoint, Noted) else {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot keep a checkpoint in {folder}: {error.strerror or error}; try another folder") from None
    with _locked(folder):
        sweep(folder)
        entropy = _entropy(folder, _header(source, {**call, "random_state": random_state}), note)
        journal = Journal(folder / LOG, pause)
        try:
            yield Kept(folder, remembered(source, journal), pause, entropy)
        finally:
            journal.close()


def seconds(every: str | float) -> float:
    """A time as a number of seconds, or as text: 30, "30s", "5m" or "1h". Raises ParameterError for anything else.

    >>> seconds("5m"), seconds(2)
    (300.0, 2.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([smh]?)\s*", str(every)) if not isinstance(every, bool) else None
    if found is None:
        raise ParameterError(f"checkpoint_every is no time: got {every!r}, expected seconds >= 0, or text such as '30s', '5m' or '1h'; try '30s'")
    return float(found[1]) * UNITS[found[2]]


def note_of(folder: Path) -> Any:
    """What was noted in the folder's header. Raises FileError where there is none."""
    if not (folder / HEADER).is_file():
        raise FileError(
            f"cannot resume {folder}: got no {HEADER} there, expected the folder of a checkpoint; try the path that was given to --checkpoint"
        )
    return _read(folder)["note"]


def _header(source: Source, call: Mapping[str, Any]) -> dict[str, Any]:
    own = sys.modules[__package__ or ""].__version__  # the package itself, which imports this
    versions = {"mixtura": own, **{name: version(name) for name in LIBRARIES}}
    return {
        "format": FORMAT,
        "versions": versions,
        "source": source.fingerprint.split("\n"),
        "call": {name: _described(value) for name, value in call.items()},
    }


def _entropy(folder: Path, header: Mapping[str, Any], note: Mapping[str, Any]) -> int | None:
    """The seed that was drawn when the fit was first called, where it had none. Writes the header the first time, compares it later."""
    asked = json.loads(storage.as_json(header))
    if not (folder / HEADER).exists():
        if (folder / LOG).exists():
            raise FileError(f"cannot keep a checkpoint in {folder}: got a {LOG} without {HEADER}, expected both or none; try another folder")
        unseeded = header["call"]["random_state"] is None
        entropy = np.random.SeedSequence().entropy if unseeded else None
        storage.write_json(folder / HEADER, {**asked, "entropy": None if entropy is None else str(entropy), "note": note})
    known = _read(folder)
    for name, called in COMPARED.items():
        difference = _difference(called, asked[name], known.get(name))
        if difference is not None:
            what, got, expected = difference
            raise ParameterError(
                f"the checkpoint in {folder} is of another fit: got {what} {_short(got)}, expected {_short(expected)} as there; "
                "try the same call as then, or another folder"
            )
    return None if known["entropy"] is None else int(known["entropy"])


def _read(folder: Path) -> dict[str, Any]:
    path = folder / HEADER
    try:
        known = storage.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}; try another folder") from None
    except ValueError as error:
        raise FileError(f"{path} is damaged: {error}; expected the header of a checkpoint; try another folder") from None
    if not HEADED(known):
        raise FileError(f"{path} is no header of a checkpoint: got other contents; try another folder")
    header: dict[str, Any] = known
    return header


def _difference(what: str, got: Any, expected: Any) -> tuple[str, Any, Any] | None:
    """The first thing that differs: what it is called, and both values."""
    if got == expected:
        return None
    if isinstance(got, dict) and isinstance(expected, dict):
        parts: Any = [(f"{what} {name}".strip(), got.get(name), expected.get(name)) for name in {**expected, **got}]
    elif isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        parts = [(what, one, other) for one, other in zip(got, expected, strict=True)]
    else:
        return what, got, expected
    return next(found for part in parts if (found := _difference(*part)) is not None)


def _described(value: Any) -> Any:
    """JSON's own types as they are; of anything else how it looks, and a digest."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.integer | np.floating):
        return value.item()
    if isinstance(value, np.random.Generator):
        value = value.bit_generator.state
    elif isinstance(value, np.random.RandomState):
        value = value.get_state(legacy=False)
    if isinstance(value, list | tuple) and all(isinstance(one, bool | int | float | str) for one in value):
        return list(value)
    named = digest(value)
    return {"kind": type(value).__name__, "looks": _short(value), "digest": None if named is None else named.hex()}


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    text = re.sub(r" at 0x[0-9a-f]+", "", text)  # where it lies in memory tells nothing
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system takes back whatever becomes of the process."""
    try:
        file = open(folder / LOCK, "a+", encoding="ascii")  # noqa: SIM115 - closed below
    except OSError as error:
        raise FileError(f"cannot keep a checkpoint in {folder}: {error.strerror or error}; try another folder") from None
    with file:
        try:
            _lock(file.fileno())
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            raise FileError(
                f"the checkpoint in {folder} is in use: got a lock held by process {holder or 'unknown'}, expected none; "
                "try when that has ended, or another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        with suppress(OSError):
            file.truncate(0)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
