"""Everything random comes from one generator, made here from whatever the user calls a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from mixtura.checking import short
from mixtura.errors import ParameterError


def generator_of(random_state: Any) -> np.random.Generator:
    """The generator for a `random_state`: None, an integer >= 0, a sequence of them, or a generator itself.

    Raises ParameterError for anything else.
    """
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"random_state is not usable: got {short(random_state)}, expected None, an integer >= 0 or a Generator; try 0") from None
