"""What stands between the network and the page: only this machine, only by the name it was given, only with the token.

Another page in the same browser can send requests here, and by rebinding a name of its own even read the answers; but it knows no token, and its
requests carry its own name as their host.

The token never stands in an address that is printed or handed to a browser, where whoever lists this machine's processes would read it. These
hold a key that opens the page once: the answer leads the browser on to the token, and gives it a cookie by which it may use that key again.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# plotly.js writes style elements of its own, and functions where it draws by WebGL; all else comes from files of this server
POLICY = (
    "default-src 'none'; script-src 'self'{eval}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
LARGEST = 100_000  # bytes of a question
OPEN = "open"  # /open/KEY
ELSEWHERE = "the token is missing or wrong; try the address that mixtura explore printed, or that of the page where it is open"
USED = (
    "this address was used already, and opens the page once; try the address of the page where it is open. If nobody of yours opened it, somebody "
    "else did: end mixtura explore (Ctrl-C)"
)


def new_secret() -> str:
    """256 bits of chance, as they stand in an address."""
    return secrets.token_urlsafe(32)


class Keys:
    """Keys that open the page once each, and of those that did the browser that has them, by its cookie."""

    def __init__(self) -> None:
        self.holders: dict[str, str | None] = {}

    def new(self) -> str:
        """A key that nobody used."""
        key = new_secret()
        self.holders[key] = None
        return key

    def taken(self, key: str, cookie: str | None) -> str | None:
        """The cookie of the browser that has this key: a new one the first time; None where there is no such key, or another browser has it."""
        known = next((one for one in self.holders if secrets.compare_digest(one.encode(), key.encode())), None)
        if known is None:
            return None
        holder = self.holders[known]
        if holder is None:  # a cookie that is none of ours may have been put there by a page of another port
            holder = self.holders[known] = cookie if cookie is not None and cookie in self.holders.values() else new_secret()
            return holder
        return holder if cookie is not None and secrets.compare_digest(cookie.encode(), holder.encode()) else None


class Guard:
    """The application, behind `/token/`: anything else, and any other host, is answered with 403, and what is sent must be a short JSON text.

    `/open/KEY` leads there for one of the `keys`. `webgl` says whether the page draws by WebGL.
    """

    def __init__(self, app: ASGIApp, token: str, keys: Keys, port: int, webgl: bool):
        self.app, self.token, self.keys, self.port = app, token.encode(), keys, port
        self.headers = {**HEADERS, "content-security-policy": POLICY.format(eval=" 'unsafe-eval'" if webgl else "")}
        self.hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def armed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *((name.encode(), value.encode()) for name, value in self.headers.items())]
            await send(message)

        if scope["type"] != "http":
            return  # uvicorn closes it: nothing here speaks otherwise
        answer = self._refused(scope) or self._opened(scope) or self._unknown(scope)
        if answer is None and scope["method"] == "POST":
            content = await _measured(receive)
            if content is None:
                answer = _refusal(413, f"expected at most {LARGEST} bytes")
            else:
                receive = _again(content, receive)
        if answer is not None:
            await answer(scope, receive, armed)
            return
        prefix = "/" + self.token.decode()
        await self.app({**scope, "path": scope["path"].removeprefix(prefix), "root_path": ""}, receive, armed)

    def _refused(self, scope: Scope) -> Response | None:
        """The answer to another host."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return _refusal(403, "this page is for 127.0.0.1 only; try the address that mixtura explore printed")
        return None

    def _opened(self, scope: Scope) -> Response | None:
        """The answer to a key: the way to the page. Only GET uses it up."""
        _, *parts = scope["path"].split("/")
        if len(parts) != 2 or parts[0] != OPEN:
            return None
        if scope["method"] != "GET":
            return _refusal(405, "expected GET")
        name = f"mixtura-{self.port}"  # a cookie is sent to every port
        cookie = self.keys.taken(parts[1], _cookie(scope, name))
        if cookie is None:
            return _refusal(403, USED if parts[1] in self.keys.holders else ELSEWHERE)
        answer = RedirectResponse(f"/{self.token.decode()}/", 303)
        answer.set_cookie(name, cookie, path=f"/{OPEN}/", httponly=True, samesite="strict")
        return answer

    def _unknown(self, scope: Scope) -> Response | None:
        """The answer to who lacks the token, and to what is no question by what it says of itself."""
        _, first, *rest = scope["path"].split("/", 2)
        if not rest or not secrets.compare_digest(first.encode(), self.token):
            return _refusal(403, ELSEWHERE)
        if scope["method"] == "POST":
            headers: dict[bytes, Any] = dict(scope["headers"])
            if not headers.get(b"content-type", b"").startswith(b"application/json"):
                return _refusal(415, "expected application/json")
            length = headers.get(b"content-length", b"0")
            if not length.isdigit() or len(length) > len(str(LARGEST)) or int(length) > LARGEST:
                return _refusal(413, f"expected at most {LARGEST} bytes")
        return None


def _refusal(status: int, reason: str) -> Response:
    """One line, and the end of the connection: nobody reads what else is sent on it."""
    return JSONResponse({"error": reason}, status, headers={"connection": "close"})


async def _measured(receive: Receive) -> bytes | None:
    """What is sent, whatever it says of its length; None where it is too much, or the sender has gone. No more than that is read."""
    content = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        content += message.get("body", b"")
        if len(content) > LARGEST:
            return None
        if not message.get("more_body", False):
            return bytes(content)


def _again(content: bytes, receive: Receive) -> Receive:
    """The same content to be received once more, as a whole; what comes after it as it comes."""
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": content, "more_body": False}

    return received


def _cookie(scope: Scope, name: str) -> str | None:
    """The cookie of this name, if the browser sends one."""
    sent = b"; ".join(value for header, value in scope["headers"] if header == b"cookie").decode("latin-1")
    try:
        found = SimpleCookie(sent).get(name)
    except CookieError:
        return None
    return found.value if found else None
