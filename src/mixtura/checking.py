"""Arguments that are one number: checked in one place, refused in one way."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from mixtura.errors import ParameterError


def whole(name: str, value: Any, least: int, remedy: object = None) -> None:
    """Raises ParameterError unless the value is an integer >= `least`.

    >>> whole("max_iter", 100, least=0)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise ParameterError(
            f"{name} is not usable: got {value!r}, expected an integer >= {least}; try {max(least, 1) if remedy is None else remedy}"
        )


def number(name: str, value: Any, expected: str, fits: Callable[[float], bool], remedy: object) -> None:
    """Raises ParameterError unless the value is a number that `fits`, which is said as `expected`.

    >>> number("tol", 0.5, "a number >= 0", lambda tol: tol >= 0, remedy=1e-3)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not fits(float(value)):
        raise ParameterError(f"{name} is not usable: got {value!r}, expected {expected}; try {remedy}")
