"""The page over HTTP, on 127.0.0.1.

GET  /                 the page               GET  /about        the data, in words and numbers     POST /fit     a question, its answer
GET  /explore.js ...   what it is made of     GET  /columns/J    column J of the rows shown         POST /save    the same, and a model file
                                              POST /progress     a question, its answer so far

All of them lie behind the token (`guard`), to which GET /open/KEY leads once. An answer is JSON; where there is none, {"error": one line}.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mixtura.errors import MissingLibraryError, MixturaError, ParameterError
from mixtura.explore.exploration import Exploration, Question
from mixtura.explore.newest import Superseded
from mixtura.forms import short
from mixtura.pages import asset, embedded, plotly_js
from mixtura.storage import from_json

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from mixtura.explore.guard import OPEN, Guard, Keys
except ModuleNotFoundError as error:
    if error.name is not None and error.name.startswith("mixtura"):
        raise
    raise MissingLibraryError(f"exploring needs a library: got no {error.name}, expected it installed; try pip install 'mixtura[explore]'") from None

if TYPE_CHECKING:
    from starlette.types import ASGIApp

OWN = {"explore.js": "text/javascript", "explore.css": "text/css"}
SHARED = {"scatter.js": "text/javascript", "theme.js": "text/javascript", "page.css": "text/css"}
ADDRESS = "127.0.0.1"
DROPPED = 409  # the status of a question after which another was asked


def listening(port: int = 0) -> socket.socket:
    """A socket that listens on 127.0.0.1 alone; port 0 takes a free one. Raises ParameterError where the port cannot be had."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((ADDRESS, port))
    except OSError as error:
        place.close()
        raise ParameterError(f"cannot listen on port {port}: {error.strerror or error}; try another --port, or 0 for any that is free") from None
    place.listen()
    return place


def address(place: socket.socket, keys: Keys) -> str:
    """An address that opens the page once."""
    return f"http://{ADDRESS}:{place.getsockname()[1]}/{OPEN}/{keys.new()}"


def server(exploration: Exploration, place: socket.socket, token: str, keys: Keys) -> uvicorn.Server:
    """The server of this exploration; `run(sockets=[place])` serves until it is interrupted."""
    guarded = application(exploration, token, keys, place.getsockname()[1])
    config = uvicorn.Config(
        guarded, log_level="critical", access_log=False, server_header=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    return uvicorn.Server(config)


def application(exploration: Exploration, token: str, keys: Keys, port: int) -> ASGIApp:
    """The page of this exploration, behind the token, to which the keys lead."""
    plotly_js()  # raises now where plotly is missing

    async def page(request: Request) -> Response:
        return Response(_own("page.html"), media_type="text/html")

    async def script(request: Request) -> Response:
        return Response(plotly_js(), media_type="text/javascript")

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        if name in OWN:
            return Response(_own(name), media_type=OWN[name])
        return Response(asset(name), media_type=SHARED[name]) if name in SHARED else _told({"error": "there is no such file"}, 404)

    async def about(request: Request) -> Response:
        return _told(exploration.about())

    async def column(request: Request) -> Response:
        try:
            values = exploration.column(request.path_params["number"])
        except ParameterError as error:
            return _told({"error": _line(error)}, 422)
        return Response(values.astype("<f8").tobytes(), media_type="application/octet-stream")

    async def progress(request: Request) -> Response:
        return await _answered(request, lambda question: asyncio.to_thread(exploration.so_far, question))

    async def fit(request: Request) -> Response:
        return await _answered(request, lambda question: asyncio.wrap_future(exploration.ask(question)))

    async def save(request: Request) -> Response:
        return await _answered(request, lambda question: asyncio.wrap_future(exploration.save(question)))

    async def _answered(request: Request, ask: Callable[[Question], Awaitable[Any]]) -> Response:
        try:
            question = Question.of(_read(await request.body()), len(exploration.columns))
            return _told(await ask(question))
        except Superseded:
            return _told({"error": "something newer was asked"}, DROPPED)
        except (MixturaError, OSError) as error:
            return _told({"error": _line(error)}, 422)
        except MemoryError as error:
            return _told({"error": f"out of memory: {_line(error)}; try fewer rows or columns"}, 422)

    async def failed(request: Request, error: Exception) -> Response:
        return _told({"error": f"something went wrong: {type(error).__name__}: {_line(error)}"}, 500)

    routes = [
        Route("/", page),
        Route("/plotly.js", script),
        Route("/about", about),
        Route("/columns/{number:int}", column),
        Route("/progress", progress, methods=["POST"]),
        Route("/fit", fit, methods=["POST"]),
        Route("/save", save, methods=["POST"]),
        Route("/{name}", part),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={Exception: failed}), token, keys, port, exploration.webgl)


def _read(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError as error:
        raise ParameterError(f"the question is not usable: {short(str(error))}; expected a JSON object; try the page itself") from None


def _told(value: Any, status: int = 200) -> Response:
    return Response(embedded(value), status, media_type="application/json")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _own(name: str) -> str:
    return (files("mixtura.explore") / name).read_text(encoding="utf-8")
