"""The pictures of docs/report.md: the report of Old Faithful at the width of a desk and of a phone. `python docs/pictures/report.py` draws them anew.

Needs the extras report and test (playwright) and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import mixtura

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "examples" / "old_faithful.csv"
VIEWS = {"report-desktop.png": (1280, 1330, "light"), "report-phone.png": (390, 1790, "dark")}


def main() -> None:
    """Writes both."""
    selection = mixtura.select(DATA, range(1, 10), random_state=0)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "report.html")
        mixtura.report.write(selection, DATA, path, name=DATA.name)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height, scheme) in VIEWS.items():
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.goto(path.as_uri())
            page.wait_for_selector("html[data-drawn=all]")
            page.screenshot(path=HERE / name)
            Image.open(HERE / name).convert("RGB").save(HERE / name, optimize=True)  # smaller than the browser writes it
        browser.close()


if __name__ == "__main__":
    main()
