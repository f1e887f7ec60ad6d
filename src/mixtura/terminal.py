"""Text from strangers (names of columns and files, cells, what a model file says) as a terminal may be shown it: it steers nothing there."""

from __future__ import annotations

import json
import re
import unicodedata

STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of Unicode: controls, formats such as those that turn a line round, halves of pairs, line ends
JOINERS = "\u200c\u200d"  # of these formats, the two that words of some languages are spelled with
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def visible(text: str) -> str:
    r"""The text with whatever would steer a terminal spelled out: escape sequences, other control characters, ends of lines, changes of direction.

    >>> print(visible("red \x1b[31m, \n and \u202e"))
    red \x1b[31m, \n and \u202e
    """
    if _PRINTABLE.fullmatch(text):
        return text
    return "".join(_spelled(one) if _steers(one) else one for one in text)


def visible_in_json(text: str) -> str:
    r"""JSON in which the same is spelled as JSON spells it, so that it says the same; line ends between its parts stay.

    >>> print(visible_in_json('{"a\u009b": 1}'))
    {"a\u009b": 1}
    """
    if _PRINTABLE.fullmatch(text.replace("\n", "")):
        return text
    return "".join(json.dumps(one)[1:-1] if one != "\n" and _steers(one) else one for one in text)


def _steers(one: str) -> bool:
    return unicodedata.category(one) in STEERING and one not in JOINERS


def _spelled(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
