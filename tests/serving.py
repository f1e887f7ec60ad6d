"""Pages that are served for a test, as `mixtura explore` serves them, and requests to them with nothing added that a test does not ask for."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from mixtura.explore import Exploration
from mixtura.explore.app import listening, server

TOKEN = "right"


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
    """The exploration's page on a port that is free, behind /right/."""
    with listening() as place:
        serving = server(exploration, place, TOKEN)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [place]}, daemon=True)
        thread.start()
        while not serving.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Client(place.getsockname()[1])
        finally:
            serving.should_exit = True
            thread.join(30)
