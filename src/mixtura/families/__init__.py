"""The covariance structures, in one table: a new family is one entry here and, where its M-step is its own, one file beside this.

name             mclust   volume, shape, orientation       features
tied_spherical   EII      one sphere for all               linear
spherical        VII      a sphere each                    norm
tied_diag        EEI      one axis-aligned ellipsoid       linear
diag             VVI      an axis-aligned ellipsoid each   diagonal
tied             EEE      one ellipsoid for all            linear
full             VVV      an ellipsoid each                full
"""

from __future__ import annotations

from mixtura.errors import ParameterError
from mixtura.families.family import DIAG, FULL, SPHERICAL, TIED, TIED_DIAG, TIED_SPHERICAL, Family

ALL: tuple[Family, ...] = (TIED_SPHERICAL, SPHERICAL, TIED_DIAG, DIAG, TIED, FULL)  # the special before the general
FAMILIES: dict[str, Family] = {key: family for family in ALL for key in (family.name, family.code)}


def family_of(name: str | Family) -> Family:
    """The family of this name ("full") or mclust code ("VVV").

    Raises ParameterError for any other name.
    """
    if isinstance(name, Family):
        return name
    if name not in FAMILIES:
        known = ", ".join(f"{family.name} ({family.code})" for family in ALL)
        raise ParameterError(f"unknown covariance family: got {name!r}, expected one of {known}; try 'full'")
    return FAMILIES[name]


__all__ = ["ALL", "FAMILIES", "Family", "family_of"]
