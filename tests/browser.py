"""A real browser for tests of pages: Chromium, as the system has it, by playwright (the fixture `chromium` in conftest.py)."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def started() -> Iterator[Any]:
    """A browser; skips where there is none. A thread can have one at a time, so that modules have theirs one after the other."""
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = next((found for found in map(shutil.which, NAMES) if found), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, width: int = 1280, height: int = 900, dark: bool = False, but: tuple[str, ...] = ()) -> Iterator[Any]:
    """An empty page. Whatever its console calls an error fails the test, `but` for messages with these parts, which the test provokes."""
    errors: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    try:
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
    finally:
        context.close()
    assert [error for error in errors if not any(part in error for part in but)] == []


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Waits; playwright's own waiting for an expression is refused by pages that forbid eval."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
