"""A real browser for tests of pages: Chromium, as the system has it, by playwright. Whatever the page's console calls an error, every request that
fails, and every request that leaves this machine fails the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import urlparse

from needs import chromium, needed

HERE = ("127.0.0.1", "localhost")


@contextmanager
def started() -> Iterator[Any]:
    """A browser. A thread can have one at a time."""
    executable = needed(chromium())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(width: int = 1280, height: int = 900, dark: bool = False, but: tuple[str, ...] = (), browser: Any = None) -> Iterator[Any]:
    """A page of playwright, in a browser of its own where none is given. `but` are parts of messages that the test provokes."""
    errors: list[str] = []
    with started() if browser is None else nullcontext(browser) as running:
        context = running.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        try:
            page = context.new_page()
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("requestfailed", lambda request: errors.append(f"failed: {request.url[:200]}"))
            page.on("request", lambda request: errors.append(f"outside: {request.url[:200]}") if _is_outside(request.url) else None)
            yield page
        finally:
            context.close()
    unexpected = [error for error in errors if not any(part in error for part in but)]
    assert not unexpected, unexpected


def _is_outside(url: str) -> bool:
    place = urlparse(url)
    return place.scheme not in ("file", "data", "blob", "about") and place.hostname not in HERE


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Waits; playwright's own waiting for an expression is refused by pages that forbid eval."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
