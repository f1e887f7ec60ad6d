"""The covariance structures, in one table: a new family is one entry here and, where its M-step is its own, one file beside this.

name             mclust   volume    shape     orientation   features   M-step                  exact under
tied_spherical   EII      equal     sphere    -             linear     closed form             rotations, one scale
spherical        VII      variable  sphere    -             norm       closed form             rotations, one scale
tied_diag        EEI      equal     equal     the columns'  linear     closed form             a scale per column
vei              VEI      variable  equal     the columns'  diagonal   turns of two maxima     a scale per column
evi              EVI      equal     variable  the columns'  diagonal   closed form             a scale per column
diag             VVI      variable  variable  the columns'  diagonal   closed form             a scale per column
tied             EEE      equal     equal     equal         linear     closed form             any linear map
vee              VEE      variable  equal     equal         full       turns of two maxima     any linear map
eve              EVE      equal     variable  equal         full       minorised by planes     rotations, one scale
vve              VVE      variable  variable  equal         full       minorised by planes     rotations, one scale
eev              EEV      equal     equal     variable      full       closed form             rotations, one scale
vev              VEV      variable  equal     variable      full       turns of two maxima     rotations, one scale
evv              EVV      equal     variable  variable      full       closed form             any linear map
full             VVV      variable  variable  variable      full       closed form             any linear map

The six that scikit-learn's words fit have such names. No word says which of three things are equal better than the three letters do, so the
other eight are called by their codes in lower case. One column has no shape: there E is EII and V is VII.
"""

from __future__ import annotations

from mixtura.errors import ParameterError
from mixtura.families.common_axes import COMMON_AXES, COMMON_AXES_EQUAL_VOLUMES
from mixtura.families.family import Family
from mixtura.families.own_axes import OWN_AXES_EQUAL, OWN_AXES_PROPORTIONAL
from mixtura.families.proportional import PROPORTIONAL
from mixtura.families.volumes import EQUAL_VOLUMES

ALL: tuple[Family, ...] = (  # the special before the general
    Family.of("EII", "tied_spherical"),
    Family.of("VII", "spherical"),
    Family.of("EEI", "tied_diag"),
    Family.of("VEI", constraint=PROPORTIONAL),
    Family.of("EVI", constraint=EQUAL_VOLUMES),
    Family.of("VVI", "diag"),
    Family.of("EEE", "tied"),
    Family.of("VEE", constraint=PROPORTIONAL),
    Family.of("EVE", constraint=COMMON_AXES_EQUAL_VOLUMES),
    Family.of("VVE", constraint=COMMON_AXES),
    Family.of("EEV", constraint=OWN_AXES_EQUAL),
    Family.of("VEV", constraint=OWN_AXES_PROPORTIONAL),
    Family.of("EVV", constraint=EQUAL_VOLUMES),
    Family.of("VVV", "full"),
)
USUAL = tuple(one for one in ALL if one.constraint is None)  # one covariance for all, or each its own: a search over these is quick
FAMILIES: dict[str, Family] = {key: one for one in ALL for key in (one.name, one.code)}
FAMILIES |= {"E": FAMILIES["EII"], "V": FAMILIES["VII"]}


def family_of(name: str | Family) -> Family:
    """The family of this name ("full") or mclust code ("VVV").

    Raises ParameterError for any other name.
    """
    if isinstance(name, Family):
        return name
    if name not in FAMILIES:
        known = ", ".join(one.code if one.name == one.code.lower() else f"{one.name} ({one.code})" for one in ALL)
        raise ParameterError(f"unknown covariance family: got {name!r}, expected one of {known}; try 'full'")
    return FAMILIES[name]


__all__ = ["ALL", "FAMILIES", "USUAL", "Family", "family_of"]
