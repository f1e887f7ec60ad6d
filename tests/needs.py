"""What tests need of the machine besides Python's packages: a browser, Java. And what of the packages may be missing.

Where one is missing, its tests are skipped with a reason, which conftest counts at the end of the run. With MIXTURA_TESTS=all it is an error.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

SETTING = "MIXTURA_TESTS"
TESTS = "tests of "  # so every reason begins that the end of a run counts
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
JAVA = 17  # the first that Spark 4 runs on
PACKAGES = {  # of the extras, by the name that is imported: the tests that need it, and the extra that brings it
    "dask": ("Dask", "dask"),
    "distributed": ("Dask", "dask"),
    "jinja2": ("reports", "report"),
    "matplotlib": ("plots", "plot"),
    "nbclient": ("notebooks", "test"),
    "nbformat": ("notebooks", "test"),
    "playwright": ("pages", "test"),
    "plotly": ("reports", "report"),
    "polars": ("data frames", "test"),
    "pandas": ("data frames", "test"),
    "pyspark": ("Spark", "spark"),
    "starlette": ("pages", "explore"),
    "uvicorn": ("pages", "explore"),
    "yaml": ("the manual", "test"),
}


class Missing(NamedTuple):
    """What is missing, of which tests, and how to get it."""

    tests: str
    what: str
    remedy: str

    @property
    def how(self) -> str:
        """What is missing, and the remedy."""
        return f"{self.what}; try {self.remedy}"

    def __str__(self) -> str:
        return f"{TESTS}{self.tests} skipped: {self.how}"


def everything() -> bool:
    """Whether all tests are wanted: those that take long, all of a cross, and none skipped for what is missing."""
    return os.environ.get(SETTING) == "all"


def package(name: str) -> Missing:
    """A package of the extras that is missing; no other may be."""
    tests, extra = PACKAGES[name]
    return Missing(tests, f"no {name}", f"pip install 'mixtura[{extra}]'")


def missing_for(error: BaseException) -> Missing | None:
    """The package for whose absence a file was not imported, if that is why: the library's own error may have told of it."""
    cause = error.__cause__
    while isinstance(cause, ImportError):
        name = (cause.name or "").partition(".")[0]
        if isinstance(cause, ModuleNotFoundError) and name in PACKAGES:
            return package(name)
        cause = cause.__cause__ or cause.__context__
    return None


@functools.cache
def chromium() -> str | Missing:
    """The browser's path."""
    found = next((path for path in map(shutil.which, CHROMIUM) if path), None)
    if find_spec("playwright") is None:
        return package("playwright")
    return found or Missing("pages", "no Chromium", "apt-get install chromium")


@functools.cache
def java() -> str | Missing:
    """The path of a Java that Spark runs on; where JAVA_HOME is set, Spark takes that one."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin")) if home else None)
    remedy = f"apt-get install openjdk-{JAVA}-jre-headless"
    if found is None:
        return Missing("Spark", f"no Java in JAVA_HOME={home}" if home else "no Java", remedy)
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "((\d+)[^"]*)"', told)
    if version is None or int(version[2]) < JAVA:
        return Missing("Spark", f"got Java {version[1] if version else 'that names no version'}, expected {JAVA} or later", remedy)
    return found


def needed(found: str | Missing) -> str:
    """What was found; where it is missing, the test that asks ends here."""
    return skip(found) if isinstance(found, Missing) else found


def skip(missing: Missing) -> NoReturn:
    """Skips the running test; with MIXTURA_TESTS=all, fails it."""
    if everything():
        pytest.fail(f"{SETTING}=all, but {missing.how}")
    pytest.skip(str(missing))
