"""One case: a kind and a generator that follow from seed and number, and what became of it.

What a case may end in: an answer that keeps the laws, or a refusal, which is an error of Mixtura's that names a remedy, or one that
scikit-learn raises where an estimator leaves the checking to it. Everything else is a finding: another error, a warning that is not
Mixtura's, a law that is broken.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mixtura.errors import MixturaError, MixturaWarning

LONGEST = 4_000  # characters of a message: more is no message
FRAMES = 6  # of a traceback, the last ones
SHOWN = 300  # characters of a message in a finding


class Broken(AssertionError):
    """A law that an answer breaks."""


class Case:
    """What a case draws from, where it may write, and what it says of itself."""

    def __init__(self, seed: int, number: int, folder: Path):
        self.draw = np.random.default_rng([seed, number])
        self.folder = folder
        self.notes: list[str] = []

    def note(self, what: str, value: Any) -> Any:
        """Keeps what was drawn, for a finding, and returns it."""
        self.notes.append(f"{what}={value!r}" if isinstance(value, str | int | float | bool | tuple | dict | None) else f"{what}: {value}")
        return value

    def one_of(self, what: str, choices: Any) -> Any:
        """One of them, noted."""
        choices = list(choices)
        return self.note(what, choices[int(self.draw.integers(len(choices)))])

    def chance(self, share: float) -> bool:
        """True in such a share of cases."""
        return bool(self.draw.uniform() < share)

    def require(self, holds: Any, law: str) -> None:
        """Raises Broken unless the law holds."""
        if not holds:
            raise Broken(law)


class Outcome(NamedTuple):
    """What became of a case: answered, refused or found; why it was refused or what was found, and of a finding the details."""

    number: int
    kind: str
    result: str
    why: str = ""
    details: str = ""


Kind = Callable[[Case], None]


def run(kinds: dict[str, Kind], shares: tuple[str, ...], seed: int, number: int, folder: Path) -> Outcome:
    """Runs the case of this number in a folder of its own."""
    name = shares[number % len(shares)]
    case = Case(seed, number, folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            kinds[name](case)
            result, said, finding, trace = "answered", "", "", ""
        except Exception as error:  # noqa: BLE001 - what is not ours is what is looked for
            result, said = _judged(error)
            finding = said if result == "found" else ""
            trace = "".join(traceback.format_exception(error)[-FRAMES:]) if finding else ""
    foreign = [one for one in caught if not issubclass(one.category, MixturaWarning) and not _of_names(one)]
    if foreign and not finding:
        first = foreign[0]
        finding = f"a warning that is not Mixtura's: {first.category.__name__}: {first.message} ({Path(first.filename).name}:{first.lineno})"
    if not finding:
        return Outcome(number, name, result, _short(said))
    return Outcome(number, name, "found", _short(finding), "\n".join([*case.notes, trace]).strip())


def _of_names(warning: warnings.WarningMessage) -> bool:
    """Whether scikit-learn warns of rows with names where there were none, or the other way round, as it does for every estimator."""
    return issubclass(warning.category, UserWarning) and "valid feature names" in str(warning.message)


def _judged(error: Exception) -> tuple[str, str]:
    """ "refused" or "found", and why or what."""
    if isinstance(error, MixturaError):
        message = str(error)
        if len(message) > LONGEST:
            return "found", f"a message of {len(message)} characters: {type(error).__name__}: {message}"
        if "try " not in message and "expected" not in message:
            return "found", f"a message without a remedy: {type(error).__name__}: {message}"
        return "refused", message
    if isinstance(error, ValueError | TypeError) and not isinstance(error, OverflowError) and _raised_by_scikit_learn(error):
        return "refused", f"scikit-learn: {error}"
    if isinstance(error, Broken):
        return "found", f"a broken law: {error}"
    return "found", f"{type(error).__name__}: {error}"


def _raised_by_scikit_learn(error: BaseException) -> bool:
    """Whether scikit-learn's own checks of X raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "/sklearn/utils/" in frames[-1].filename.replace("\\", "/")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."
