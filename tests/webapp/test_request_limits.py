"""Slow clients, many clients and forms, over real sockets where time matters."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from src.webapp.request_limits import Patience, server_of
from src.webapp.server import create_app
from src.webapp.session_store import SessionStore
from tests.inference.tiny import finder
from tests.webapp.guided import LIMITS, encoded, serving, two_reds

PICTURE = encoded(two_reds()[0])
PATIENCE = Patience(seconds=0.4, slowest=1e6)
FORM = (
    b'--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="image"; filename="B\xc3\xa4r, 2.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + PICTURE + b"\r\n--xyz--\r\n"
)
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=xyz"}

Address = tuple[str, int]


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """A server that waits 0.4 s, and holds 300 kB of uploads."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        app = create_app(SessionStore(finder(), LIMITS), patience=PATIENCE, buffered=300_000)
        server = server_of(app, PATIENCE)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join(20)


def opened(address: Address, length: int, method: str = "POST", path: str = "/api/pictures"):  # type: ignore[no-untyped-def]
    client = socket.create_connection(address, timeout=20)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n"
    client.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n")
    return client


def answer(client: socket.socket) -> tuple[int, str]:
    """The status and the sentence that a server sends before it closes the connection."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        part = client.recv(65536)
        if not part:
            break
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body).get("error", "")


def upload(address: Address) -> int:
    with opened(address, len(PICTURE)) as client:
        client.sendall(PICTURE)
        return answer(client)[0]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/pictures"), ("PUT", "/api/pictures/x/objects/1")]
)
def test_a_body_that_trickles_in_is_ended_in_time(address: Address, method: str, path: str) -> None:
    begun = time.monotonic()
    with opened(address, 5000, method, path) as client:
        for _ in range(3):
            client.sendall(b" ")
            time.sleep(0.1)
        status, sentence = answer(client)
    assert status == 408
    assert "3 bytes" in sentence
    assert time.monotonic() - begun < 5
    assert upload(address) == 201


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nHost: a", b"GET / HTTP"])
def test_headers_that_do_not_come_end_the_connection(address: Address, start: bytes) -> None:
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(start)
        assert client.recv(100) == b""
    assert upload(address) == 201


def test_a_connection_is_kept_for_its_next_request(address: Address) -> None:
    with socket.create_connection(address, timeout=20) as client:
        for _ in range(2):
            client.sendall(b"GET /api/model HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert answer(client)[0] == 200


def test_uploads_beyond_what_may_be_buffered_are_asked_to_come_again(address: Address) -> None:
    with opened(address, 250_000) as first, opened(address, 100_000) as second:
        first.sendall(bytes(240_000))
        time.sleep(0.1)
        second.sendall(bytes(90_000))
        status, sentence = answer(second)
        assert (status, "busy" in sentence) == (503, True)
        first.sendall(bytes(10_000))
        assert answer(first)[0] == 400  # read whole, and no picture
    assert upload(address) == 201  # what was buffered is free again


def test_a_form_with_one_file_is_an_upload_of_it() -> None:
    with serving(finder()) as client:
        response = client.post("/api/pictures", content=FORM, headers=FORM_TYPE)
        named = client.post("/api/pictures?name=mine.png", content=FORM, headers=FORM_TYPE)
    assert (response.status_code, response.json()["name"]) == (201, "Bär, 2.png")
    assert (response.json()["width"], response.json()["height"]) == (160, 90)
    assert named.json()["name"] == "mine.png"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (FORM, "multipart/form-data", "what separates"),
        (PICTURE, "multipart/form-data; boundary=xyz", "separator"),
        (FORM[:-20], "multipart/form-data; boundary=xyz", "no end"),
        (FORM.replace(b"filename=", b"file="), "multipart/form-data; boundary=xyz", "no files"),
        (FORM[:-4] + b"\r\n" + FORM, "multipart/form-data; boundary=xyz", "2 files"),
        (b"--xyz\r\n" + bytes(50_000), "multipart/form-data; boundary=xyz", "no end"),
        (b"", "multipart/form-data; boundary=xyz", "separator"),
        (b"--xyz--\r\n", "multipart/form-data; boundary=xyz", "no files"),
    ],
)
def test_a_form_that_cannot_be_meant_gets_a_sentence(body: bytes, kind: str, words: str) -> None:
    with serving(finder()) as client:
        response = client.post("/api/pictures", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert words in response.json()["error"]


def test_a_form_may_hold_as_large_a_file_as_a_body() -> None:
    whole = FORM.replace(PICTURE, PICTURE + bytes(LIMITS.bytes - len(PICTURE)))
    with serving(finder()) as client:
        sizes = [
            client.post("/api/pictures", content=body, headers=FORM_TYPE).status_code
            for body in (whole, whole.replace(b"\r\n--xyz--", b"0\r\n--xyz--"))
        ]
    assert sizes == [201, 413]
