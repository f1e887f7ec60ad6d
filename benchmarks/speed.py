"""Mixtura beside scikit-learn, oneDAL and the machine's own limits, in one process.

    python -m benchmarks.speed [--quick] [--json FILE] [--only PATTERN] [--repeats N]

The sides take turns and medians count (`measuring.py`); what an iteration of each side is stands in `rivals.py`, what the roofline is in
`roofline.py`, what the rows are in `data.py`. Tables go to stdout, progress to stderr. The last section holds the figures against the
targets. Everything has the cores that this process may use; `taskset -c 0,1 python -m benchmarks.speed` gives it two.

`--quick` has a tenth of the rows, fewer shapes and fewer rounds and takes three minutes; the whole takes twenty. Without
scikit-learn-intelex (oneDAL) its columns are dashes. Kinds of cases: sweep/FAMILY/NxdxK, iris, faithful, predict, large, quality, memory,
first-fit; `--only` is a regular expression that is looked for in these names.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import threadpoolctl
from sklearn.exceptions import ConvergenceWarning

import mixtura
from benchmarks import applying, first_fit, fits, iteration, machine, rivals, targets
from benchmarks.measuring import FAILURES, Result, memory_line, tell
from benchmarks.roofline import DTYPES, Rates

ROUNDS = (5, 2)  # in full, and with --quick
KINDS: dict[str, Callable[[bool], Result]] = {
    "iris": fits.iris,
    "faithful": fits.faithful,
    "predict": applying.predict,
    "large": fits.large,
    "quality": fits.quality,
    "memory": applying.memory,
    "first-fit": first_fit.first_fit,
}


def main() -> None:
    """Prints the tables and the targets, and writes the figures where asked to."""
    options = _options()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", mixtura.errors.RepairWarning)
    rivals.prepare()
    found: dict[str, Any] = {}
    rates = Rates()
    begun = time.perf_counter()
    try:
        with threadpoolctl.threadpool_limits(machine.cores()):
            _measure(options, found, rates)
    finally:  # what was measured is not lost with a run that was broken off
        minutes = (time.perf_counter() - begun) / 60
        _print(*targets.lines(found, options.quick), "", f"{minutes:.1f} minutes")
        if options.json:
            everything = {
                "machine": machine.describe(),
                "versions": machine.versions(),
                "options": {"quick": options.quick, "only": options.only.pattern, "repeats": options.repeats},
                "minutes": minutes,
                "memory_by": memory_line(),
                "roofline": {"products_per_second": rates.products, "seconds_per_exponential": rates.exponentials},
                "figures": found,
                "targets": targets.as_json(found),
            }
            options.json.write_text(json.dumps(everything, indent=1) + "\n")


def _measure(options: argparse.Namespace, found: dict[str, Any], rates: Rates) -> None:
    """Puts the figures of every kind of case that was asked for into `found`, and prints them as they come."""
    _print(*machine.lines(machine.describe(), machine.versions()), f"extra memory by {memory_line()}")
    chosen = [case for case in iteration.cases(options.quick) if options.only.search(case.name)]
    if chosen:
        for dtype in DTYPES:
            rates.measure(dtype, 3)
        tell(f"roofline: {'; '.join(rates.lines())}")
        found["sweep"] = iteration.run(chosen, rates, options.repeats, options.quick)
        _print("", "Roofline", *rates.lines(), *iteration.tables(found["sweep"]))
    for name, kind in KINDS.items():
        if options.only.search(name):
            tell(name)
            try:
                result = kind(options.quick)
            except FAILURES as error:
                _print("", f"{name} failed: {error}")
                continue
            found[name] = result.figures
            _print("", *result.lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows and fewer rounds")
    parser.add_argument("--json", type=Path, help="where to write every figure, with machine and versions")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), help="a regular expression: the cases to run")
    parser.add_argument("--repeats", type=int, help=f"rounds of each sweep case (default {ROUNDS[0]}, with --quick {ROUNDS[1]})")
    options = parser.parse_args()
    options.repeats = options.repeats or ROUNDS[options.quick]
    return options


def _print(*lines: str) -> None:
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
