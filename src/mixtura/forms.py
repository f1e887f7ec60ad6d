"""What a value that was read from a file may look like. A form is a question: does it?

>>> shaped = fields(history=listed(number), data=fields(path=text))
>>> shaped({"history": [-1.5, None]}), shaped({"history": [-1.5], "data": {"path": "rows.csv"}, "more": 3})
(False, True)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

LONGEST = 80  # characters of a value in a message
Form = Callable[[Any], bool]


def anything(value: Any) -> bool:
    """Whatever it is."""
    return True


def text(value: Any) -> bool:
    """Text."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def whole(value: Any) -> bool:
    """An integer that NumPy knows too."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def number(value: Any) -> bool:
    """A number that is finite as a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def finite_or_not(value: Any) -> bool:
    """A number, NaN and infinities among them."""
    return number(value) or isinstance(value, float)


def either(*forms: Form) -> Form:
    """One of these."""
    return lambda value: any(form(value) for form in forms)


def short(value: Any) -> str:
    """A value in a message: as much of it as fits into a line.

    >>> short("long " * 100)[-9:]
    'long l...'
    """
    try:
        looks = repr(value)
    except ValueError:  # a number of thousands of digits
        looks = f"something of {type(value).__name__}"
    return looks if len(looks) <= LONGEST else f"{looks[: LONGEST - 3]}..."


def maybe(form: Form) -> Form:
    """This, or None."""
    return lambda value: value is None or form(value)


def listed(form: Form) -> Form:
    """A list of these."""
    return lambda value: isinstance(value, list) and all(map(form, value))


def row(*forms: Form) -> Form:
    """A list with one of each."""
    return lambda value: isinstance(value, list) and len(value) == len(forms) and all(form(one) for form, one in zip(forms, value, strict=True))


def mapped(form: Form) -> Form:
    """An object whose values are such, whatever they are called."""
    return lambda value: isinstance(value, dict) and all(map(form, value.values()))


def exactly(**forms: Form) -> Form:
    """An object with these names and no others, whose values are such."""
    return lambda value: isinstance(value, dict) and set(value) == set(forms) and all(form(value[name]) for name, form in forms.items())


def fields(*needed: str, **forms: Form) -> Form:
    """An object whose values of these names, where it has them, are such; those `needed` it has."""
    return lambda value: (
        isinstance(value, dict) and all(name in value for name in needed) and all(form(value[name]) for name, form in forms.items() if name in value)
    )
