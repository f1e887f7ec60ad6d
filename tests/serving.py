"""Pages that are served for a test, as `mixtura explore` serves them: requests to them with nothing added that a test does not ask for, and what a
hand does on them in a browser.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from browser import opened, until

import mixtura
from mixtura.cli.explore import _keep
from mixtura.explore import Exploration, Place
from mixtura.explore.app import listening, server
from mixtura.explore.guard import Keys

TOKEN = "right"
FAITHFUL = Path(__file__).parent.parent / "examples" / "old_faithful.csv"
MOVED = (5, 9, 13, 7, 15, 11, 17)  # no two of them neighbours, nor of the first fit, so that none is fitted ahead


class Told(NamedTuple):
    """An answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """Requests to 127.0.0.1, with the path as it is written."""

    keys: Keys

    def __init__(self, port: int):
        self.port = port

    def request(self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> Told:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            own = {name.lower() for name in headers or {}}
            connection.putrequest(method, path, skip_host="host" in own, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if content is not None and "content-length" not in own:
                connection.putheader("content-length", str(len(content)))
            connection.endheaders(content)
            told = connection.getresponse()
            return Told(told.status, {name.lower(): value for name, value in told.getheaders()}, told.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Told:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, question: Any) -> Told:
        return self.request("POST", path, json.dumps(question).encode(), {"content-type": "application/json"})


@contextmanager
def served(exploration: Exploration) -> Iterator[Client]:
    """The exploration's page on a port that is free, behind /right/, to which the client's `keys` lead."""
    keys = Keys()
    with listening() as place:
        serving = server(exploration, place, TOKEN, keys)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        while not serving.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            client = Client(place.getsockname()[1])
            client.keys = keys
            yield client
        finally:
            serving.should_exit = True
            thread.join(30)


class Page:
    """The page, and what stands on it."""

    def __init__(self, page: Any, exploration: Exploration):
        self.page, self.exploration = page, exploration

    def evaluate(self, code: str, *given: Any) -> Any:
        return self.page.evaluate(code, *given)

    def text(self, name: str) -> str:
        return self.page.inner_text(f"#{name}")

    def moves(self, name: str = "move") -> list[dict[str, Any]]:
        """What the page keeps of pictures that were painted: milliseconds since the control's event, and of what they are made.

        `move` is the first one after a move, `underway` one of a fit to all rows that is not done, `all` one that is.
        """
        return self.evaluate("(name) => performance.getEntriesByName(name).map((one) => ({ took: one.duration, ...one.detail }))", f"mixtura:{name}")

    @contextmanager
    def moved(self, name: str = "move") -> Iterator[None]:
        """Waits until what is done here has been painted."""
        before = len(self.moves(name))
        yield
        until(lambda: len(self.moves(name)) > before, "the picture to follow")

    def slide(self, K: int, name: str = "move", seconds: float = 30.0) -> None:
        """The slider, as a hand moves it: an event of the browser's own time. Waits for its picture."""
        before = len(self.moves(name))
        self.evaluate(
            "(K) => { const slider = document.getElementById('components'); slider.value = K; "
            "slider.dispatchEvent(new Event('input', { bubbles: true })); }",
            K,
        )
        until(lambda: any(one["components"] == K for one in self.moves(name)[before:]), "the picture to follow", seconds)

    def choose(self, name: str, value: str) -> None:
        with self.moved():
            self.page.select_option(f"#{name}", value)

    def figures(self) -> dict[str, str]:
        names, values = (self.page.locator(f"#numbers {tag}").all_inner_texts() for tag in ("dt", "dd"))
        return dict(zip(names, values, strict=True))

    def weights(self) -> list[float]:
        return [float(text) for text in self.page.locator("#table tbody td:nth-child(2)").all_inner_texts()]

    def traces(self, mode: str) -> int:
        return self.evaluate("(mode) => document.getElementById('picture').data.filter((one) => one.mode === mode).length", mode)

    def axes(self) -> list[str]:
        return self.evaluate("['xaxis', 'yaxis'].map((name) => document.getElementById('picture').layout[name].title.text)")


@contextmanager
def exploring(
    chromium: Any,
    data: Path = FAITHFUL,
    output: str | Path = "model",
    width: int = 1280,
    height: int = 900,
    dark: bool = False,
    but: tuple[str, ...] = (),
    warm: bool = False,
    **more: Any,
) -> Iterator[Page]:
    """The page of these rows, once its first fit is drawn."""
    place = Place(str(data), None, str(output))
    one = Exploration(lambda names: mixtura.open(place.data, names), partial(_keep, place), place, **more)
    with closing(one):  # the page itself drops questions that nobody waits for any more
        if warm:
            one.warm()
        with served(one) as client, opened(width, height, dark, (*but, "/fit", "/progress"), chromium) as browser:
            browser.goto(f"http://127.0.0.1:{client.port}/{TOKEN}/")
            page = Page(browser, one)
            until(page.moves, "the first fit")
            yield page
