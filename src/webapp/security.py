"""Keeps other sites' pages away from a server that trusts whoever can reach it.

A server on one's own machine can be reached by every page that one's browser shows. Two attacks
matter: a foreign page that sends requests (its `Origin` gives it away), and a foreign name that is
made to point at this machine, so that its page counts as ours (its `Host` is not one of ours).
"""

import ipaddress
import json
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = ("GET", "HEAD")
_MOST_JSON = 1 << 16  # bytes of clicks
_UPLOADS = "/api/pictures"  # counted where they are read
_HEADERS = {
    # Everything that the page loads is its own, and it may not be framed.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class RequestGuard:
    """Middleware that refuses foreign hosts, foreign origins of all but plain reading, and clicks
    by the megabyte.

    Accepted hosts are IP addresses, which no name can be made to point at, localhost, the
    machine's own name, and `names`.

    Args:
        app: What is guarded.
        names: Further host names, such as that of a proxy in front.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self.app = app
        self.names = {"localhost", socket.gethostname().lower(), *(n.lower() for n in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self.is_ours(headers.get("host", "")):
            reason = "This host name is not known here; see names= in python app.py --help."
            await _refuse(send, reason)
        elif scope["method"] not in _READING and not _same_origin(headers):
            await _refuse(send, "Requests of other sites are not answered.")
        elif scope["path"] != _UPLOADS and not _is_short(headers):
            reason = f"This takes at most {_MOST_JSON} bytes; their number has to be announced."
            await _refuse(send, reason, status=413)
        else:
            await self.app(scope, receive, _with_headers(send))

    def is_ours(self, host: str) -> bool:
        """Whether a `Host` header, with or without a port, can only mean this server."""
        name = _without_port(host).lower()
        return name in self.names or _is_address(name)


def _same_origin(headers: Headers) -> bool:
    """Browsers say where a request comes from; programs do not, and are not led by a foreign page.

    The scheme is not compared: a proxy in front may speak https.
    """
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") in (None, "same-origin", "none")
    return origin.partition("://")[2].lower() == headers.get("host", "").lower()


def _is_short(headers: Headers) -> bool:
    none = "" if "transfer-encoding" in headers else "0"
    announced = headers.get("content-length", none)
    return announced.isdecimal() and int(announced) <= _MOST_JSON


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sending


async def _refuse(send: Send, reason: str, status: int = 403) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
