"""What a report says, as plain values that JSON knows: the page adds only their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.explaining import Distinctive, Evidence, apart, distinctive, evidence
from mixtura.explaining.choice import UNSURE
from mixtura.explaining.surveying import Survey, rare, survey
from mixtura.explaining.wording import briefly, how_sure, measured, number, opening, several, told_apart, unusual
from mixtura.mixture import Mixture
from mixtura.report.points import points, room
from mixtura.report.subject import Line, Subject
from mixtura.selection.criteria import TITLES
from mixtura.showing import colours, in_sight
from mixtura.sources import Source

LEAST = 10  # of the least likely rows
CARD = 12  # columns that a card lists
WIDE = 6  # columns up to which all values of a row are listed
TELLING = 3  # else so many, the most unusual
BEST = 10  # candidates in the first table
MOST = 200  # candidates in all
LONG = 1_000  # points of a curve
LEVEL = 1e-6  # nats per row: no fit looks at less
NAME = 100  # characters of a name
FIGURES = {"bic": "BIC", "icl": "ICL", "aic": "AIC", "held_out": "held-out", "log_likelihood": "loglik", "n_parameters": "parameters", "rows": "rows"}


@dataclass(frozen=True)
class Facts:
    """What the page shows; every value is text, a number, or a list or mapping of such.

    `verdict` are sentences, the first the answer; `apart` has a sentence for each component. `table` is the selection's, `curve` its picture and
    `history` that of the fit; each is None where it is not known. `scatter` is what report.js draws.
    """

    title: str
    where: str
    summary: str
    verdict: list[str]
    apart: list[str]
    cards: list[dict[str, Any]]
    overlap: list[list[str]] | None
    shades: list[list[float]] | None
    scatter: dict[str, Any]
    table: dict[str, Any] | None
    curve: dict[str, Any] | None
    history: dict[str, Any] | None
    least: dict[str, Any]
    warnings: list[str]
    command: str | None
    settings: list[tuple[str, str]]
    versions: list[tuple[str, str]]


@with_one_thread
def facts(subject: Subject, source: Source, name: str | None = None) -> Facts:
    """What there is to say of the subject and these rows, named `name`: two passes over them, and nothing of their number is held.

    Raises DataError for rows that are not finite or not as wide as the mixture, ParameterError for columns that do not fit it.
    """
    mixture = subject.mixture
    names = [_short(one) for one in _names(subject, source)]
    found = distinctive(mixture) if mixture.K > 1 else None
    ranked = _ranked(mixture, found)
    space = room(mixture.K, ranked)
    seen = survey(
        mixture, source, least=LEAST, drawn=space.rows, columns=[int(j) for j in space.columns], threshold=rare(mixture), gaussians=subject.gaussians
    )
    known = evidence(subject.candidates, subject.criterion) if subject.criterion and subject.candidates else None
    sentences = apart(mixture, names, found) if found else []
    return Facts(
        f"{several(mixture.K, 'component').capitalize()}{f' in {_short(name)}' if name else ''}",
        _short(source.origin, 4 * NAME),
        f"{seen.rows:,} rows{_weighted(seen)}, {several(mixture.D, 'column')}, family {_family(mixture)}, {mixture.n_parameters:,} parameters",
        [opening(mixture.K, known, f"{seen.rows:,} rows"), *how_sure(known), *told_apart(mixture, seen), unusual(seen)],
        sentences,
        _cards(mixture, names, found, seen, sentences),
        None if mixture.K == 1 else [[briefly(float(share)) for share in line] for line in seen.overlap],
        None if mixture.K == 1 else np.nan_to_num(seen.overlap).round(3).tolist(),
        _scatter(mixture, names, space.columns, ranked, seen),
        _table(known, subject.candidates),
        _curve(known, subject.compared or subject.candidates),
        _history(subject.history),
        _least(mixture, names, seen),
        _warnings(subject, source, seen),
        subject.command,
        [(key, _written(value)) for key, value in subject.settings.items() if value is not None],
        list(subject.versions.items()),
    )


def _names(subject: Subject, source: Source) -> Sequence[str]:
    """The columns' names. Raises ParameterError where rows with names of their own have others than the mixture was fitted on."""
    if subject.columns is not None and source.named and source.columns != subject.columns and source.D == subject.mixture.D:
        other = next(pair for pair in zip(source.columns, subject.columns, strict=True) if pair[0] != pair[1])
        raise ParameterError(
            f"the data do not fit the mixture: got column {other[0]!r} where it was fitted on {other[1]!r}, expected the same columns in the same "
            "order; try columns=[...]"
        )
    return subject.columns or source.columns


def _ranked(mixture: Mixture, found: Distinctive | None) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Columns from the most telling: what the components share least of, each by its weight. In their own order where there is one component."""
    if found is None:
        return np.arange(mixture.D)
    return np.argsort((mixture.weights @ found.shared).round(6), kind="stable")


def _cards(mixture: Mixture, names: Sequence[str], found: Distinctive | None, seen: Survey, sentences: Sequence[str]) -> list[dict[str, Any]]:
    deviations = np.sqrt(mixture.variances)
    shades = colours(mixture.K)

    def line(k: int, j: int) -> dict[str, str]:
        said = {
            "column": names[j],
            "mean": measured(mixture.means[k, j], deviations[k, j]),
            "deviation": measured(deviations[k, j], deviations[k, j]),
        }
        if found is None:
            return said
        return {**said, "rest": measured(found.rest[k, j], deviations[k, j]), "shared": briefly(float(found.shared[k, j].round(4)))}

    def card(k: int) -> dict[str, Any]:
        order = np.arange(mixture.D) if found is None else np.argsort(found.shared[k].round(6), kind="stable")
        return {
            "component": k,
            "colour": shades[k],
            "weight": f"{mixture.weights[k]:.4f}",
            "rows": _about(float(seen.counts[k])),
            "apart": sentences[k] if sentences else "",
            "lines": [line(k, int(j)) for j in order[:CARD]],
            "more": max(0, mixture.D - CARD),
        }

    return [card(k) for k in range(mixture.K)]


def _scatter(mixture: Mixture, names: Sequence[str], columns: Any, ranked: Any, seen: Survey) -> dict[str, Any]:
    place = {int(j): i for i, j in enumerate(columns)}
    first = [place[int(j)] for j in ranked[:2]]
    left = mixture.D - len(columns)
    notes = [f"All {len(seen.drawn.numbers):,} rows." if len(seen.drawn.numbers) == seen.rows else _sampled(seen)]
    if left:
        which = f"{several(left, 'column').capitalize()} that {'tells' if left == 1 else 'tell'} components apart least"
        notes.append(f"{which} cannot be chosen: the page would be too large.")
    if mixture.D > 1:
        notes.append("An ellipse holds 90 % of its component.")
    return {
        **points(mixture, seen.drawn, columns),
        "names": [names[int(j)] for j in columns],
        "first": sorted(first) if len(first) > 1 else [0, 0],
        "colours": colours(mixture.K),
        "weights": mixture.weights.tolist(),
        "note": " ".join(notes),
        "least": {"numbers": seen.least.numbers.tolist(), "values": seen.least.values[:, columns].tolist()},
    }


def _sampled(seen: Survey) -> str:
    by_weight = ", a row's chance going by its weight" if seen.weight != seen.rows else ""
    return f"{len(seen.drawn.numbers):,} of {seen.rows:,} rows, drawn at random{by_weight}."


def _table(known: Evidence | None, candidates: Sequence[Line]) -> dict[str, Any] | None:
    """The candidates with the figures that any of them has."""
    if known is None:
        return None
    alike = len({one.get("rows") for one in candidates if one["status"] != "too few rows"}) < 2
    figures = [key for key in FIGURES if any(_finite(one.get(key)) for one in candidates) and not (key == "rows" and alike)]
    lines = [
        {
            "components": one["components"],
            "family": one["family"],
            "code": one.get("code", ""),
            "figures": [_figure(key, one.get(key)) for key in figures],
            "status": one["status"],
            "regular": one["status"] not in UNSURE,
        }
        for one in candidates[:MOST]
    ]
    return {
        "criterion": TITLES[known.criterion],
        "figures": [FIGURES[key] for key in figures],
        "best": lines[:BEST],
        "others": lines[BEST:],
        "more": max(0, len(candidates) - MOST),
    }


def _figure(key: str, value: Any) -> str:
    if not _finite(value):
        return "–"
    return f"{value:,}" if key in ("n_parameters", "rows") else f"{value:,.4f}" if key == "held_out" else f"{value:,.2f}"


def _curve(known: Evidence | None, compared: Sequence[Line]) -> dict[str, Any] | None:
    """The criterion against the number of components, a line a family; colours by shape and orientation, dashes where volumes are equal."""
    if known is None:
        return None
    fitted = [one for one in compared if _finite(one.get(known.criterion)) and one.get("rows") == _most_rows(compared)]
    if len({one["components"] for one in fitted}) < 2:
        return None
    families = {one["family"]: str(one.get("code") or one["family"]) for one in fitted}
    groups = dict.fromkeys(code[1:] for code in families.values())
    shade = dict(zip(groups, colours(len(groups)), strict=True))
    lines = []
    for family, code in families.items():
        cells = sorted((one for one in fitted if one["family"] == family), key=lambda one: int(one["components"]))
        lines.append(
            {
                "name": code if family == code.lower() else f"{code} {family}",
                "x": [one["components"] for one in cells],
                "y": [one[known.criterion] for one in cells],
                "regular": [one["status"] not in UNSURE for one in cells],
                "colour": shade[code[1:]],
                "dash": "dash" if code[0] == "E" else "solid",
            }
        )
    rows = f", of {fitted[0]['rows']:,} rows" if known.chosen.get("rows") not in (None, fitted[0].get("rows")) else ""
    best = next((one for one in fitted if (one["components"], one["family"]) == (known.chosen["components"], known.chosen["family"])), None)
    return {
        "names": ["components", f"{TITLES[known.criterion]}{rows}"],
        "lines": lines,
        "range": list(in_sight([_regular(line) for line in lines])),
        "best": None if best is None else [best["components"], best[known.criterion]],
        "irregular": any(not all(line["regular"]) for line in lines),
    }


def _regular(line: Mapping[str, Any]) -> list[float]:
    """The regular points of a line; all where there is none."""
    return [y for y, regular in zip(line["y"], line["regular"], strict=True) if regular] or list(line["y"])


def _most_rows(compared: Sequence[Line]) -> Any:
    """The number of rows that most candidates saw: only these compare."""
    counts = [one.get("rows") for one in compared if one["status"] not in ("too few rows", "interrupted")]
    return max(set(counts), key=counts.count) if counts else None


def _history(history: Sequence[float]) -> dict[str, Any] | None:
    """The climb, thinned where it was long: every point of the first steps and of the end."""
    if len(history) < 2:
        return None
    steps = np.unique(np.concatenate([np.arange(min(len(history), LONG // 2)), np.linspace(0, len(history) - 1, LONG // 2).astype(int)]))
    values = [float(history[int(step)]) for step in steps]
    rise, taken = values[-1] - values[0], several(len(history) - 1, "step")
    slack = max(0.0, LEVEL - (max(values) - min(values))) / 2 + 0.05 * (max(values) - min(values))
    return {
        "names": ["step", "nats per row"],
        "x": steps.tolist(),
        "y": values,
        "range": [min(values) - slack, max(values) + slack],
        "said": f"The mean log-likelihood {_rose(rise)} to {values[-1]:.4f} nats per row in {taken}.",
    }


def _rose(rise: float) -> str:
    """How far the likelihood climbed; candidates of a grid often begin where another ended."""
    return "began within a millionth of where it ended, and came" if abs(rise) < LEVEL else f"rose by {number(rise)}"


def _least(mixture: Mixture, names: Sequence[str], seen: Survey) -> dict[str, Any]:
    """The least likely rows: number, density, component, and the values that are most unusual for it."""
    deviations = np.sqrt(mixture.variances)
    rows = seen.least

    def line(i: int) -> dict[str, Any]:
        k = int(rows.component[i])
        away = (rows.values[i] - mixture.means[k]) / deviations[k]
        order = np.argsort(-np.abs(away), kind="stable")[: TELLING if mixture.D > WIDE else WIDE]
        return {
            "number": f"{int(rows.numbers[i]):,}",
            "density": f"{rows.log_density[i]:.2f}",
            "component": k,
            "probability": briefly(float(rows.probability[i].round(6))),
            "rare": bool(rows.log_density[i] < seen.threshold),
            "values": [f"{names[j]} {number(rows.values[i, j])} ({away[j]:+.1f} sd)" for j in order],
        }

    return {"lines": [line(i) for i in range(len(rows.numbers))], "said": unusual(seen), "partly": mixture.D > WIDE}


def _warnings(subject: Subject, source: Source, seen: Survey) -> list[str]:
    told = list(subject.warnings)
    best = subject.candidates[0]["status"] if subject.candidates else ""
    if best not in ("", "converged", "repaired"):
        told.append(f"The status of the fit is: {best}.")
    told += [f"Step {step}: {message}" for step, kind, message in subject.events if kind == "repair"]
    constant = [repr(source.columns[j]) for j in np.flatnonzero(source.profile.constant)]
    if constant and not any("hold one value" in one for one in told):
        told.append(f"Columns that hold one value in these rows and tell nothing apart: {', '.join(constant[:NAME])}.")
    if source.skipped:
        told.append(f"Columns that hold no numbers were left out: {', '.join(_short(one) for one in source.skipped[:NAME])}.")
    few = [k for k in range(subject.mixture.K) if seen.counts[k] < subject.mixture.D + 1]
    if few:
        told.append(f"Fewer rows than columns + 1 belong to {'component' if len(few) == 1 else 'components'} {', '.join(map(str, few))}.")
    return told


def _weighted(seen: Survey) -> str:
    return "" if seen.weight == seen.rows else f" of weight {number(seen.weight)}"


def _about(count: float) -> str:
    return f"about {number(float(f'{count:.3g}'))} rows" if count >= 1.5 else "about one row" if count >= 0.5 else "hardly any row"


def _family(mixture: Mixture) -> str:
    name, code = mixture.family.name, mixture.family.code
    return name if name == code.lower() else f"{name} ({code})"


def _short(name: str, most: int = NAME) -> str:
    """A name as people can read it."""
    return (name if len(name) <= most else f"{name[: most - 1]}…") or "(no name)"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))


def _written(value: Any) -> str:
    if isinstance(value, str):
        return _short(value, 4 * NAME)
    if isinstance(value, list | tuple):
        return _short(", ".join(str(one) for one in value), 4 * NAME)
    return _short(str(value), 4 * NAME)
