"""For the reference pages: examples in docstrings (`>>> ...`) become blocks of code; Markdown would take them for quotations.

And our own `cached_property` is one: what it decorates is an attribute.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object, stdlib_decorators

stdlib_decorators["mixtura.properties.cached_property"] = stdlib_decorators["functools.cached_property"]

EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


class FencedExamples(Extension):
    """Fences every example."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called by griffe for everything that it reads."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(lambda match: f"```pycon\n{match[0]}\n```", obj.docstring.value)
