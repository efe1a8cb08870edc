"""Names of released checkpoints lead to verified files, or to a message that helps."""

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from src.download import Checksum
from src.errors import UserError
from src.weights import registry
from src.weights.checkpoint import WeightsError, read_checkpoint
from src.weights.licenses import trained_on
from src.weights.loading import build
from src.weights.registry import RegistryError, identify, released, resolve

from ..file_servers import DRIVE_ID, QUOTA_PAGE, FileServer, drive_server, plain_server

CONF = Path(__file__).parents[2] / "conf"
# Begins as files of torch.save before 1.6 do; what follows is not looked at before it is loaded.
CONTENT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(range(256)) * 4000
OTHER = CONTENT[:-1] + b"x"
SHA256 = Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with plain_server() as running:
        running.content = CONTENT
        yield running


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    with drive_server(monkeypatch, str(tmp_path / "cookies.txt")) as running:
        running.content = CONTENT
        yield running


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
    entry = released()[name]._replace(urls=urls, drive=None, sha256=digest, md5=None)
    monkeypatch.setitem(released(), name, entry)
    registry._by_name.cache_clear()


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    registry._by_name.cache_clear()


def test_a_name_is_downloaded_once(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "u2net", server.url, digest=SHA256.digest)
    assert resolve("u2net") == resolve("U2Net.pth") == cache / "u2net.pth"
    assert len(server.asked) == 1


def test_the_second_source_is_tried(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "http://127.0.0.1:9/gone.pth"
    serve_as(monkeypatch, "dextr_coco", gone, server.url)
    assert resolve("dextr_coco").read_bytes() == CONTENT


def test_weights_load_by_name(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert (released()[name].drive or "no Drive") in message
    assert str(cache / f"{name}.pth") in message


def test_no_connection_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_as(monkeypatch, "u2net", "http://127.0.0.1:9/u2net.pth")
    with pytest.raises(WeightsError, match=r"refused[\s\S]*with a browser from[\s\S]*put it at"):
        read_checkpoint("u2net")


def test_a_file_on_google_drive_arrives_by_its_name_and_is_noted(
    drive: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"https://drive.google.com/file/d/{DRIVE_ID}"
    entry = released()["iog_pascal"]._replace(drive=place)
    monkeypatch.setitem(released(), "iog_pascal", entry)
    registry._by_name.cache_clear()
    assert resolve("iog_pascal") == cache / "IOG_PASCAL.pth"
    assert (cache / "IOG_PASCAL.pth").read_bytes() == CONTENT
    assert SHA256.digest in (cache / "IOG_PASCAL.pth.sha256").read_text()


def test_drive_is_tried_after_the_links() -> None:
    entry = released()["isnet"]._replace(urls=("http://localhost:9/gone.pth",), sha256=None)
    assert entry.sources == ("http://localhost:9/gone.pth", entry.drive)


def test_a_quota_page_is_said_with_where_else_the_file_is(
    drive: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.page = QUOTA_PAGE
    with pytest.raises(RegistryError, match=r"Too many users[\s\S]*isnet\.pth with a browser"):
        resolve("isnet")
    assert not (cache / "isnet.pth").exists()
    assert not (cache / "isnet.pth.sha256").exists(), "the page is nothing to compare with"


def test_a_page_from_a_plain_link_is_never_noted_as_the_file(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.page = QUOTA_PAGE
    serve_as(monkeypatch, "dextr_coco", server.url)
    with pytest.raises(RegistryError, match="what came is a web page"):
        resolve("dextr_coco")
    assert not (cache / "dextr_coco.pth.sha256").exists()


def test_a_damaged_file_in_the_cache_is_named(cache: Path) -> None:
    cache.mkdir()
    (cache / "isnet.pth").write_bytes(b"half")
    with pytest.raises(RegistryError, match=r"isnet\.pth is damaged"):
        resolve("isnet")


def test_a_download_without_a_published_checksum_is_noted_and_compared_from_then_on(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "dextr_coco", server.url)
    path = resolve("dextr_coco")
    note = cache / "dextr_coco.pth.sha256"
    assert note.read_text() == f"{SHA256.digest}  dextr_coco.pth\n", "as sha256sum -c reads it"
    assert resolve("dextr_coco") == path
    path.write_bytes(OTHER)
    with pytest.raises(
        RegistryError, match=rf"dextr_coco\.pth is damaged.*{SHA256.digest}"
    ) as reason:
        resolve("dextr_coco")
    assert str(note) in str(reason.value)
    assert "\n" not in str(reason.value)


def test_a_note_outlives_its_file_so_that_a_changed_source_is_seen(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_as(monkeypatch, "dextr_coco", server.url)
    resolve("dextr_coco").unlink()
    server.content = OTHER
    with pytest.raises(RegistryError, match=r"not have the sha256[\s\S]*remove it if the authors'"):
        resolve("dextr_coco")
    assert not (cache / "dextr_coco.pth").exists()
    (cache / "dextr_coco.pth.sha256").unlink()
    assert resolve("dextr_coco").read_bytes() == OTHER


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
        assert all(len(digest) == 64 for digest in entry.also), entry.name
        assert bool(entry.checksum) == bool(entry.source), f"{entry.name}: says who, or none"


def test_every_system_is_there() -> None:
    assert {e.model for e in released().values()} >= {
        *("isnet", "u2net", "u2netp", "dextr", "iog", "iog_refine"),
        *("inspyrenet_swinb", "inspyrenet_res2net50", "inspyrenet_swinb_1024"),
        *("birefnet", "birefnet_lite", "birefnet_hr", "birefnet_matting", "birefnet_dynamic"),
    }


def test_contamination_is_known_by_name_and_by_hash() -> None:
    assert trained_on("u2net") == ("DUTS-TR",)
    assert "DIS-TE4" in (trained_on("ckpt_base.pth") or ())
    assert trained_on("somewhere/latest.pth", released()["u2netp"].sha256) == ("DUTS-TR",)
    assert trained_on("isnet-general-use") is None
    assert trained_on("mine.ckpt") is None


def test_a_file_is_identified_by_its_hash_and_else_by_its_name() -> None:
    entry = released()["birefnet_general"]
    other = "0" * 64
    for digest in (entry.sha256, *entry.also):
        assert identify(Path("model.safetensors"), digest or "") == entry
    # Of a .pth with the same weights no hash is known.
    assert identify(Path("BiRefNet-general-epoch_244.pth"), other) == entry
    assert identify(Path(entry.file), other) is None, "another file of exactly that name"
    assert identify(Path("model.safetensors"), other) is None
    assert trained_on("model.safetensors", entry.also[0]) == entry.trained_on
