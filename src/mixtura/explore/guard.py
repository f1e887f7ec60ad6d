"""What stands between the network and the page: only this machine, only by the name it was given, only with the token.

Another page in the same browser can send requests here, and by rebinding a name of its own even read the answers; but it knows no token, and its
requests carry its own name as their host.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

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


class Guard:
    """The application, behind `/token/`: anything else, and any other host, is answered with 403, and what is sent must be a short JSON text.

    `webgl` says whether the page draws by WebGL.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, webgl: bool):
        self.app, self.token = app, token.encode()
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
        refusal = self._refusal(scope)
        if refusal is not None:
            await JSONResponse({"error": refusal[1]}, refusal[0])(scope, receive, armed)
            return
        prefix = "/" + self.token.decode()
        await self.app({**scope, "path": scope["path"].removeprefix(prefix), "root_path": ""}, receive, armed)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the reason, where there is one."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self.hosts:
            return 403, "this page is for 127.0.0.1 only; try the address that mixtura explore printed"
        _, first, *rest = scope["path"].split("/", 2)
        if not rest or not secrets.compare_digest(first.encode(), self.token):
            return 403, "the token is missing or wrong; try the address that mixtura explore printed"
        if scope["method"] == "POST":
            headers: dict[bytes, Any] = dict(scope["headers"])
            if not headers.get(b"content-type", b"").startswith(b"application/json"):
                return 415, "expected application/json"
            length = headers.get(b"content-length", b"")
            if not length.isdigit() or int(length) > LARGEST:
                return 413, f"expected at most {LARGEST} bytes"
        return None
