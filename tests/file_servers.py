"""Servers on loopback that answer as the real ones do: a plain one, the Hub, Google Drive.

The forms are those of July 2024 to November 2026: the Hub redirects to another host and says hash,
size and commit in headers; Drive redirects to drive.usercontent.google.com, asks to confirm large
files with a form, and answers an exceeded quota with a page and the status 200.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

CONTENT = bytes(range(256)) * 40_000  # 10 MB, several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DRIVE_ID = "1KyMpRjewZdyYfxHPYcd-ZbanIXtin0Sn"
DRIVE_URL = f"https://drive.google.com/file/d/{DRIVE_ID}"
HUB_URL = "https://huggingface.co/somebody/some-net/resolve/main/models/net.pth"
QUOTA_PAGE = (
    "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>"
    '<p class="uc-error-caption">Sorry, you can&#39;t view or download this file at this time.</p>'
    '<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. '
    "Please try accessing the file again later.</p></body></html>"
)
MODEL = "somebody/some-net"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FileServer(ThreadingHTTPServer):
    """Serves one file under any path.

    Attributes:
        content: Of the file.
        breaks: How many of the next transfers end half way.
        ranges: Whether it sends a part that is asked for.
        page: A web page that it answers with instead, with the status 200.
        status: What it answers instead of the file, such as 404.
        status_after_break: Becomes `status` once a transfer has ended half way.
        version: The file's ETag.
        asked: The Range of each request for the file, None where it was asked for whole.
    """

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.content = CONTENT
        self.breaks = 0
        self.ranges = True
        self.page: str | None = None
        self.status: int | None = None
        self.status_after_break: int | None = None
        self.version = '"first"'
        self.asked: list[str | None] = []

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.root}/file.pth"


class ModelServer(FileServer):
    """Serves `files`, by their names, as the model `somebody/some-net`."""

    files: dict[str, bytes]


Server = TypeVar("Server", bound=FileServer)


class _Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.redirect(self.server.url)
        else:
            self.send_file()

    def do_HEAD(self) -> None:
        self.do_GET()

    def redirect(self, url: str, **headers: str) -> None:
        self.send_response(302)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send_page(self, page: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page.encode())))
        self.end_headers()
        self.write(page.encode())

    def send_file(self, **headers: str) -> None:
        server, wanted = self.server, self.headers.get("Range")
        if self.command == "GET":
            server.asked.append(wanted)
        if server.status is not None:
            return self.send_page("<html><body>an error</body></html>", server.status)
        if server.page is not None:
            return self.send_page(server.page)
        same = self.headers.get("If-Range", server.version) == server.version
        start = int(wanted[6:].partition("-")[0]) if wanted and server.ranges and same else 0
        content = self.content()
        whole = len(content)
        if start >= whole:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{whole}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", server.version)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if server.breaks and self.command == "GET":
            server.breaks -= 1
            server.status = server.status_after_break
            self.write(rest[: len(rest) // 2])
            self.close_connection = True
            return
        self.write(rest)

    def content(self) -> bytes:
        return self.server.content

    def write(self, content: bytes) -> None:
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class _Hub(_Handler):
    """The Hub: metadata in the headers of a redirect, the content on another host."""

    def do_GET(self) -> None:
        if self.path.startswith("/content"):
            return self.send_file()
        if "/resolve/" not in self.path:  # what else the client asks, of its own accord
            return self.send_page("", 404)
        if self.server.status is not None:
            self.send_response(self.server.status)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.redirect(
            f"http://localhost:{self.server.server_address[1]}/content",
            X_Repo_Commit=_COMMIT,
            X_Linked_Etag=f'"{hashlib.sha256(self.server.content).hexdigest()}"',
            X_Linked_Size=str(len(self.server.content)),
        )
        return None


class _Drive(_Handler):
    """Google Drive under the two hosts that the client asks, which are told apart by the path."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if asked.get("id") != [DRIVE_ID] or self.server.status == 404:
            return self.send_page("<html><body>Not found.</body></html>", 404)
        if parts.path == "/uc":
            # To the other host; the client is sent to loopback for it too.
            url = f"https://drive.usercontent.google.com/download?id={DRIVE_ID}&export=download"
            return self.redirect(url)
        if asked.get("confirm") == ["t"]:
            return self.send_file(Content_Disposition='attachment; filename="latest.pth"')
        if self.server.page is not None:
            return self.send_page(self.server.page)
        return self.send_page(
            "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head>"
            '<body><form id="download-form" method="get" '
            'action="https://drive.usercontent.google.com/download">'
            f'<input type="hidden" name="id" value="{DRIVE_ID}">'
            '<input type="hidden" name="export" value="download">'
            '<input type="hidden" name="confirm" value="t"></form></body></html>'
        )


class _Models(_Handler):
    """The Hub with the small files of one model, which it sends by itself."""

    def do_GET(self) -> None:
        model, _, rest = self.path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        reason = self.reason_against(model, revision, name)
        if reason is not None:
            self.send_response(404)
            self.send_header("X-Error-Code", reason)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.content = self.files[name]
        self.server.version = f'"{hashlib.sha256(self.files[name]).hexdigest()}"'
        self.send_file(X_Repo_Commit=_COMMIT)

    @property
    def files(self) -> dict[str, bytes]:
        assert isinstance(self.server, ModelServer)
        return self.server.files

    def reason_against(self, model: str, revision: str, name: str) -> str | None:
        if model != MODEL:
            return "RepoNotFound"
        if revision not in ("main", "v1", _COMMIT):
            return "RevisionNotFound"
        return None if name in self.files else "EntryNotFound"


@contextmanager
def _running(
    handler: type[BaseHTTPRequestHandler], kind: type[Server] = FileServer
) -> Iterator[Server]:
    with kind(handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class FolderServer(FileServer):
    """Serves the files of `folder`.

    Attributes:
        paths: What was asked for, one entry for each transfer.
    """

    folder: Path

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(handler)
        self.paths: list[str] = []


class _Folder(_Handler):
    server: FolderServer

    def do_GET(self) -> None:
        if not (self.server.folder / self.path[1:]).is_file():
            return self.send_page("not here", 404)
        if self.command == "GET":
            self.server.paths.append(self.path[1:])
        return self.send_file()

    def content(self) -> bytes:
        return (self.server.folder / self.path[1:]).read_bytes()


@contextmanager
def folder_server(folder: Path) -> Iterator[FolderServer]:
    """A server of the files of a folder."""
    with _running(_Folder, FolderServer) as server:
        server.folder = folder
        yield server


@contextmanager
def plain_server() -> Iterator[FileServer]:
    """A server of plain links; below /moved it redirects."""
    with _running(_Handler) as server:
        yield server


@contextmanager
def hub_server(patch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """The Hub, as a mirror that HF_ENDPOINT names."""
    from huggingface_hub import close_session

    with _running(_Hub) as server:
        patch.setenv("HF_ENDPOINT", server.root)
        yield server
        close_session()


@contextmanager
def drive_server(patch: pytest.MonkeyPatch, cookies: str) -> Iterator[FileServer]:
    """Google Drive: what is asked of its hosts goes to loopback, all else is gdown's own."""
    import sys

    import gdown  # noqa: F401 - its module `download` is hidden by the function of that name
    import requests

    with _running(_Drive) as server:
        send = requests.adapters.HTTPAdapter.send

        def to_loopback(adapter: object, request: object, **options: object) -> object:
            parts = urlsplit(request.url)
            assert parts.hostname in ("drive.google.com", "drive.usercontent.google.com")
            request.url = parts._replace(scheme="http", netloc=server.root[7:]).geturl()
            return send(adapter, request, **options)

        patch.setattr(requests.adapters.HTTPAdapter, "send", to_loopback)
        patch.setattr(sys.modules["gdown.download"], "DEFAULT_COOKIES_FILE", cookies)
        patch.setattr("random.uniform", lambda low, high: 0.0)  # gdown waits before it tries again
        yield server


@contextmanager
def model_server(patch: pytest.MonkeyPatch, files: dict[str, bytes]) -> Iterator[ModelServer]:
    """The Hub with one model, as a mirror that HF_ENDPOINT names."""
    from huggingface_hub import close_session

    with _running(_Models, ModelServer) as server:
        server.files = files
        patch.setenv("HF_ENDPOINT", server.root)
        yield server
        close_session()
