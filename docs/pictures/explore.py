"""The picture of docs/explore.md: the page of `mixtura explore` after some moves. `python docs/pictures/explore.py` draws it anew.

Needs the extras explore and test (playwright) and Chromium.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
PICTURE = HERE / "explore.png"


def main() -> None:
    """Writes it."""
    command = [sys.executable, "-m", "mixtura", "explore", "examples/old_faithful.csv", "--no-browser"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(HERE.parent.parent / "examples", Path(folder, "examples"))
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder) as serving, sync_playwright() as playwright:
            assert serving.stdout is not None
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 1190})
            page.goto(serving.stdout.readline().strip())
            look(page)
            page.screenshot(path=PICTURE)
            browser.close()
            serving.terminate()
    Image.open(PICTURE).convert("RGB").save(PICTURE, optimize=True)  # smaller than the browser writes it


def look(page: Page) -> None:
    """Through one to nine components of three families, and back to the best."""
    page.get_by_text("2 components, full (VVV) · fitted").wait_for()
    for family, code in (("full", "VVV"), ("diag", "VVI"), ("tied", "EEE")):
        page.select_option("#family", family)
        for K in (*range(1, 10), 3):
            page.fill("#components-number", str(K))
            page.get_by_text(f"{K} component{'s' * (K > 1)}, {family} ({code}) · fitted").wait_for()
    page.mouse.click(1270, 600)
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
