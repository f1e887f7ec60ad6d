"""How many sweeps each rule needs where EM is slow: `python -m benchmarks.rules [--json FILE] [--pictures FOLDER] [--quick]`.

Eight problems whose components overlap, one for each line of SHAPES. Rows are drawn from a mixture of K components in D columns: means
1.5 z / sqrt(D) with z standard normal, covariances A A' with A = s (I + G / (2 sqrt D)), G standard normal and s uniform in [0.7, 1.3], of
which the family keeps its part, and weights from a Dirichlet distribution of concentration 5. Each shape takes the first seed of 0, 1, 2, ...
at which EM, from `mixtura.start(X, K, family, random_state=seed)`, needs LEAST sweeps or more and repairs no component. Nothing else is
looked at, and every rule begins at the same start.

- **optimum**: the greatest log-likelihood that L-BFGS and Squarem, to 1e-12 nats per row, reach from where EM ends. So it is EM's.
- **sweeps**: passes over all rows until the log-likelihood is first within NEAR of that optimum, the one at the start not counted. More
  than the limit, LIMIT times EM's and 3,000 at least, is ">limit". What a trial that is taken back costs is counted.
- **another top**: from where a rule arrives, or gives up, L-BFGS and Squarem go on; where that ends elsewhere, the difference is told.
- **seconds**: the same run again, each rule alone, in turns; the median of the rounds. On small data they are Python's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mixtura
from benchmarks import machine
from benchmarks.measuring import tell
from mixtura.rules import EM, LBFGS, GradientAscent, NaturalGradient, Online, Rule, Squarem
from mixtura.stopping import settled

SHAPES = (  # family, N rows, D columns, K components
    ("full", 10_000, 2, 3),
    ("full", 4_000, 4, 4),
    ("full", 50_000, 3, 5),
    ("full", 3_000, 8, 3),
    ("tied", 10_000, 4, 3),
    ("tied", 3_000, 2, 4),
    ("diag", 20_000, 6, 4),
    ("spherical", 5_000, 3, 4),
)
QUICK = (SHAPES[0], SHAPES[4], SHAPES[7])  # whose seeds are soon found
APART = 1.5  # deviation of the means, times sqrt(D): about two deviations of a component from mean to mean
LEAST = 200  # sweeps of EM that make a problem slow
NEAR = 1e-5  # nats per row
LIMIT, LIMIT_LEAST = 20, 3_000
PATIENCE = 20_000  # sweeps of EM at most
EXACT = 1e-12  # nats per row
TARGET = 2.0  # times fewer sweeps than EM, Squarem, in the median

RULES: dict[str, Callable[[], Rule]] = {
    "EM": EM,
    "Squarem": lambda: Squarem(EM()),
    "L-BFGS": LBFGS,
    "natural 0.5": lambda: NaturalGradient(0.5),
    "Adam 0.05": lambda: GradientAscent(0.05, "adam"),
}


class Problem(NamedTuple):
    """A family, N rows, D columns, K components, and the seed that draws them; `few`: rows that the start is made from, where not from all."""

    family: str
    N: int
    D: int
    K: int
    seed: int
    apart: float = APART
    few: int | None = None

    @property
    def name(self) -> str:
        return f"{self.family} {self.N} x {self.D}, K={self.K}, seed {self.seed}"

    def rows(self) -> np.ndarray:
        """The rows (N, D)."""
        rng = np.random.default_rng([self.seed, self.N, self.D, self.K])
        means = self.apart * rng.normal(size=(self.K, self.D)) / np.sqrt(self.D)
        factors = (np.eye(self.D) + rng.normal(size=(self.K, self.D, self.D)) / (2 * np.sqrt(self.D))) * rng.uniform(0.7, 1.3, size=(self.K, 1, 1))
        component = rng.choice(self.K, self.N, p=rng.dirichlet(np.full(self.K, 5.0)))
        drawn = means[component]
        for k, A in enumerate(_kept(self.family, factors)):
            mine = component == k
            drawn[mine] += rng.normal(size=(mine.sum(), self.D)) @ A.T
        return drawn

    def start(self, X: np.ndarray) -> mixtura.Mixture:
        """Where every rule begins."""
        return mixtura.start(X[: self.few], self.K, self.family, random_state=self.seed)


def _kept(family: str, factors: np.ndarray) -> np.ndarray:
    """Factors (K, D, D) of the covariances that the family keeps of A A'."""
    variances = (factors**2).sum(axis=2)
    match family:
        case "full":
            return factors
        case "tied":
            return np.broadcast_to(factors[0], factors.shape)
        case "diag":
            return np.sqrt(variances)[:, :, None] * np.eye(factors.shape[1])
        case "spherical":
            return np.sqrt(variances.mean(axis=1))[:, None, None] * np.eye(factors.shape[1])
    raise ValueError(f"no such family here: got {family!r}, expected full, tied, diag or spherical")


@dataclass
class Climb:
    """One rule on one problem. `sweeps` is None where it did not arrive within `limit`; `above` is how far its own top lies above the optimum.

    `lost` is how many of the sweeps were taken back.
    """

    limit: int
    sweeps: int | None
    above: float
    lost: int
    seconds: list[float] = field(default_factory=list)

    @property
    def elsewhere(self) -> bool:
        return abs(self.above) > NEAR


@dataclass
class Record:
    """A problem, its optimum in nats per row, and the climb of each rule."""

    problem: Problem
    optimum: float
    climbs: dict[str, Climb]

    def ratio(self, rule: str) -> float:
        """How many times fewer sweeps than EM; 0 where the rule did not arrive."""
        mine, ems = self.climbs[rule].sweeps, self.climbs["EM"].sweeps
        return ems / mine if mine and ems else 0.0


def found(shape: tuple[str, int, int, int]) -> Problem:
    """The problem of the first seed at which EM is slow."""
    for seed in itertools.count():
        problem = Problem(*shape, seed)
        X = problem.rows()
        source = mixtura.open(X)
        start = problem.start(X)
        fit = mixtura.fit(source, start, EM(), tol=1e-9, max_steps=PATIENCE)
        trace = np.array(fit.log_likelihoods)
        slow = int(np.argmax(trace >= optimum_from(source, fit.mixture) - NEAR))
        repaired = any(event.kind == "repair" for _, event in fit.events)
        tell(f"  {problem.name}: EM {slow} sweeps{', a component repaired' * repaired}")
        if slow >= LEAST and fit.converged and not repaired:
            return problem
    raise AssertionError


def optimum_from(source: Any, mixture: mixtura.Mixture) -> float:
    """The log-likelihood per row of the top above a mixture."""
    rules = (Squarem(EM(), tol=EXACT), LBFGS())
    return max(mixtura.fit(source, mixture, rule, tol=EXACT, max_steps=PATIENCE).log_likelihood for rule in rules)


def measure(problem: Problem, rounds: int) -> Record:
    """Every rule on one problem."""
    X = problem.rows()
    source, start = mixtura.open(X), problem.start(X)
    ended = mixtura.fit(source, start, EM(), tol=1e-9, max_steps=PATIENCE)
    optimum = optimum_from(source, ended.mixture)
    climbs: dict[str, Climb] = {}
    for name, rule in RULES.items():
        ems = climbs["EM"].sweeps if climbs else None
        climbs[name] = climb(source, start, rule(), optimum, max(LIMIT * ems, LIMIT_LEAST) if ems else PATIENCE)
        tell(f"  {problem.name}: {name} {_sweeps(climbs[name])}")
    for _ in range(rounds):
        for name, one in climbs.items():
            if one.sweeps is not None:
                one.seconds.append(seconds(source, start, RULES[name](), one.sweeps))
    return Record(problem, optimum, climbs)


def climb(source: Any, start: mixtura.Mixture, rule: Rule, optimum: float, limit: int) -> Climb:
    """Until the optimum is near, the rule has nothing left to do, or the limit is met; then on to the top that lies above."""
    trace: list[float] = []
    lost = 0
    for step in itertools.islice(mixtura.iterate(source, start, rule), limit + 1):
        trace.append(step.log_likelihood)
        lost += any("taken back" in event.message for event in step.events)
        if step.log_likelihood >= optimum - NEAR or settled(trace, tremble=0.0) or step.remaining == 0:
            break
    arrived = step.log_likelihood >= optimum - NEAR
    above = optimum_from(source, step.mixture) - optimum
    return Climb(limit, step.number if arrived else None, above, lost)


def seconds(source: Any, start: mixtura.Mixture, rule: Rule, sweeps: int) -> float:
    """Seconds from the start to the end of so many sweeps after it."""
    begun = time.perf_counter()
    next(itertools.islice(mixtura.iterate(source, start, rule), sweeps, None))
    return time.perf_counter() - begun


def table(records: list[Record]) -> list[str]:
    """Sweeps and seconds of every rule, and Squarem's ratio."""
    lines = [f"{'sweeps to 1e-5 nats per row of the optimum':42}" + "".join(f"{name:>13}" for name in RULES) + "   EM/Squarem   EM/L-BFGS"]
    for record in records:
        cells = "".join(f"{_sweeps(climb):>13}" for climb in record.climbs.values())
        lines.append(f"{record.problem.name:42}{cells}{record.ratio('Squarem'):13.2f}{record.ratio('L-BFGS'):12.2f}")
    lines += ["", f"{'seconds':42}" + "".join(f"{name:>13}" for name in RULES)]
    for record in records:
        cells = "".join(f"{statistics.median(climb.seconds):13.3f}" if climb.seconds else f"{'-':>13}" for climb in record.climbs.values())
        lines.append(f"{record.problem.name:42}{cells}")
    lines += [""]
    for record in records:
        for name, climb in record.climbs.items():
            if climb.elsewhere:
                lines.append(f"other top: {record.problem.name}, {name}: {climb.above:+.6f} nats per row from EM's, {record.optimum:.6f}")
            elif climb.sweeps is None:
                lines.append(f"not there: {record.problem.name}, {name}: on the way to EM's optimum after {climb.limit} sweeps, or stuck")
    return lines


def verdicts(records: list[Record]) -> list[str]:
    """Medians of the ratios to EM, and Squarem's against the target."""
    lines = []
    for name in list(RULES)[1:]:
        ratios = [record.ratio(name) for record in records]
        lines.append(f"EM's sweeps over those of {name}: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")
    middle = statistics.median(record.ratio("Squarem") for record in records)
    lines.append(f"{'PASS ' if middle >= TARGET else 'SHORT'} Squarem needs {TARGET:g} times fewer sweeps than EM in the median: {middle:.2f}")
    return lines


def _sweeps(climb: Climb) -> str:
    return (f">{climb.limit}" if climb.sweeps is None else f"{climb.sweeps}") + ("*" if climb.elsewhere else "")


class Line(NamedTuple):
    """How a rule is drawn: its colour (Okabe & Ito's, which no colour blindness confuses), its dashes, and the sweeps that a step costs."""

    colour: str
    dashes: str
    rule: Callable[[], Rule]
    cost: int = 1


EASY = Problem("full", 100_000, 2, 4, 0, apart=8.0, few=200)
SLOW = Problem("full", 50_000, 3, 5, 1)  # the third of the table, unless the shape or LEAST is changed
LINES = {
    "EM": Line("#000000", "-", RULES["EM"]),
    "Squarem": Line("#0072B2", "--", RULES["Squarem"]),
    "L-BFGS": Line("#D55E00", "-", RULES["L-BFGS"]),
    "natural gradient, rate 0.5": Line("#009E73", "-.", RULES["natural 0.5"]),
    "gradient ascent, Adam, rate 0.05": Line("#CC79A7", "-", RULES["Adam 0.05"]),
    "Online, batches of 1,000 rows": Line("#E69F00", "-", lambda: Online(batch_rows=1_000, passes=20), cost=2),
}
LOWEST = 1e-8  # nats per row: where a line has arrived
LONGEST = 2_000  # steps drawn


class Trace(NamedTuple):
    """Sweeps, seconds and nats per row short of the optimum, from the first step to arrival."""

    sweeps: list[int]
    seconds: list[float]
    short: list[float]


def pictures(folder: Path, rounds: int, longest: int) -> list[str]:
    """Draws an easy and a slow problem; returns what the pictures show, in words."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, problem in (("easy", EASY), ("slow", SLOW)):
        traces, optimum = traced(problem, rounds, longest)
        draw(folder / f"rules-{name}.png", traces)
        lines.append(f"rules-{name}.png: {problem.name}, optimum {optimum:.6f}")
        lines += [f"  {rule:34} {_arrival(trace, NEAR)}; {_arrival(trace, LOWEST)}; at last {trace.short[-1]:.1e}" for rule, trace in traces.items()]
    return lines


def traced(problem: Problem, rounds: int, longest: int) -> tuple[dict[str, Trace], float]:
    """The climbs of all rules and the optimum; seconds are medians of the rounds, in which rules take turns."""
    X = problem.rows()
    source, start = mixtura.open(X), problem.start(X)
    optimum = optimum_from(source, mixtura.fit(source, start, EM(), tol=1e-9, max_steps=PATIENCE).mixture)
    turns = [{name: trace(source, start, line, optimum, longest) for name, line in LINES.items()} for _ in range(rounds)]
    tell(f"  {problem.name}: {rounds} rounds of climbs drawn")
    middle = {name: np.median([turn[name].seconds for turn in turns], axis=0).tolist() for name in LINES}
    return {name: one._replace(seconds=middle[name]) for name, one in turns[-1].items()}, optimum


def trace(source: Any, start: mixtura.Mixture, line: Line, optimum: float, longest: int) -> Trace:
    """One rule until it has arrived, or ended."""
    rule, found = line.rule(), Trace([], [], [])
    begun = time.perf_counter()
    for step in itertools.islice(mixtura.iterate(source, start, rule), 1, min(longest, rule.passes or longest) + 1):
        found.sweeps.append(step.number * line.cost)
        found.seconds.append(time.perf_counter() - begun)
        found.short.append(optimum - step.log_likelihood)
        if found.short[-1] < LOWEST:
            break
    return found


def _arrival(trace: Trace, short: float) -> str:
    first = next((i for i, value in enumerate(trace.short) if value < short), None)
    return f"not within {short:g}" if first is None else f"within {short:g} after {trace.sweeps[first]} sweeps, {trace.seconds[first]:.3f} s"


def draw(path: Path, traces: dict[str, Trace]) -> None:
    """Two panels beside each other, by sweeps and by seconds; the key stands above them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, axis, label in zip(panels, ("sweeps", "seconds"), ("sweeps over all rows", "seconds"), strict=True):
        panel.axhline(NEAR, color="#777777", linewidth=0.8, linestyle=":")
        for name, one in traces.items():
            line, width = LINES[name], 2.4 if name == "Squarem" else 1.6
            end = {"marker": "o", "markevery": [len(one.short) - 1], "markersize": 4}
            panel.plot(getattr(one, axis), np.maximum(one.short, LOWEST / 3), line.dashes, color=line.colour, linewidth=width, label=name, **end)
        panel.set(xscale="log", yscale="log", xlabel=label, ylim=(LOWEST / 4, None))
        panel.grid(color="#dddddd", linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("short of the optimum, nats per row")
    panels[0].annotate("1e-5", (0.01, NEAR), xycoords=("axes fraction", "data"), va="bottom", color="#555555", fontsize=8)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path)


def main() -> None:
    """Prints the tables, and writes figures and pictures where asked to."""
    options = _options()
    warnings.simplefilter("ignore", mixtura.errors.RepairWarning)
    told = machine.lines(machine.describe(), machine.versions())
    _print(*told, "")
    rounds = 1 if options.quick else 5
    records = [measure(found(shape), rounds) for shape in (QUICK if options.quick else SHAPES)]
    lines = [*table(records), *verdicts(records)]
    _print(*lines)
    if options.pictures:
        drawn = pictures(options.pictures, rounds, LONGEST // 10 if options.quick else LONGEST)
        _print("", *drawn)
    if options.json:
        figures = [{**asdict(record), "problem": record.problem.name} for record in records]
        everything = {"machine": machine.describe(), "versions": machine.versions(), "figures": figures, "lines": lines}
        options.json.write_text(json.dumps(everything, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write every figure, with machine and versions")
    parser.add_argument("--pictures", type=Path, help="a folder for rules-easy.png and rules-slow.png (needs matplotlib)")
    parser.add_argument("--quick", action="store_true", help="three of the problems, a round, and short pictures")
    return parser.parse_args()


def _print(*lines: str) -> None:
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
