"""Names of released checkpoints lead to verified files, or to a message that helps."""

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.weights import registry
from src.weights.checkpoint import WeightsError, read_checkpoint
from src.weights.download import Checksum, DownloadError, download
from src.weights.loading import build
from src.weights.registry import RegistryError, released, resolve, trained_on

CONF = Path(__file__).parents[2] / "conf"
CONTENT = bytes(range(256)) * 40_000  # 10 MB, several blocks
SHA256 = Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves CONTENT on loopback; breaks the first transfers off, and may not know ranges."""

    breaks = 0
    ranges = True
    content = CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.pth"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and server.ranges else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        rest = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FINECUT_WEIGHTS", str(folder))
    monkeypatch.delenv("FINECUT_OFFLINE", raising=False)
    return folder


def serve_as(
    monkeypatch: pytest.MonkeyPatch, name: str, *urls: str, digest: str | None = None
) -> None:
    """Point a name of the registry at the server of the test."""
    entry = released()[name]._replace(urls=urls, sha256=digest, md5=None)
    monkeypatch.setitem(released(), name, entry)
    registry._by_name.cache_clear()


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    registry._by_name.cache_clear()


def test_a_download_is_complete_and_leaves_nothing_beside_it(
    server: Server, tmp_path: Path
) -> None:
    path = download(server.url, tmp_path / "new" / "file.pth", SHA256)
    assert path.read_bytes() == CONTENT
    assert not path.with_name("file.pth.part").exists()
    download(server.url, path, SHA256)
    assert len(server.asked) == 1, "a file that is there is not fetched again"


def test_a_broken_transfer_is_continued(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    target = tmp_path / "file.pth"
    with pytest.raises(DownloadError, match=r"broke at \d+ of 10240000|IncompleteRead"):
        download(server.url, target, SHA256)
    assert not target.exists()
    have = target.with_name("file.pth.part").stat().st_size
    assert 0 < have < len(CONTENT)
    assert download(server.url, target, SHA256).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={have}-"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "file.pth.part").write_bytes(b"anything")
    assert download(server.url, tmp_path / "file.pth", SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"of another file"])
def test_a_part_as_long_as_the_file(server: Server, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "file.pth.part").write_bytes(CONTENT + extra)
    assert download(server.url, tmp_path / "file.pth", SHA256).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="sha256 is not 00"):
        download(server.url, tmp_path / "file.pth", Checksum("sha256", "00"))
    assert {p.name for p in tmp_path.iterdir()} <= {"file.pth.lock"}


def test_a_name_is_downloaded_once(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "u2net", server.url, digest=SHA256.digest)
    assert resolve("u2net") == resolve("U2Net.pth") == cache / "u2net.pth"
    assert len(server.asked) == 1


def test_the_second_source_is_tried(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "http://127.0.0.1:9/gone.pth"
    serve_as(monkeypatch, "dextr_coco", gone, server.url)
    assert resolve("dextr_coco").read_bytes() == CONTENT


def test_weights_load_by_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build("u2netp")
    torch.save(network.state_dict(), tmp_path / "own.pth")
    server.content = (tmp_path / "own.pth").read_bytes()
    serve_as(monkeypatch, "u2netp", server.url)
    loaded = build("u2netp", "u2netp").state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in network.state_dict().items())


def test_a_local_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "u2net.pth").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    assert resolve("u2net.pth") == Path("u2net.pth")


@pytest.mark.parametrize("name", ["isnet", "u2net"])
def test_offline_says_where_to_get_it_and_where_to_put_it(
    name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINECUT_OFFLINE", "1")
    with pytest.raises(RegistryError) as caught:
        resolve(name)
    message = str(caught.value)
    assert "FINECUT_OFFLINE" in message
    assert "https://drive.google.com" in message
    assert str(cache / f"{name}.pth") in message


def test_no_connection_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_as(monkeypatch, "u2net", "http://127.0.0.1:9/u2net.pth")
    with pytest.raises(WeightsError, match=r"refused[\s\S]*with a browser from[\s\S]*put it at"):
        read_checkpoint("u2net")


def test_google_drive_is_left_to_a_browser() -> None:
    with pytest.raises(RegistryError, match=r"Google Drive only[\s\S]*isnet\.pth with a browser"):
        resolve("isnet")


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    cache.mkdir()
    (cache / "isnet.pth").write_bytes(b"half")
    with pytest.raises(RegistryError, match=r"isnet\.pth is damaged"):
        resolve("isnet")


def test_a_download_without_a_published_checksum_is_noted_and_compared_from_then_on(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "dextr_coco", server.url)
    path = resolve("dextr_coco")
    note = cache / "dextr_coco.pth.sha256"
    assert note.read_text() == f"{SHA256.digest}  dextr_coco.pth\n", "as sha256sum -c reads it"
    assert resolve("dextr_coco") == path
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(
        RegistryError, match=rf"dextr_coco\.pth is damaged.*{SHA256.digest}"
    ) as reason:
        resolve("dextr_coco")
    assert str(note) in str(reason.value)
    assert "\n" not in str(reason.value)


def test_a_note_outlives_its_file_so_that_a_changed_source_is_seen(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "dextr_coco", server.url)
    resolve("dextr_coco").unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(RegistryError, match=r"sha256 is not[\s\S]*remove it if the authors'"):
        resolve("dextr_coco")
    assert not (cache / "dextr_coco.pth").exists()
    (cache / "dextr_coco.pth.sha256").unlink()
    assert resolve("dextr_coco").read_bytes() == CONTENT[::-1]


def test_a_file_put_there_by_hand_is_noted_too(cache: Path) -> None:
    cache.mkdir()
    (cache / "IOG_PASCAL.pth").write_bytes(b"from the Drive")
    path = resolve("iog_pascal")
    path.write_bytes(b"from the Drivf")
    with pytest.raises(RegistryError, match=r"IOG_PASCAL\.pth is damaged"):
        resolve("iog_pascal")


@pytest.mark.parametrize(
    "note", [b"", b"\xff\xfe", b"0" * 64 + b"  iog.pth\n", b"0" * 63 + b"  IOG_PASCAL.pth\n"]
)
def test_a_damaged_note_is_named(cache: Path, note: bytes) -> None:
    cache.mkdir()
    (cache / "IOG_PASCAL.pth").write_bytes(b"from the Drive")
    (cache / "IOG_PASCAL.pth.sha256").write_bytes(note)
    with pytest.raises(UserError, match=r"IOG_PASCAL\.pth\.sha256 is damaged"):
        resolve("iog_pascal")


def test_where_no_note_can_be_written_a_warning_says_so(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.mkdir()
    (cache / "IOG_PASCAL.pth").write_bytes(b"from the Drive")
    writer = f"{os.getpid()}-{threading.get_native_id()}"
    (cache / f".IOG_PASCAL.pth.sha256.{writer}").mkdir()  # permissions do not stop root
    assert resolve("iog_pascal").is_file()
    assert "IOG_PASCAL.pth.sha256 cannot be written" in caplog.text


def test_an_unknown_name_suggests_close_ones() -> None:
    with pytest.raises(WeightsError, match=r"no such checkpoint[\s\S]*isnet-general-use"):
        read_checkpoint("isnet-generaluse")


def test_entries_are_consistent() -> None:
    each = ({n.lower() for n in (e.name, *e.aliases)} for e in released().values())
    names = [name for names in each for name in names]
    assert len(names) == len({*names})
    for entry in released().values():
        assert entry.urls or entry.drive, entry.name
        assert (CONF / "model" / f"{entry.model}.yaml").is_file()
        assert entry.sha256 is None or len(entry.sha256) == 64
        assert entry.md5 is None or len(entry.md5) == 32
        assert bool(entry.checksum) == bool(entry.source), f"{entry.name}: says who, or none"


def test_every_system_is_there() -> None:
    assert {e.model for e in released().values()} >= {
        *("isnet", "u2net", "u2netp", "dextr", "iog", "iog_refine"),
        *("inspyrenet_swinb", "inspyrenet_res2net50", "inspyrenet_swinb_1024"),
    }


def test_contamination_is_known_by_name_and_by_hash() -> None:
    assert trained_on("u2net") == ("DUTS-TR",)
    assert "DIS-TE4" in (trained_on("ckpt_base.pth") or ())
    assert trained_on("somewhere/latest.pth", released()["u2netp"].sha256) == ("DUTS-TR",)
    assert trained_on("isnet-general-use") is None
    assert trained_on("mine.ckpt") is None


def test_the_table_has_a_line_for_each() -> None:
    lines = registry.markdown().splitlines()
    assert len(lines) == 2 + len(released())
    assert len({line.count("|") for line in lines}) == 1
