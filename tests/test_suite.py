"""The suite itself: what it does on a machine that lacks something, what the quick run takes of a cross, and that one setting runs all."""

from __future__ import annotations

import itertools
import math
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import conftest
import covering
import needs
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = "tests/test_browser_report.py::test_points_and_ellipses_are_those_of_the_mixture"
SPARK = ["tests/test_spark.py::test_every_family_is_summed[full]", "tests/test_spark.py::test_every_family_is_summed[tied]"]

posix = pytest.mark.skipif(os.name != "posix", reason="makes programs and links")


def run(*words: str, **settings: str) -> tuple[int, list[str]]:
    """The exit code of a run of its own, one process, and the lines that it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in (needs.SETTING, "JAVA_HOME", "PYTEST_ADDOPTS")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=ROOT, env={**environment, **settings}, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def machine(folder: Path, **programs: str) -> str:
    """A PATH of nothing but a shell, and of programs that are written here."""
    for name in ("bash", "sh", "env", "uname"):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name}"))
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return str(folder)


@posix
def test_what_is_missing_is_skipped_and_counted_or_else_an_error(tmp_path: Path) -> None:
    path = machine(tmp_path)
    code, lines = run(PAGE, *SPARK, PATH=path)
    assert code == 0, lines
    assert "1 test of pages skipped: no Chromium; try apt-get install chromium" in lines
    assert "2 tests of Spark skipped: no Java; try apt-get install openjdk-17-jre-headless" in lines
    assert lines[-1].startswith("3 skipped in")
    code, lines = run(PAGE, *SPARK, PATH=path, MIXTURA_TESTS="all")
    assert code == 1, lines
    assert any("MIXTURA_TESTS=all, but no Chromium; try apt-get install chromium" in line for line in lines)
    assert any("MIXTURA_TESTS=all, but no Java; try apt-get install openjdk-17-jre-headless" in line for line in lines)
    assert lines[-1].startswith("3 errors in")


@posix
@pytest.mark.parametrize(
    ("told", "found"),
    {
        'openjdk version "17.0.12" 2024-07-16': None,
        'java version "21" 2023-09-19 LTS': None,
        'openjdk version "11.0.2" 2019-01-15': "got Java 11.0.2, expected 17 or later",
        'java version "1.8.0_371"': "got Java 1.8.0_371, expected 17 or later",
        "no Java runtime present": "got Java that names no version, expected 17 or later",
    }.items(),
)
def test_spark_is_run_on_a_java_that_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, found: str | None) -> None:
    monkeypatch.setenv("PATH", machine(tmp_path, java=f"echo '{told}' >&2"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = needs.java.__wrapped__()
    assert java == str(tmp_path / "java") if found is None else isinstance(java, needs.Missing) and java.what == found
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))  # Spark asks it alone
    java = needs.java.__wrapped__()
    assert isinstance(java, needs.Missing) and java.what == f"no Java in JAVA_HOME={tmp_path}"


@pytest.mark.long
def test_a_file_whose_library_is_missing_is_skipped_or_else_an_error(tmp_path: Path) -> None:
    """Which is missing is a matter of the import: other errors in it are errors."""
    (tmp_path / "pyspark").mkdir()
    (tmp_path / "pyspark" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pyspark'\", name='pyspark')")
    hiding = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code, lines = run("tests/test_spark.py", "tests/test_suite.py::test_the_settings_agree", PYTHONPATH=hiding)
    assert code == 0, lines
    assert "all of tests/test_spark.py skipped: no pyspark; try pip install 'mixtura[spark]'" in lines
    code, lines = run("tests/test_spark.py", PYTHONPATH=hiding, MIXTURA_TESTS="all")
    assert code == 2 and any("No module named 'pyspark'" in line for line in lines), lines
    (tmp_path / "pyspark" / "__init__.py").write_text("import mixtura.nonsense")
    code, lines = run("tests/test_spark.py", PYTHONPATH=hiding)
    assert code == 2 and any("No module named 'mixtura.nonsense'" in line for line in lines), lines


@pytest.mark.long
def test_one_setting_runs_all() -> None:
    """What the quick run leaves out is what `-m` may ask for, and both together are what MIXTURA_TESTS=all, and -m '', run."""

    def collected(*words: str, **settings: str) -> set[str]:
        code, lines = run("--collect-only", "tests/test_streams.py", *words, **settings)
        assert code == 0, lines
        return {line for line in lines if "::" in line}

    quick, others = collected(), collected("-m", "(long or crossed) and not quick")
    assert quick and others and not quick & others
    assert quick | others == collected(MIXTURA_TESTS="all") == collected("-m", "")


def test_an_unknown_setting_is_refused() -> None:
    code, lines = run("--collect-only", "tests/test_suite.py", MIXTURA_TESTS="most")
    assert code == pytest.ExitCode.USAGE_ERROR and "MIXTURA_TESTS is not usable: got 'most', expected 'all' or nothing" in "\n".join(lines)


def test_the_settings_agree() -> None:
    """What is deselected unless asked stands in pyproject.toml, and conftest compares with it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        options = tomllib.load(file)["tool"]["pytest"]["ini_options"]["addopts"]
    assert options[options.index("-m") + 1] == conftest.QUICK


@pytest.mark.parametrize("sizes", [(14, 2), (14, 7), (14, 2, 3, 8), (3, 3, 3), (2, 2, 2, 2, 2)], ids=str)
def test_a_cover_shows_every_value_or_pair(sizes: tuple[int, ...]) -> None:
    """Of two parameters each value, of more each pair of values; with no more than twice as many cases as that takes at least."""
    cases = list(itertools.product(*map(range, sizes)))
    taken = [cases[i] for i in covering.cover(cases, "law")]
    strength = 1 if len(sizes) == 2 else 2
    for places in itertools.combinations(range(len(sizes)), strength):
        assert {tuple(case[i] for i in places) for case in taken} == set(itertools.product(*(range(sizes[i]) for i in places)))
    least = math.prod(sorted(sizes)[-strength:])
    assert len(taken) <= 2 * least


def test_a_cover_asks_for_nothing_that_is_not_there_and_hangs_on_the_name() -> None:
    cases = [case for case in itertools.product(range(7), range(5)) if case != (6, 4) and (case[0] != 0 or case[1] == 2)]
    covers = {frozenset(covering.cover(cases, name)) for name in ("one", "other", "third")}
    assert len(covers) > 1 and covers == {frozenset(covering.cover(cases, name)) for name in ("one", "other", "third")}
    for taken in covers:
        assert {cases[i][0] for i in taken} == set(range(7)) and {cases[i][1] for i in taken} == set(range(5))
