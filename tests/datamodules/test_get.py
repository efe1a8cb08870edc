"""`finecut data get`: terms first, then a checked archive in the layout that data= expects."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from src.cli import main
from src.datamodules import get as data
from src.download import Checksum
from src.paths import CONF
from src.weights.licenses import training_sets

from ..file_servers import QUOTA_PAGE, FileServer, plain_server

COUNTS = {"DUTS-TR": 3, "DUTS-TE": 2}


def zipped(*names: str, link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content of " + name.encode())
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def duts() -> list[str]:
    return [
        f"{name}/{name}-{kind}/{index}.{suffix}"
        for name, count in COUNTS.items()
        for kind, suffix in (("Image", "jpg"), ("Mask", "png"))
        for index in range(count)
    ]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves a small DUTS; its yaml files say so."""
    monkeypatch.delenv("FINECUT_OFFLINE", raising=False)
    monkeypatch.delenv("FINECUT_DATA", raising=False)
    sets = tmp_path / "conf"
    sets.mkdir()
    for path in (CONF / "data/sets").glob("*.yaml"):
        of = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.stem in COUNTS:
            of["count"] = COUNTS[path.stem]
        (sets / path.name).write_text(yaml.safe_dump(of), encoding="utf-8")
    monkeypatch.setattr(data, "_SETS", sets)
    with plain_server() as running:
        running.content = zipped(*duts(), "__MACOSX/DUTS-TR/._0.jpg")
        entry = data.archives()["DUTS"]._replace(files=(data.Archive("DUTS.zip", running.url),))
        monkeypatch.setitem(data.archives(), "DUTS", entry)
        yield running


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["data", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_set_is_unpacked_where_data_finds_it_and_the_archive_goes(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "sets"
    code, out, _ = said(capsys, "get", "duts", f"data.root={root}", "accept=true")
    assert code == 0
    assert out.index("non-commercial research") < out.index("counts as released")
    assert len(list((root / "DUTS-TR/DUTS-TR-Image").iterdir())) == 3
    assert {p.name for p in root.iterdir()} == {"DUTS-TR", "DUTS-TE", ".archives"}
    assert not (root / ".archives/DUTS.zip").exists()
    assert (root / ".archives/DUTS.zip.sha256").is_file()


def test_without_acceptance_nothing_is_asked_of_the_server(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "get", "DUTS", f"data.root={tmp_path / 'sets'}")
    assert code == 2
    assert "Terms: None stated by its authors." in out
    assert "accept=true accepts them" in err
    assert not server.asked
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("yes", 0), ("", 1), ("n", 1)])
def test_at_a_terminal_it_asks(
    answer: str,
    code: int,
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    assert said(capsys, "get", "DUTS", f"data.root={tmp_path / 'sets'}")[0] == code
    assert bool(server.asked) == (code == 0)


@pytest.mark.parametrize(
    "content",
    [
        zipped(*duts(), "../outside.txt"),
        zipped(*duts(), "/tmp/outside.txt"),
        zipped(*duts(), "C:\\outside.txt"),
        zipped(*duts(), link="DUTS-TR/link"),
    ],
)
def test_what_leads_out_of_the_folder_is_refused(
    content: bytes, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.content = content
    root = tmp_path / "sets"
    code, _, err = said(capsys, "get", "DUTS", f"data.root={root}", "accept=true")
    assert code == 1
    assert "leads out of its folder" in err
    assert not (root / "DUTS-TR").exists()
    assert not (tmp_path / "outside.txt").exists()


def test_other_counts_are_refused_and_nothing_is_left_unpacked(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.content = zipped(*duts()[1:])
    root = tmp_path / "sets"
    code, _, err = said(capsys, "get", "DUTS", f"data.root={root}", "accept=true")
    assert code == 1
    assert "2 images of DUTS-TR, and 3 were released" in err
    assert {p.name for p in root.iterdir()} == {".archives"}


def test_a_quota_page_is_no_archive(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.page = QUOTA_PAGE
    root = tmp_path / "sets"
    code, _, err = said(capsys, "get", "DUTS", f"data.root={root}", "accept=true")
    assert code == 1
    assert "what came is a web page" in err
    assert not (root / ".archives/DUTS.zip").exists()


def test_what_is_there_already_is_never_replaced(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "sets/DUTS-TE/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    code, _, err = said(capsys, "get", "DUTS", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 1
    assert "is there already" in err
    assert mine.read_text() == "mine"
    assert not (tmp_path / "sets/DUTS-TR").exists()


def test_for_other_sets_the_page_and_the_place_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, err = said(capsys, "get", "hku-is")
    assert code == 1
    assert "https://i.cs.hku.hk" in err
    assert "data.root/HKU-IS/imgs" in err
    code, _, err = said(capsys, "get", "DIS-TR")
    assert code == 2
    assert "finecut data get DIS5K" in err


def test_the_list_names_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    assert code == 0
    assert len(out.splitlines()) == len(list((CONF / "data/sets").glob("*.yaml"))) + len(["COCO"])
    assert "DIS-TR: 3000 images: finecut data get DIS5K" in out
    assert "HQSeg-44K: 1537 images: https://huggingface.co" in out
    assert "COCO: 123287 images: finecut data get COCO" in out


def test_archives_are_of_known_sets_with_terms() -> None:
    known = {path.stem for path in (CONF / "data/sets").glob("*.yaml")}
    for entry in data.archives().values():
        assert {*entry.sets} <= known, entry.name
        assert {*entry.sets, *entry.terms} <= {*training_sets()}, entry.name
        assert entry.sets or entry.counts, f"{entry.name}: nothing is counted"
        assert {*entry.also} <= {*data.archives()}, entry.name


def serve(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, content: bytes, **fields: object
) -> None:
    """`finecut data get Mine` gets `content` from the server."""
    server.content = content
    entry = data.Archives(
        name="Mine",
        files=(data.Archive("mine", server.url),),
        source="a test",
        sets=(),
        terms=("SBD",),
    )
    monkeypatch.setitem(data.archives(), "Mine", entry._replace(**fields))


def tarred(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return buffer.getvalue()


def test_a_tar_is_unpacked_and_counted_and_what_belongs_to_it_is_said(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = tarred("dataset/img/1.jpg", "dataset/inst/1.mat")
    serve(server, monkeypatch, content, counts={"dataset/img": 1}, also=("PASCAL-VOC-2012",))
    code, out, _ = said(capsys, "get", "mine", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 0
    assert (tmp_path / "sets/dataset/inst/1.mat").is_file()
    assert "finecut data get PASCAL-VOC-2012" in out


def test_of_an_archive_that_holds_more_only_the_set_is_taken(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = zipped("code/run.m", "datasets/imgs/pascal/1.jpg", "datasets/masks/pascal/1.png")
    take = data.archives()["PASCAL-S"].take
    serve(server, monkeypatch, content, take=take, counts={"PASCAL-S/masks": 1})
    code, _, _ = said(capsys, "get", "mine", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 0
    files = [
        p for p in (tmp_path / "sets").rglob("*") if p.is_file() and ".archives" not in p.parts
    ]
    assert {p.relative_to(tmp_path / "sets").as_posix() for p in files} == {
        "PASCAL-S/images/1.jpg",
        "PASCAL-S/masks/1.png",
    }


def test_sets_of_one_folder_are_told_apart_by_their_names(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("CAMO-TR", "COD10K-TR"):
        path = data._SETS / f"{name}.yaml"
        of = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump({**of, "count": 1 if name == "CAMO-TR" else 2}))
    names = ("camourflage_00012", "COD10K-CAM-1-Aquatic-1", "COD10K-CAM-1-Aquatic-2")
    kinds = (("Imgs", "jpg"), ("GT", "png"))
    content = zipped(*(f"TrainValDataset/{k}/{n}.{end}" for k, end in kinds for n in names))
    serve(server, monkeypatch, content, sets=("CAMO-TR", "COD10K-TR"), terms=())
    code, out, err = said(capsys, "get", "mine", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 0, err
    assert "COD10K, https://github.com/DengPingFan/SINet" in out  # the terms of both


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (tarred("../outside.txt"), "leads out of its folder"),
        (tarred("dataset/img/1.jpg", "dataset/img/2.jpg"), "2 dataset/img, and 1 were released"),
        (tarred("other/1.jpg"), "not in the archive where it was released"),
        (tarred(*(f"dataset/{i}" for i in range(500)))[:-40], "is damaged"),
    ],
    ids=["leads out", "too many", "elsewhere", "cut"],  # a tar holds the time
)
def test_a_tar_with_other_content_leaves_nothing(
    content: bytes,
    problem: str,
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(server, monkeypatch, content, counts={"dataset/img": 1})
    code, _, err = said(capsys, "get", "mine", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 1
    assert problem in err
    assert {p.name for p in (tmp_path / "sets").iterdir()} == {".archives"}


def test_an_archive_with_another_checksum_than_published_is_removed(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = Checksum("md5", "0" * 32)
    files = (data.Archive("mine", server.url, known),)
    serve(server, monkeypatch, tarred("a"), counts={"a": 1}, files=files)
    code, _, err = said(capsys, "get", "mine", f"data.root={tmp_path / 'sets'}", "accept=true")
    assert code == 1
    assert "does not have the md5 00000" in err
    assert not (tmp_path / "sets/.archives/mine").exists()
