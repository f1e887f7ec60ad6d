"""Some fuzzed inputs of every kind (`python -m benchmarks.fuzz` draws thousands), and that what is looked for would be found.

The numbers are the first of their kind: nothing was chosen.
"""

from __future__ import annotations

from itertools import count, islice

import fuzzed
import pytest
from benchmarks.fuzz.cases import run
from benchmarks.fuzz.kinds import KINDS, SHARES
from benchmarks.fuzz.workers import outcomes

SEED = 0
CASES = 6  # of each kind
WAYS = {  # what a case does, and what becomes of it
    "good": ("answered", ""),
    "refused": ("refused", "the data are not numbers"),
    "broken": ("found", "a broken law: chance is never certain"),
    "foreign": ("found", "KeyError: "),
    "warned": ("found", "a warning that is not Mixtura's: RuntimeWarning: something else"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_fuzzed_inputs_are_answered_or_refused(kind, tmp_path):
    for number in islice((number for number in count() if SHARES[number % len(SHARES)] == kind), CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = run(KINDS, SHARES, SEED, number, folder)
        assert outcome.result != "found", f"python -m benchmarks.fuzz --seed {SEED} --only {number}\n{outcome.why}\n{outcome.details}"


def test_every_kind_has_its_share():
    assert set(SHARES) == set(KINDS)


@pytest.mark.parametrize("kind", WAYS)
def test_what_a_case_ends_in_is_told(kind, tmp_path):
    result, why = WAYS[kind]
    number = fuzzed.SHARES.index(kind)
    first, again = (run(fuzzed.KINDS, fuzzed.SHARES, SEED, number, tmp_path) for _ in range(2))
    assert first == again, "a case follows from seed and number"
    assert (first.number, first.kind, first.result) == (number, kind, result)
    assert first.why.startswith(why)
    if result == "found" and kind == "foreign":
        assert "drawn=" in first.details
        assert "KeyError" in first.details


def test_a_case_that_hangs_or_crashes_is_named_and_the_others_go_on():
    ways = {"good": "", "hanging": "no end within 3 s", "crashing": "the process ended with 3"}
    numbers = [fuzzed.SHARES.index(kind) for kind in ("hanging", "crashing", "good")]
    found = {one.kind: one for one in outcomes(iter(numbers), SEED, 1, 1.0, "fuzzed")}
    assert {kind: one.why for kind, one in found.items()} == ways
    assert "hanging" in found["hanging"].details, "where it hung is told"
