"""How requests come in: none too slowly, and not too many bytes at a time.

A client that sends a byte a second would hold a connection for days, and many uploads at once
more memory than there is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from src.webapp.uploads import OVERHEAD, Limits, TooLargeError, UploadError, file_in_form, is_form

_AT_ONCE = 4  # of the largest uploads, how many may lie in memory
_CONNECTIONS = 200  # the system's usual limit of open files is 1024


class BusyError(UploadError):
    """More uploads at a time than the memory is meant for."""


@dataclass(frozen=True)
class Patience:
    """How long a request may take to arrive.

    seconds: For its headers, and for its body besides the time that its bytes may take.
    slowest: Bytes a second that a body must have on the average.
    """

    seconds: float = 30.0
    slowest: float = 20_000.0

    def seconds_for(self, count: int) -> float:
        """How long a body may take of which `count` bytes are there."""
        return self.seconds + count / self.slowest


class Punctual:
    """Middleware that ends a request whose body comes too slowly: 408 and a sentence."""

    def __init__(self, app: ASGIApp, patience: Patience) -> None:
        self.app, self.patience = app, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, count, complete = monotonic(), 0, False

        async def receiving() -> Message:
            nonlocal count, complete
            if complete:  # what follows is the end of the connection, whenever that comes
                return await receive()
            left = begun + self.patience.seconds_for(count) - monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, left))
            except asyncio.TimeoutError:
                raise HTTPException(
                    408,
                    f"only {count} bytes came in {monotonic() - begun:.0f} seconds, which is too "
                    "slow; send it again over a faster connection",
                ) from None
            count += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            return message

        await self.app(scope, receiving, send)


class Intake:
    """Takes in the bodies of uploads.

    Args:
        limits: Of one upload.
        most: Bytes of all that are being received or read; None for four of the largest.
    """

    def __init__(self, limits: Limits, most: int | None = None) -> None:
        self.limits = limits
        self.most = _AT_ONCE * (limits.bytes + OVERHEAD) if most is None else most
        self._held = 0

    @asynccontextmanager
    async def file(self, request: Request) -> AsyncIterator[tuple[bytes, str | None]]:
        """The file in a request's body, which may be a form, and its name if the form says it.

        It counts as held until the context ends.

        Raises:
            TooLargeError: Refused as soon as that is known.
            BusyError: Others have left too little room.
            UploadError: A form without a file.
        """
        kind = request.headers.get("content-type", "")
        most = self.limits.bytes + (OVERHEAD if is_form(kind) else 0)
        announced = request.headers.get("content-length", "0")
        self._check(int(announced) if announced.isdecimal() else 0, most, held=0)
        body = bytearray()
        counted = 0
        try:
            async for part in request.stream():
                self._check(len(body) + len(part), most, held=counted)
                body += part
                self._held += len(part)
                counted += len(part)
            data, name = file_in_form(bytes(body), kind) if is_form(kind) else (bytes(body), None)
            body.clear()
            yield data, name
        finally:
            self._held -= counted

    def _check(self, count: int, most: int, held: int) -> None:
        """Refuse a body of `count` bytes, of which `held` are counted already."""
        if count > most:
            self.limits.check_bytes(count)
            raise TooLargeError(f"The file is larger than {self.limits.megabytes:g} MB.")
        if self._held - held + count > self.most:
            raise BusyError("The server is busy with other uploads; try again in a moment.")


def server_of(app: ASGIApp, patience: Patience, **options: Any) -> uvicorn.Server:
    """A server that also ends connections whose headers do not come."""

    class Protocol(_PunctualProtocol):
        seconds = patience.seconds

    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=Protocol,
            log_level="warning",
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            **options,
        )
    )


class _PunctualProtocol(H11Protocol):
    """uvicorn's, with a limit of time for the headers, of which it has none itself."""

    seconds: float
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.seconds, self._end)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()  # the headers are there; `Punctual` looks after the body
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and not self.transport.is_closing():
            self.transport.close()
