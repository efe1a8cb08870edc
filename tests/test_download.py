"""Downloads are whole or not there, from servers that behave as the real ones do."""

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.download import Checksum, DownloadError, download
from src.weights.file_checks import not_a_checkpoint

from .file_servers import (
    CONTENT,
    DRIVE_URL,
    HUB_URL,
    QUOTA_PAGE,
    SHA256,
    FileServer,
    drive_server,
    hub_server,
    plain_server,
)

# gdown leaves its connection to a server open where it fails; Python closes and mentions it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

KNOWN = Checksum("sha256", SHA256)
KINDS = ("plain", "hub", "drive")


class Place:
    """A server and the url that leads to it."""

    def __init__(self, kind: str, server: FileServer) -> None:
        self.kind, self.server = kind, server
        self.url = {"plain": server.url, "hub": HUB_URL, "drive": DRIVE_URL}[kind]


def is_page(path: Path) -> str | None:
    """As weights are checked, but for CONTENT, which is no checkpoint."""
    return not_a_checkpoint(path) if path.read_bytes().startswith(b"<") else None


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINECUT_OFFLINE", raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before another attempt


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Place]:
    made = {
        "plain": plain_server,
        "hub": lambda: hub_server(monkeypatch),
        "drive": lambda: drive_server(monkeypatch, str(tmp_path / "cookies.txt")),
    }[request.param]
    with made() as server:
        yield Place(request.param, server)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with plain_server() as running:
        yield running


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    with drive_server(monkeypatch, str(tmp_path / "cookies.txt")) as running:
        yield running


def test_a_file_is_complete_and_nothing_lies_beside_it(place: Place, tmp_path: Path) -> None:
    path = download(place.url, tmp_path / "new" / "net.pth", KNOWN)
    assert path.read_bytes() == CONTENT
    assert {p.name for p in path.parent.iterdir()} == {"net.pth", "net.pth.lock"}
    asked = len(place.server.asked)
    assert download(place.url, path, KNOWN) == path
    assert len(place.server.asked) == asked, "a file that is there is not fetched again"


def test_a_transfer_that_breaks_is_taken_up_again(place: Place, tmp_path: Path) -> None:
    place.server.breaks = 1
    place.server.content = CONTENT * 3  # huggingface_hub keeps whole blocks of 10 MB
    assert download(place.url, tmp_path / "net.pth").read_bytes() == CONTENT * 3
    begun = int((place.server.asked[-1] or "bytes=0-")[6:-1])
    assert 0 < begun <= len(CONTENT * 3) // 2


def test_a_file_that_is_not_there_is_an_error_that_names_it(place: Place, tmp_path: Path) -> None:
    place.server.status = 404
    with pytest.raises(DownloadError, match=f"^{place.url}: ") as caught:
        download(place.url, tmp_path / "net.pth")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "net.pth").exists()


def test_a_wrong_checksum_is_refused_and_removed(place: Place, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"what came does not have the sha256 00\. Removed it"):
        download(place.url, tmp_path / "net.pth", Checksum("sha256", "00"))
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size > 10_000]
    assert not (tmp_path / "net.pth").exists()


def test_offline_nothing_is_asked(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINECUT_OFFLINE", "1")
    with pytest.raises(DownloadError, match="FINECUT_OFFLINE is set"):
        download(place.url, tmp_path / "net.pth")
    assert not place.server.asked


def test_a_quota_page_of_drive_is_said_in_its_own_words(drive: FileServer, tmp_path: Path) -> None:
    drive.page = QUOTA_PAGE
    with pytest.raises(DownloadError, match=r"Too many users have viewed or downloaded") as caught:
        download(DRIVE_URL, tmp_path / "net.pth", refuse=is_page)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "net.pth").exists()
    drive.page = None
    assert download(DRIVE_URL, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT


def test_a_page_in_place_of_a_file_is_recognized_and_removed(
    server: FileServer, tmp_path: Path
) -> None:
    server.page = QUOTA_PAGE
    with pytest.raises(DownloadError, match=r"what came is a web page.*Removed it"):
        download(server.url, tmp_path / "net.pth", refuse=is_page)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size]
    server.page = None
    assert download(server.url, tmp_path / "net.pth", refuse=is_page).read_bytes() == CONTENT


def test_a_later_call_continues_what_an_earlier_one_began(
    server: FileServer, tmp_path: Path
) -> None:
    begin(server, tmp_path / "net.pth")
    have = next((tmp_path / "net.pth.parts").rglob("file")).stat().st_size
    assert 0 < have < len(CONTENT)
    assert download(server.url, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={have}-"


def test_a_later_call_continues_a_file_of_drive(drive: FileServer, tmp_path: Path) -> None:
    drive.breaks = 4  # the first attempt and its three repetitions
    with pytest.raises(DownloadError, match="incomplete"):
        download(DRIVE_URL, tmp_path / "net.pth")
    have = next((tmp_path / "net.pth.parts").rglob("*.part")).stat().st_size
    assert download(DRIVE_URL, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT
    assert drive.asked[-1] == f"bytes={have}-"


def begin(server: FileServer, target: Path) -> None:
    """Fetch a part of the file: the server breaks off, and is gone when it is asked again."""
    server.breaks = 1
    server.status_after_break = 503
    with pytest.raises(DownloadError, match="503"):
        download(server.url, target)
    server.status = server.status_after_break = None


def test_a_part_of_another_version_is_not_continued(server: FileServer, tmp_path: Path) -> None:
    begin(server, tmp_path / "net.pth")
    server.version, server.content = '"second"', CONTENT[::-1]
    assert download(server.url, tmp_path / "net.pth").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_starts_again(server: FileServer, tmp_path: Path) -> None:
    begin(server, tmp_path / "net.pth")
    server.ranges = False
    assert download(server.url, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"of another file"])
def test_a_part_as_long_as_the_file(server: FileServer, tmp_path: Path, extra: bytes) -> None:
    begin(server, tmp_path / "net.pth")
    next((tmp_path / "net.pth.parts").rglob("file")).write_bytes(CONTENT + extra)
    assert download(server.url, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT


def test_a_part_of_drive_that_is_complete_does_not_stand_in_the_way(
    drive: FileServer, tmp_path: Path
) -> None:
    drive.breaks = 4
    with pytest.raises(DownloadError):
        download(DRIVE_URL, tmp_path / "net.pth")
    next((tmp_path / "net.pth.parts").rglob("*.part")).write_bytes(CONTENT)
    assert download(DRIVE_URL, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT


def test_redirects_are_followed(server: FileServer, tmp_path: Path) -> None:
    moved = f"{server.root}/moved"
    assert download(moved, tmp_path / "net.pth", KNOWN).read_bytes() == CONTENT


def test_no_connection_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="refused") as caught:
        download("http://127.0.0.1:9/net.pth", tmp_path / "net.pth")
    assert "\n" not in str(caught.value)


def test_who_asks_at_once_shares_one_transfer(server: FileServer, tmp_path: Path) -> None:
    target = tmp_path / "net.pth"
    askers = [threading.Thread(target=download, args=(server.url, target)) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1


def test_progress_is_shown_in_a_terminal(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    logging.getLogger("huggingface_hub").setLevel(logging.WARNING)
    download(place.url, tmp_path / "net.pth")
    shown = capsys.readouterr()
    assert "10.2" in shown.err
    assert "100%" in shown.err or "net.pth" in shown.err
    assert not shown.out
