"""Kinds for the tests of fuzzing itself: cases that end in each way in which a case may end."""

from __future__ import annotations

import os
import time
import warnings

import mixtura


def good(case):
    case.note("drawn", float(case.draw.uniform()))


def refused(case):
    mixtura.open([[1.0], ["a"]])


def broken(case):
    case.require(case.chance(0.0), "chance is never certain")


def foreign(case):
    raise KeyError(case.note("drawn", float(case.draw.uniform())))


def warned(case):
    warnings.warn("something else", RuntimeWarning, stacklevel=1)


def hanging(case):
    time.sleep(600)


def crashing(case):
    os._exit(3)


KINDS = {one.__name__: one for one in (good, refused, broken, foreign, warned, hanging, crashing)}
SHARES = tuple(KINDS)
