"""What the documentation shows is what happens: every block of code in it runs, and prints what the page says it prints.

A page is one program: its blocks run in order, in one namespace and one folder that holds `examples/`. A block marked `text` right after
a block of code is its output, to the letter. `python tests/test_docs.py [PAGE ...]` writes the outputs anew, and keeps in `docs/pictures` those that
pages of examples draw. What such a page claims in words is checked by `claims`.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from claims import CLAIMS
from needs import java, needed

import mixtura

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WIDE = 88  # characters of a line of the command's tables: a page, and no room for steps, which rounding may change
INSTALL = re.compile(r"^pip install \S+ && (?=mixtura)")
FENCE = re.compile(r"^```(python|sh)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]+\]\(\.\./pictures/([^)]+)\)")  # of a page in a subfolder, which draws it itself
WITH_CODE = [path for path in PAGES if FENCE.search(path.read_text())]
SHORT = {  # pages of a second or two, which are in the quick run
    "README.md",
    "docs/choosing-a-rule.md",
    "docs/coming-from-mclust.md",
    "docs/coming-from-scikit-learn.md",
    "docs/many-columns.md",
}
PACKAGE = Path(mixtura.__file__).parent
WITH_EXAMPLES = [  # modules, by name
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]
COMMAND = f'python() {{ "{sys.executable}" "$@"; }}\nmixtura() {{ python -m mixtura "$@"; }}\n'


class Block(NamedTuple):
    """One block of code, the output that the page shows for it (None where it shows none), and where that stands."""

    language: str
    code: str
    shown: str | None
    span: tuple[int, int]


def blocks(text: str) -> list[Block]:
    return [Block(match[1], match[2], match[3], match.span(3)) for match in FENCE.finditer(text)]


def name_of(path: Path) -> str:
    """A page as the repository calls it."""
    return path.relative_to(ROOT).as_posix()


def pictures_of(path: Path) -> list[str]:
    """The pictures that a page shows and its own code draws."""
    return PICTURE.findall(path.read_text()) if FENCE.search(path.read_text()) else []


def run_page(path: Path, folder: Path, namespace: dict[str, Any]) -> Iterator[tuple[Block, str]]:
    """Each block of a page with what it printed; its names go into the namespace. Installing, and the tests themselves, are left to `.ci/run`."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    namespace["__name__"] = "__main__"
    with contextlib.chdir(folder):
        for block in blocks(path.read_text()):
            code = INSTALL.sub("", block.code)
            if "pip install" not in code:
                yield block, _python(code, path.name, namespace) if block.language == "python" else _shell(code)


def _python(code: str, name: str, namespace: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, name, "exec"), namespace)  # noqa: S102
    return out.getvalue()


def _shell(code: str) -> str:
    environment = {**os.environ, "COLUMNS": str(WIDE), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["bash", "-e", "-c", COMMAND + code], capture_output=True, encoding="utf-8", check=False, stdin=subprocess.DEVNULL, env=environment
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r" +$", "", done.stdout, flags=re.MULTILINE)


@pytest.mark.parametrize("path", [pytest.param(path, marks=[pytest.mark.long] * (name_of(path) not in SHORT)) for path in WITH_CODE], ids=name_of)
def test_page_runs_and_prints_what_it_shows(path: Path, tmp_path: Path) -> None:
    namespace: dict[str, Any] = {}
    if any("import SparkSession" in block.code for block in blocks(path.read_text())):
        needed(java())
    for block, printed in run_page(path, tmp_path, namespace):
        if block.shown is not None:
            assert printed == block.shown, block.code
    for picture in pictures_of(path):
        assert (tmp_path / picture).read_bytes() and (PICTURES / picture).exists(), picture
    if claim := CLAIMS.get(name_of(path)):
        claim(namespace)


def test_every_claim_has_its_page() -> None:
    assert set(CLAIMS) | SHORT <= {name_of(path) for path in PAGES}


def test_readme_opens_with_the_two_commands_that_ci_reads() -> None:
    commands = [block.code.strip() for block in blocks((ROOT / "README.md").read_text()) if block.language == "sh"]
    assert commands[:2] == ["pip install . && mixtura fit examples/old_faithful.csv", "pip install '.[test]' && pytest"]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_docstring_examples(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.failed == 0 and done.attempted > 0


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_between_files_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text()):
        assert (path.parent / target).exists(), target


def _write_outputs(paths: list[Path]) -> None:
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            printed = [(block.span, output) for block, output in run_page(path, Path(folder), {}) if block.shown is not None]
            for picture in pictures_of(path):
                shutil.copy(Path(folder, picture), PICTURES / picture)
        text = path.read_text()
        for (start, stop), output in reversed(printed):
            text = text[:start] + output + text[stop:]
        path.write_text(text)


if __name__ == "__main__":
    _write_outputs([Path(name).resolve() for name in sys.argv[1:]] or PAGES)
