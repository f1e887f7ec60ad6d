"""What is typed after an option, as a value.

--components 3 | 1:9 | 2,4,6     the numbers
--family full | VVV,EEE | auto   names, or a group of them
--columns, --keep a,b | "a, b",c names; quotes keep a comma inside one
--subsample 50000 | all          a number, or None
"""

from __future__ import annotations

import csv
import re

from mixtura.errors import ParameterError
from mixtura.forms import short

GROUPS = ("auto", "all", "usual")
RANGE = re.compile(r"(\d{1,6})(?::(\d{1,6}))?")


def components(text: str) -> tuple[int, ...]:
    """The numbers of components that `text` names, ascending; a:b has both ends.

    Raises ParameterError for anything else, and for numbers below 1.

    >>> components("1:3,6")
    (1, 2, 3, 6)
    """
    parts = [RANGE.fullmatch(part.strip()) for part in text.split(",")]
    numbers = {K for part in parts if part for K in range(int(part[1]), int(part[2] or part[1]) + 1)}
    if None in parts or not numbers or min(numbers) < 1 or any(part and part[2] and int(part[2]) < int(part[1]) for part in parts):
        raise ParameterError(f"--components is not usable: got {text!r}, expected a number >= 1, a range or a list; try 3, 1:9 or 2,4,6")
    return tuple(sorted(numbers))


def subsample(text: str) -> int | None:
    """The number of rows that `text` names; None for "all".

    Raises ParameterError for anything else.

    >>> subsample("50000"), subsample("all")
    (50000, None)
    """
    if text == "all":
        return None
    if not text.isdecimal() or not 2 <= int(text) < 10**12:
        raise ParameterError(f"--subsample is not usable: got {text!r}, expected a number of rows >= 2 or 'all'; try 50000")
    return int(text)


def families(text: str) -> str | tuple[str, ...]:
    """The families that `text` names, by our names or mclust's; "auto", "all" and "usual" as they are.

    Raises ParameterError for an unknown one.

    >>> families("full, EEE")
    ('full', 'tied')
    """
    from mixtura.families import family_of

    return text if text in GROUPS else tuple(family_of(name).name for name in names(text))


def names(text: str) -> tuple[str, ...]:
    """The comma-separated names in `text`; quotes keep a comma inside one.

    Raises ParameterError where they cannot be told apart.

    >>> names('a,"b, c"')
    ('a', 'b, c')
    """
    try:
        return tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))
    except csv.Error as error:
        raise ParameterError(
            f"names are not usable: {error}; got {short(text)}, expected names with commas between; try quotes around each"
        ) from None
