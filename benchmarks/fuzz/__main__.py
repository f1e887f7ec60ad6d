"""Fuzzing: inputs drawn by number, each answered rightly or refused with a reason.

    python -m benchmarks.fuzz [--count N] [--minutes M] [--seed S] [--kind KIND] [--jobs J] [--limit SECONDS]
    python -m benchmarks.fuzz --seed S --only NUMBER [NUMBER ...]

A case follows from seed and number alone. Cases run in processes that are killed where one takes too long (`workers.py`); what a case may
end in stands in `cases.py`, the kinds in `kinds.py`. Prints each finding with what was drawn and the command that runs it again, and at
the end a table by kind; the exit code is 1 where anything was found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fuzz.cases import Outcome
from benchmarks.fuzz.kinds import KINDS, SHARES
from benchmarks.fuzz.workers import outcomes

RESULTS = ("answered", "refused", "found")
PROGRESS = 500  # cases between two lines that say how far it has come


def main() -> int:
    """Runs the cases; returns the exit code."""
    options = _options()
    begun = time.monotonic()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    findings: list[Outcome] = []
    refusals: Counter[str] = Counter()
    for done, outcome in enumerate(outcomes(_numbers(options, begun), options.seed, options.jobs, options.limit), 1):
        counts[outcome.kind][outcome.result] += 1
        if outcome.result == "found":
            findings.append(outcome)
            _tell(outcome, options.seed)
        elif options.only:
            print(f"{outcome.kind} {outcome.number}: {outcome.result} {outcome.why}")
        if outcome.result == "refused":
            refusals[outcome.why.partition(":")[0]] += 1
        if done % PROGRESS == 0:
            print(f"  {done} cases, {len(findings)} findings, {(time.monotonic() - begun) / 60:.1f} minutes", file=sys.stderr, flush=True)
    if options.refusals:
        print("\nwhy cases were refused")
        print("\n".join(f"{count:>8}  {why}" for why, count in refusals.most_common()))
    _table(counts, begun)
    if options.json:
        options.json.write_text(json.dumps([one._asdict() for one in findings], indent=1))
    return 1 if findings else 0


def _numbers(options: argparse.Namespace, begun: float) -> Iterator[int]:
    """The cases' numbers: those asked for, or from `first` on as many as there is time for."""
    if options.only:
        yield from options.only
        return
    numbers = itertools.count(options.first)
    wanted = (number for number in numbers if options.kind is None or SHARES[number % len(SHARES)] in options.kind)
    for number in itertools.islice(wanted, options.count):
        if options.minutes is not None and time.monotonic() - begun > 60 * options.minutes:
            return
        yield number


def _tell(outcome: Outcome, seed: int) -> None:
    print(f"\n{outcome.kind} {outcome.number}: {outcome.why}")
    print("\n".join(f"    {line}" for line in outcome.details.splitlines()))
    print(f"    again: python -m benchmarks.fuzz --seed {seed} --only {outcome.number}", flush=True)


def _table(counts: dict[str, Counter[str]], begun: float) -> None:
    print(f"\n{'kind':<12}{'cases':>8}" + "".join(f"{name:>10}" for name in RESULTS))
    for kind in [name for name in KINDS if name in counts]:
        print(f"{kind:<12}{counts[kind].total():>8}" + "".join(f"{counts[kind][name]:>10}" for name in RESULTS))
    total = sum(counts.values(), Counter[str]())
    print(f"{'all':<12}{total.total():>8}" + "".join(f"{total[name]:>10}" for name in RESULTS))
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="how many cases (default 20000)")
    parser.add_argument("--minutes", type=float, help="stop drawing after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number to begin with")
    parser.add_argument("--only", type=int, nargs="+", help="these numbers alone")
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), help="cases of these kinds alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes at work (default 2)")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for a case; one that needs more is run again with three times as many")
    parser.add_argument("--refusals", action="store_true", help="count the reasons of refusals")
    parser.add_argument("--json", type=Path, help="where findings are written")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
