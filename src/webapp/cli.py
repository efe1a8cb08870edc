"""What `app.py` does with its composed config."""

import logging
import socket
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import DictConfig

from src.errors import UserError, missing_extra
from src.settings.commands import AppSettings
from src.settings.parse import parse
from src.weights.licenses import require_commercial

if TYPE_CHECKING:
    from src.inference import Segmenter
    from src.webapp.session_store import SessionStore
    from src.webapp.uploads import Limits

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> int:
    """Serve the page until interrupted; the exit code is 1 if it could not start."""
    settings = parse(AppSettings, cfg)
    if settings.commercial:
        require_commercial(settings.weights)
    try:
        from src.webapp.request_limits import Patience, server_of
        from src.webapp.server import create_app
    except ModuleNotFoundError as error:
        raise missing_extra(f"the page needs {error.name}", "page") from None
    from src.inference import Segmenter
    from src.webapp.uploads import Limits

    _require_temporary_folder()
    limits = Limits(settings.max_megapixels, settings.max_upload_mb)
    # Before the model is loaded: a port that is taken is known at once.
    with _listening(settings.host, settings.port) as listener:
        segmenter = Segmenter.from_checkpoint(
            settings.weights,
            settings.model,
            settings.device,
            size=settings.size,
            preprocess=settings.preprocess.given(),
            precision=settings.precision,
        )
        if settings.engine is not None:
            segmenter.use_engine(settings.engine, detail=settings.detail)
        if segmenter.clicks is None:  # what cannot work fails now, not at the first image
            segmenter.mask(np.zeros((64, 64, 3), np.uint8), detail=settings.detail)
        store, patience = _store(settings, segmenter, limits), Patience()
        app = create_app(store, license=settings.license, names=settings.names, patience=patience)
        log.info("%s\nopen %s, stop with Ctrl-C", segmenter, _address(listener))
        with suppress(KeyboardInterrupt):  # uvicorn has ended in order, then raises it again
            server_of(app, patience).run(sockets=[listener])
    return 0


def _store(settings: AppSettings, segmenter: "Segmenter", limits: "Limits") -> "SessionStore":
    from src.webapp.result_memory import ResultMemory
    from src.webapp.session_store import SessionStore

    memory = ResultMemory(int(settings.max_memory_mb * 1e6))
    return SessionStore(
        segmenter, limits, detail=settings.detail, keep=settings.keep, memory=memory
    )


def _require_temporary_folder() -> None:
    """Uploads pass through it on their way to the decoder: it is asked for before the first."""
    try:
        tempfile.gettempdir()  # which tries several
    except FileNotFoundError as error:
        raise UserError(
            f"{error.strerror or error}; make room there, or set TMPDIR to a folder with room"
        ) from None


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError, TypeError) as error:
        listener.close()
        raise UserError(f"cannot serve on {host} port {port}: {error}; try port=0") from None
    listener.listen()
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
