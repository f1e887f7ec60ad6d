"""Draws the pictures of the page "Plots" anew: `python docs/pictures/make.py [FOLDER]`, by default beside this file.

The page is one program, and its blocks run in order, in a folder that holds `examples/`. Where a picture follows a block, it is the figure that the
block drew. So the pictures are what the page's code draws, and the docs build needs nothing but this script.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from PIL import Image

DOCS = Path(__file__).resolve().parent.parent
PAGES = ("plots.md",)  # the pictures of other pages are drawn by the benchmarks that measure them
DPI = 144  # twice what a page shows
COLOURS = 192  # of a picture, as few as its size asks for: none has more that can be told apart
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n.*?^```\n)?(?:\n!\[[^\]]*\]\(pictures/([\w-]+\.png)\)\n)?", re.MULTILINE | re.DOTALL)


def pictures(page: str) -> list[str]:
    """The names of the pictures that follow a block of a page."""
    return [name for _, name in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")) if name]


def make(page: str, folder: Path) -> Iterator[Path]:
    """Runs a page and writes its pictures; gives each as it is written."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    folder = folder.resolve()
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        shutil.copytree(DOCS.parent / "examples", "examples")
        for code, name in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            pyplot.close("all")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(code, page, "exec"), namespace)  # noqa: S102
            if name:
                yield _saved(folder / name)
    pyplot.close("all")


def _saved(path: Path) -> Path:
    """The current figure as a small PNG."""
    drawn = io.BytesIO()
    pyplot.gcf().savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def main(folder: Path) -> None:
    """All pictures of all pages."""
    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        for path in make(page, folder):
            sys.stdout.write(f"{path.name}  {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
