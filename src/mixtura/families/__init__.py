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

Beside these stand two for many columns, with any number q of factors, whose covariances are never D x D:

factor:q         -        q loadings and a noise for each column        projected  a step of EM            a scale per column
ppca:q           -        q loadings and one noise                      projected  a step of EM            rotations, one scale
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from mixtura import checking
from mixtura.errors import ParameterError
from mixtura.factors import Factors
from mixtura.families.common_axes import COMMON_AXES, COMMON_AXES_EQUAL_VOLUMES
from mixtura.families.family import Family
from mixtura.families.own_axes import OWN_AXES_EQUAL, OWN_AXES_PROPORTIONAL
from mixtura.families.proportional import PROPORTIONAL
from mixtura.families.volumes import EQUAL_VOLUMES
from mixtura.moments import NORM

ALL: tuple[Family, ...] = (
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
"""The fourteen families, the special before the general."""

USUAL = tuple(one for one in ALL if one.constraint is None)  # one covariance for all, or each its own: no M-step takes turns
"""The six of them whose components share one covariance or nothing."""

FAMILIES: dict[str, Family] = {key: one for one in ALL for key in (one.name, one.code)}
FAMILIES |= {"E": FAMILIES["EII"], "V": FAMILIES["VII"]}
"""Every family by its name and by its code. What is added here is known by its name everywhere (docs/how-to-extend.md)."""


@lru_cache(maxsize=256)
def _factored(kind: str, q: int) -> Family:
    return Family(f"{kind}:{q}", f"{kind}:{q}", Factors(q, kind == "ppca"), False)


def factor(n_factors: int) -> Family:
    """Mixtures of factor analysers: Sigma_k = A_k A_k' + diag(psi_k), with `n_factors` q columns of loadings A_k.

    For many columns: a sweep takes N K D q operations and no D x D matrix, and K (D q - q (q - 1) / 2 + D) numbers are free. Loadings are free but
    for a rotation; they tell where (D - q)^2 >= D + q (Ledermann's bound), and beyond it the count stops at that of a whole matrix. Changing
    the units of a column changes no assignment.

    Raises ParameterError unless q is an integer >= 1; it must be less than D where columns are known.

    Source: Ghahramani & Hinton (1996), "The EM algorithm for mixtures of factor analyzers", CRG-TR-96-1; McLachlan & Peel (2000), chapter 8.

    >>> from mixtura.families import factor
    >>> factor(5).name, factor(5).n_parameters(K=1, D=100)
    ('factor:5', 690)
    """
    checking.whole("n_factors", n_factors, 1, 5)
    return _factored("factor", int(n_factors))


def ppca(n_factors: int) -> Family:
    """Mixtures of probabilistic principal component analysers: Sigma_k = A_k A_k' + s_k I, with `n_factors` q columns of loadings A_k.

    As `factor`, with one noise s_k for all columns of a component: for columns of one unit. For K = 1 loadings span the widest q principal
    components, and the noise is the mean variance along the others. Rotations of rows carry the fit along.

    Raises ParameterError unless q is an integer >= 1; it must be less than D where columns are known.

    Source: Tipping & Bishop (1999), "Mixtures of probabilistic principal component analysers", Neural Computation 11, 443-482.

    >>> from mixtura.families import ppca
    >>> ppca(5).n_parameters(K=1, D=100)
    591
    """
    checking.whole("n_factors", n_factors, 1, 5)
    return _factored("ppca", int(n_factors))


LONG = 10  # digits of a number of factors: no file has so many columns
WITH_FACTORS = {"factor": factor, "ppca": ppca}


def family_of(name: str | Family, n_factors: int | None = None) -> Family:
    """The family of this name ("full") or mclust code ("VVV"); "factor:5", or "factor" with `n_factors` 5, is that of five factors.

    Raises ParameterError for any other name, for factors without a number, and for a number that the family has no use for.

    >>> from mixtura.families import family_of
    >>> family_of("ppca:3") is family_of("ppca", 3)
    True
    """
    kind, colon, number = (name.name if isinstance(name, Family) else name if isinstance(name, str) else "").partition(":")
    if kind in WITH_FACTORS:
        if n_factors is not None and not colon:
            return WITH_FACTORS[kind](n_factors)
        if not (number.isascii() and number.isdigit() and len(number) < LONG and int(number) >= 1):
            got = "none" if not colon else checking.short(number)
            raise ParameterError(f"family {kind!r} needs a number of factors: got {got}, expected an integer >= 1; try '{kind}:5', or n_factors=5")
        if n_factors not in (None, int(number)):
            raise ParameterError(f"two numbers of factors: got {name!r} and n_factors={checking.short(n_factors)}, expected one; try n_factors=None")
        return WITH_FACTORS[kind](int(number))
    if n_factors is not None:
        raise ParameterError(
            f"family {checking.short(name)} has no factors: got n_factors={checking.short(n_factors)}, expected None; try covariance_type='factor'"
        )
    if isinstance(name, Family):
        return name
    if not isinstance(name, str) or name not in FAMILIES:
        known = ", ".join(one.code if one.name == one.code.lower() else f"{one.name} ({one.code})" for one in ALL)
        raise ParameterError(f"unknown covariance family: got {checking.short(name)}, expected one of {known}, factor:q or ppca:q; try 'full'")
    return FAMILIES[name]


def has_factors(name: object) -> bool:
    """Whether this is a family of factors, or the name of one, with or without their number.

    >>> from mixtura.families import has_factors
    >>> has_factors("factor:5"), has_factors("full")
    (True, False)
    """
    return (name.name if isinstance(name, Family) else str(name)).partition(":")[0] in WITH_FACTORS


def in_order(chosen: Iterable[Family]) -> list[Family]:
    """Each once, the special before the general: those of `ALL` as they stand there, then ppca and factor by their numbers of factors.

    >>> from mixtura.families import family_of, in_order
    >>> [one.code for one in in_order(map(family_of, ["full", "ppca:3", "tied", "EEE"]))]
    ['EEE', 'VVV', 'ppca:3']
    """
    places = {one.name: place for place, one in enumerate(ALL)}
    unique = {one.name: one for one in chosen}.values()
    return sorted(unique, key=lambda one: (places.get(one.name, len(ALL)), one.moment.reference is not NORM, one.n_factors))


__all__ = ["ALL", "FAMILIES", "USUAL", "Family", "factor", "family_of", "has_factors", "in_order", "ppca"]
