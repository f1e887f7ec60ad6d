"""Arguments that are one number, one of some words, or an array: checked in one place, refused in one way."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import ParameterError

MOST = 2**63 - 1  # of integers: what an index may be
SHOWN = 200  # characters of a value in a message


def short(value: object) -> str:
    """A value for a message: as Python writes it, in one line, the middle left out where that is long.

    >>> short([1, 2]), len(short(10**400)) < 250
    ('[1, 2]', True)
    """
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of more digits than Python writes
        text = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
    half = (SHOWN - 5) // 2
    return text if len(text) <= SHOWN else f"{text[:half]} ... {text[-half:]}"


def whole(name: str, value: Any, least: int, remedy: object = None) -> None:
    """Raises ParameterError unless the value is an integer >= `least`.

    >>> whole("max_iter", 100, least=0)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) <= MOST:
        much = f" to {MOST}" if isinstance(value, numbers.Integral) and int(value) > MOST else ""
        raise ParameterError(
            f"{name} is not usable: got {short(value)}, expected an integer >= {least}{much}; try {max(least, 1) if remedy is None else remedy}"
        )


def number(name: str, value: Any, expected: str, fits: Callable[[float], bool], remedy: object) -> None:
    """Raises ParameterError unless the value is a number that `fits`, which is said as `expected`.

    >>> number("tol", 0.5, "a number >= 0", lambda tol: tol >= 0, remedy=1e-3)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not _fits(value, fits):
        raise ParameterError(f"{name} is not usable: got {short(value)}, expected {expected}; try {remedy}")


def word(what: str, value: Any, known: Iterable[str], remedy: str, more: str = "") -> None:
    """Raises ParameterError unless the value is one of the known words; `what` is what it should name, `more` what else would do.

    >>> word("criterion", "bic", ("aic", "bic"), "bic")
    """
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"unknown {what}: got {short(value)}, expected one of {', '.join(map(repr, known))}{more}; try {remedy!r}")


def array(name: str, value: Any, expected: str, remedy: str, verb: str = "is") -> NDArray[np.float64]:
    """A copy of the value in float64. Raises ParameterError where it is not numbers that float64 holds.

    >>> array("means", [[1, 2]], "an array of floats", "numpy.zeros((1, 2))")
    array([[1., 2.]])
    """
    try:
        with np.errstate(over="ignore"):
            return np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{name} {verb} not numbers: got {short(value)}, expected {expected}; try {remedy}") from None


def _fits(value: numbers.Real, fits: Callable[[float], bool]) -> bool:
    try:
        return fits(float(value))
    except OverflowError:
        return False
