"""The page's routes. Every error is a JSON object with one sentence under `error`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from src.errors import UserError, is_full
from src.webapp.edits import Clicks, HistoryError, Mode, Part, PointedObject, TooManyError
from src.webapp.model_info import describe_model
from src.webapp.object_files import MOST
from src.webapp.request_limits import BusyError, Intake, Patience, Punctual
from src.webapp.security import RequestGuard
from src.webapp.session_store import GoneError, SessionStore
from src.webapp.uploads import TooLargeError

log = logging.getLogger(__name__)

_STATIC = FilePath(__file__).with_name("static")
_PRIVATE = {"Cache-Control": "no-store"}  # pictures of people, and masks that clicks change
_MOST_POINTS = 200
_MOST_PARTS = 50
_STATUS = {
    GoneError: 404, HistoryError: 409, TooManyError: 409, TooLargeError: 413, BusyError: 503,
}  # fmt: skip
_FULL = "The disk of the server has no room left for this image."

T = TypeVar("T")
ImageType = Literal["mask", "rgba", "overlay"]  # store.OUTPUTS, as FastAPI needs it
Key = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=1, le=MOST)]
Point = tuple[FiniteFloat, FiniteFloat]
Window = Annotated[str | None, Query(pattern=r"^-?\d{1,9}(,-?\d{1,9}){3}$")]  # x0,y0,x1,y1


class ClicksBody(BaseModel):
    """What was pointed at: points, whether each lies on the object (1) or not (0), and a box."""

    model_config = ConfigDict(extra="forbid")

    points: list[Point] = Field(default=[], max_length=_MOST_POINTS)
    labels: list[Literal[0, 1]] | None = Field(default=None, max_length=_MOST_POINTS)
    box: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None

    def clicks(self) -> Clicks | None:
        """None where nothing was pointed at."""
        if not self.points and self.box is None:
            return None
        return Clicks(self.points, self.labels, self.box)


class PartBody(ClicksBody):
    """Clicks, and how their mask joins what the object is without them."""

    mode: Mode

    def part(self) -> Part:
        return Part(self.mode, Clicks(self.points, self.labels, self.box))


class DraftBody(ClicksBody):
    """Clicks of which no mask can be made yet; without a mode the object begins with them."""

    mode: Mode | None = None


class ObjectBody(ClicksBody):
    """An object: the clicks that it begins with, and what changes it."""

    combine: list[PartBody] = Field(default=[], max_length=_MOST_PARTS)
    draft: DraftBody | None = None

    def pointed(self) -> PointedObject:
        draft = None if self.draft is None else self.draft.clicks()
        return PointedObject(
            self.clicks(),
            tuple(part.part() for part in self.combine),
            None if draft is None or self.draft is None else (self.draft.mode, draft),
        )


class WindowBody(BaseModel):
    """A window, x0, y0, x1, y1 in pixels, the last ones included, to be read again."""

    model_config = ConfigDict(extra="forbid")

    window: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    overrule: bool = False


def create_app(
    store: SessionStore,
    *,
    license: str | None = None,
    names: Iterable[str] = (),
    patience: Patience | None = None,
    buffered: int | None = None,
) -> FastAPI:
    """The page and what it asks for.

    Args:
        store: Used in one thread of its own, so that the model sees one request at a time and the
            server answers meanwhile; closed with the server.
        license: Of the weights, where the registry does not know it.
        names: See `RequestGuard`.
        patience: How long a request may take to arrive.
        buffered: Bytes of uploads in memory at a time, see `Intake`.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="model")
    intake = Intake(store.limits, buffered)
    facts = describe_model(store.segmenter, store.limits, license)

    async def work(job: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, job, *arguments)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        thread.shutdown(cancel_futures=True)
        store.close()

    # No generated pages about the routes: they load scripts from elsewhere.
    app = FastAPI(title="finecut", openapi_url=None, lifespan=lifespan)
    app.add_middleware(Punctual, patience=patience or Patience())
    app.add_middleware(RequestGuard, names=tuple(names))
    app.mount("/static", StaticFiles(directory=_STATIC))
    _add_error_answers(app)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/health")
    async def health() -> dict[str, str]:
        """The server answers; whether the model is busy makes no difference."""
        return {"status": "ok"}

    @app.get("/api/model")
    async def model() -> dict[str, Any]:
        return facts

    @app.post("/api/pictures", status_code=201)
    async def upload(
        request: Request, name: Annotated[str, Query(max_length=1000)] = ""
    ) -> dict[str, Any]:
        async with intake.file(request) as (data, filed_as):
            image = await work(store.open, data, name or filed_as or "picture")
        return image.state()

    @app.get("/api/pictures/{key}")
    async def state(key: Key) -> JSONResponse:
        return JSONResponse(await work(store.state, key), headers=_PRIVATE)

    @app.post("/api/pictures/{key}/undo")
    async def undo(key: Key) -> JSONResponse:
        return JSONResponse(await work(store.undo, key), headers=_PRIVATE)

    @app.post("/api/pictures/{key}/redo")
    async def redo(key: Key) -> JSONResponse:
        return JSONResponse(await work(store.redo, key), headers=_PRIVATE)

    @app.post("/api/pictures/{key}/windows")
    async def sharpen(key: Key, body: WindowBody) -> JSONResponse:
        return JSONResponse(
            await work(store.sharpen, key, body.window, body.overrule), headers=_PRIVATE
        )

    @app.get("/api/pictures/{key}/picture")
    async def upright(key: Key, window: Window = None) -> Response:
        data, kind = await work(store.image, key, _corners(window))
        return Response(data, media_type=kind, headers=_PRIVATE)

    @app.put("/api/pictures/{key}/objects/{number}")
    async def put_object(key: Key, number: Number, body: ObjectBody) -> Response:
        data = await work(store.put_object, key, number, body.pointed())
        return Response(status_code=204, headers=_PRIVATE) if data is None else _png(data)

    @app.delete("/api/pictures/{key}/objects/{number}", status_code=204)
    async def drop_object(key: Key, number: Number) -> None:
        await work(store.drop_object, key, number)

    @app.get("/api/pictures/{key}/objects/{number}/{output}")
    async def object_result(
        key: Key, number: Number, output: ImageType, view: bool = False, window: Window = None
    ) -> Response:
        return _png(await work(store.object_result, key, number, output, view, _corners(window)))

    @app.get("/api/pictures/{key}/palette")
    async def palette(key: Key) -> Response:
        return _png(await work(store.palette, key))

    @app.get("/api/pictures/{key}/coco")
    async def coco(key: Key) -> JSONResponse:
        return JSONResponse(await work(store.coco, key), headers=_PRIVATE)

    @app.get("/api/pictures/{key}/{output}")
    async def result(
        key: Key, output: ImageType, view: bool = False, window: Window = None
    ) -> Response:
        return _png(await work(store.result, key, output, view, _corners(window)))

    return app


def _corners(window: str | None) -> list[int] | None:
    return None if window is None else [int(part) for part in window.split(",")]


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png", headers=_PRIVATE)


def _add_error_answers(app: FastAPI) -> None:
    def answer(status: int, sentence: str) -> JSONResponse:
        later = {"Retry-After": "5"} if status == 503 else {}
        return JSONResponse({"error": sentence}, status, headers=_PRIVATE | later)

    @app.exception_handler(UserError)
    async def mistaken(_: Request, error: UserError) -> JSONResponse:
        status = _STATUS.get(type(error), 400)
        return answer(status, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(422, f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, f"{request.method} {request.url.path}: {error.detail}")

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, error: ClientDisconnect) -> JSONResponse:
        return answer(400, "The upload was broken off.")  # nobody reads it, and nothing is wrong

    @app.exception_handler(OSError)
    async def full(_: Request, error: OSError) -> JSONResponse:
        if not is_full(error):
            raise error
        return answer(507, f"{_FULL} Please tell whoever runs it.")

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        # The traceback is in the log: Starlette raises the error again once this is sent.
        return answer(500, "The server failed on this; its log, where app.py runs, says why.")
