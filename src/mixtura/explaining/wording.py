"""Numbers and sentences about a mixture as people write them: no more digits, and no more certainty, than there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from mixtura.explaining.choice import Evidence
from mixtura.explaining.columns import Distinctive, distinctive
from mixtura.explaining.surveying import RARE, SURE, Survey
from mixtura.mixture import Mixture
from mixtura.selection.criteria import TITLES

TELLING = 0.7  # columns that a component shares less than this of with the rest are worth a word
MENTIONED = 3  # of them
HIGHER = 0.5  # pooled deviations between means that are called apart
NARROWER = 0.8  # of the deviation of the rest
NEGLIGIBLE = 0.01  # shares below are not worth a sentence
LISTED = 4  # names in a sentence
MOST = 6  # decimals
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def number(value: float, digits: int = 4) -> str:
    """A number with four digits that count, and its thousands apart.

    >>> number(80.8712), number(1234567.0), number(-0.000012345), number(float("nan"))
    ('80.87', '1,234,567', '-1.234e-05', 'not known')
    """
    if not math.isfinite(value):
        return "not known"
    if 10**digits <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def measured(value: float, deviation: float) -> str:
    """A number with the digits that a standard deviation gives a meaning: to a hundredth of it, about.

    >>> measured(80.8712, 5.8), measured(-0.007415, 1.5), measured(123456.7, 2e4), measured(1e-9, 3e-9)
    ('80.87', '-0.01', '123,500', '1e-09')
    """
    if not (math.isfinite(value) and 0 < deviation < math.inf):
        return number(value)
    decimals = 2 - math.floor(math.log10(deviation))
    if decimals > MOST or abs(value) >= 1e9:
        return f"{value:.3g}"
    rounded = round(value, decimals) + 0.0  # no -0.0
    return f"{rounded:,.{max(decimals, 0)}f}"


def percent(share: float) -> str:
    """A share of a whole; never all or nothing unless it is.

    >>> percent(0.98765), percent(0.0312), percent(0.99999), percent(0.0001), percent(1.0)
    ('98.8 %', '3.1 %', 'more than 99.9 %', 'less than 0.1 %', '100 %')
    """
    if math.isnan(share):
        return "not known"
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.001:
        return "less than 0.1 %"
    if share > 0.999:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"


def briefly(share: float) -> str:
    """The same for a table.

    >>> briefly(0.98765), briefly(0.0001)
    ('98.8 %', '< 0.1 %')
    """
    return percent(share).replace("more than", ">").replace("less than", "<")


def several(count: int, what: str) -> str:
    """A number of things, the few of them in a word.

    >>> several(1, "component"), several(3, "component"), several(1200, "row")
    ('one component', 'three components', '1,200 rows')
    """
    return f"{WORDS[count] if 0 <= count < len(WORDS) else f'{count:,}'} {what}{'s' * (count != 1)}"


def listing(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listing(["a"]), listing(["a", "b"]), listing(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    if len(names) > LISTED:
        return f"{', '.join(names[:LISTED])} and {len(names) - LISTED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def numbers(tried: Sequence[int]) -> str:
    """Which numbers of components were tried.

    >>> numbers([1, 2, 3]), numbers([2, 4, 8]), numbers([3])
    ('1 to 3', '2, 4 and 8', '3')
    """
    if len(tried) > 2 and list(tried) == list(range(tried[0], tried[-1] + 1)):
        return f"{tried[0]} to {tried[-1]}"
    return listing([str(K) for K in tried])


def opening(K: int, known: Evidence | None, rows: str) -> str:
    """The first sentence: how many components, and among what.

    >>> opening(2, None, "272 rows")
    'These 272 rows are described by a mixture of two Gaussian components.'
    """
    if known is None or len(known.tried) < 2:
        return f"These {rows} are described by a mixture of {several(K, 'Gaussian component')}."
    best = (
        "One Gaussian component describes" if K == 1 else f"{several(K, 'Gaussian component').capitalize().replace('gaussian', 'Gaussian')} describe"
    )
    return f"{best} these {rows} best, among {known.n_candidates:,} candidates with {numbers(known.tried)} components, by {TITLES[known.criterion]}."


def how_sure(known: Evidence | None) -> Iterator[str]:
    """How sure the number of components is, and the family."""
    if known is None:
        yield "How it compares with other numbers of components is not known here: the model came without a selection."
        return
    if len(known.tried) < 2:
        yield f"Only {several(known.tried[0], 'component')} {'was' if known.tried[0] == 1 else 'were'} tried, so nothing is said of other numbers."
    elif known.rival is None:
        yield "No candidate with another number of components can be compared with it: none is regular and was fitted to the same rows."
    else:
        yield _against(known, int(known.rival["components"]))
    if len(known.tried) > 1 and known.chosen["components"] == known.tried[-1]:
        yield f"{known.tried[-1]} is the largest number that was tried: more may do better still."
    if known.relative is not None and known.family_difference >= 0:
        of, other = known.chosen, known.relative
        yield (
            f"Its covariances are of family {_family(of)}; the next best family with as many components, {_family(other)}, is "
            f"{_gap(known, known.family_difference)} behind."
        )
    if known.chosen["status"] == "spurious":
        yield "This optimum is not a regular one: a component rests on too few rows, or is nearly flat, so that the criterion means little."
    elif known.chosen["status"] == "not converged":
        yield "The fit had not converged when it ended, so these figures may still improve."


def _against(known: Evidence, rival: int) -> str:
    """The chosen number beside the next best one."""
    K, gap = int(known.chosen["components"]), _gap(known, known.difference)
    title = TITLES[known.criterion]
    if known.criterion == "held_out":
        return f"On rows that were left out of the fit, the mean log density is {gap} nats per row above that of {rival} components."
    prefers = f"{title} prefers {K} to {rival} components by {gap}"
    if known.criterion == "bic":
        if known.difference <= 2:
            return f"{title} hardly tells {K} from {rival} components: they differ by {gap}, which is {known.strength} (Kass and Raftery 1995)."
        return f"{prefers}: {known.strength} evidence on the scale of Kass and Raftery (1995), if the model is right."
    if known.criterion == "aic":
        support = (
            "both are well supported"
            if known.difference <= 2
            else "which has less support"
            if known.difference <= 10
            else "which has hardly any support"
        )
        return f"{prefers}: {support} (Burnham and Anderson 2002)."
    return f"{prefers}; there is no agreed scale for such a difference."


def _gap(known: Evidence, difference: float) -> str:
    return f"{difference:.2g}" if known.criterion == "held_out" else f"{difference:.1f}"


def _family(one: object) -> str:
    figures: dict[str, str] = dict(one)  # type: ignore[call-overload]
    name, code = figures["family"], figures.get("code", "")
    return name if not code or name == code.lower() else f"{name} ({code})"


def told_apart(mixture: Mixture, seen: Survey) -> Iterator[str]:
    """How surely rows belong to components, and which of these overlap."""
    if mixture.K == 1:
        return
    sure = seen.sure / seen.weight
    begins = f"{'All' if sure == 1 else percent(sure) + ' of the'} rows belong to one component with a probability of at least {SURE:g}"
    if seen.mistaken < 0.0005:
        yield f"{begins}; hardly any row would be assigned to the wrong one."
    else:
        yield f"{begins}. If the mixture is right, about {percent(seen.mistaken)} of all rows are assigned to another component than their own."
    shares = np.nan_to_num(seen.overlap)
    np.fill_diagonal(shares, 0.0)
    k, j = (int(index) for index in np.unravel_index(int(shares.argmax()), shares.shape))
    if shares[k, j] < NEGLIGIBLE:
        yield f"Of the rows of each component, at most 1 % would be assigned to {'any' if mixture.K > 2 else 'the'} other."
    else:
        back = f", and of those of {j}, {percent(shares[j, k])} to {k}" if shares[j, k] >= NEGLIGIBLE else ""
        most = "Components" if mixture.K == 2 else "The components that overlap most are"
        if mixture.K == 2:
            yield f"{most} {k} and {j} overlap: of the rows of {k}, {percent(shares[k, j])} would be assigned to {j}{back}."
        else:
            yield f"{most} {k} and {j}: of the rows of {k}, {percent(shares[k, j])} would be assigned to {j}{back}."


def apart(mixture: Mixture, names: Sequence[str] | None = None, found: Distinctive | None = None) -> list[str]:
    """For each component a sentence on what sets it apart from the rest: its most distinctive columns, which lie higher, lower or narrower.

    `names` are those of the columns, x0, x1, ... where not given; `found` is `distinctive(mixture)`, where that is known.

    Raises ParameterError where there is one component.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 5.0], [4.0, 5.0]], [[1.0, 9.0], [1.0, 9.0]], "diag")
    >>> mixtura.explaining.apart(mixture, ["eruptions", "waiting"])
    ['lower in eruptions (0.00 against 4.00 in the rest)', 'higher in eruptions (4.00 against 0.00 in the rest)']
    """
    names = [f"x{j}" for j in range(mixture.D)] if names is None else names
    found = distinctive(mixture) if found is None else found
    return [_apart(mixture, names, found, k) for k in range(mixture.K)]


def _apart(mixture: Mixture, names: Sequence[str], found: Distinctive, k: int) -> str:
    order = np.argsort(found.shared[k], kind="stable")[:MENTIONED]
    telling = [int(j) for j in order if found.shared[k, j] < TELLING]
    if not telling:
        return "no column alone sets it apart from the rest" if mixture.D > 1 else "in the midst of the rest"
    said: dict[str, list[str]] = {}
    for j in telling:
        how, against = _how(mixture, found, k, j)
        said.setdefault(how, []).append(f"{names[j]} ({against})")
    return "; ".join(f"{how} {listing(columns)}" for how, columns in said.items())


def _how(mixture: Mixture, found: Distinctive, k: int, j: int) -> tuple[str, str]:
    """In what a component differs in a column, and the figures."""
    difference, mean, deviation = found.difference[k, j], mixture.means[k, j], float(np.sqrt(mixture.variances[k, j]))
    rest, spread = found.rest[k, j], found.spread[k, j]
    if abs(difference) >= HIGHER:
        return "higher in" if difference > 0 else "lower in", f"{measured(mean, deviation)} against {measured(rest, deviation)} in the rest"
    spreads = f"{measured(mean, deviation)} ± {measured(deviation, deviation)}, the rest {measured(rest, deviation)} ± {measured(spread, spread)}"
    if found.ratio[k, j] < NARROWER:
        return "closer together in", spreads
    if found.ratio[k, j] > 1 / NARROWER:
        return "more spread out in", spreads
    return "elsewhere in", spreads


def unusual(seen: Survey) -> str:
    """Whether there are more unlikely rows than the mixture itself would give."""
    expected = seen.weight * RARE
    one, about = round(seen.rare, 2) == 1, f"{expected:.1f}" if expected < 10 else f"{expected:,.0f}"
    found = "One row is" if one else f"{number(round(seen.rare, 2))} rows are" if seen.rare else "No row is"
    begins = f"{found} less likely than 999 of 1,000 draws from the mixture; about {about} would be by chance"
    if seen.rare > expected + 3 * math.sqrt(expected) + 1:
        return f"{begins}, so some rows do not belong to any component, or the components have heavier tails than Gaussians."
    return f"{begins}: nothing out of the ordinary." if seen.rare else f"{begins}."
