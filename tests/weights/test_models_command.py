"""`finecut models` lists, gets and locates weights; commercial=true refuses with the reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.cli import main
from src.weights import licenses, registry
from src.weights.licenses import LicenseError, commercial_use, require_commercial, training_sets
from src.weights.registry import released

from ..file_servers import FileServer, plain_server
from .test_registry import CONTENT, SHA256

SETS = Path(__file__).parents[2] / "conf/data/sets"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.delenv("FINECUT_OFFLINE", raising=False)
    yield tmp_path / "cache"
    registry._by_name.cache_clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves every file of the registry."""
    with plain_server() as running:
        running.content = CONTENT
        for name, entry in released().items():
            local = entry._replace(urls=(running.url,), drive=None, sha256=None, md5=None)
            monkeypatch.setitem(released(), name, local)
        registry._by_name.cache_clear()
        yield running


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["models", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_list_has_a_line_for_each_of_the_weights_and_of_their_training_sets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = said(capsys)
    assert (code, out) == said(capsys, "list")[:2]
    weights, _, sets = out.rstrip().partition("\n\n")
    assert len(weights.splitlines()) == 2 + len(released())
    used = {part for entry in released().values() for part in entry.trained_on or ()}
    assert len(sets.splitlines()) == 2 + len({training_sets()[part] for part in used})
    for table in (weights, sets):
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "DIS5K | no | Its terms of use: for non-commercial use" in sets


def test_get_downloads_each_and_says_what_was_learned(
    server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(capsys, "get", "u2netp", "iog")
    assert code == 0
    assert (cache / "u2netp.pth").read_bytes() == (cache / "IOG_PASCAL_SBD.pth").read_bytes()
    assert out.count(f"no checksum is published: its sha256 {SHA256.digest} is noted") == 2


def test_get_all_gets_every_one(
    server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "get", "all=true")[0] == 0
    assert {entry.file for entry in released().values()} <= {path.name for path in cache.iterdir()}


def test_get_goes_on_after_one_that_cannot_be_had(
    server: FileServer, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    gone = released()["u2net"]._replace(urls=("http://127.0.0.1:9/u2net.pth",))
    monkeypatch.setitem(released(), "u2net", gone)
    registry._by_name.cache_clear()
    code, out, err = said(capsys, "get", "u2net", "u2netp")
    assert code == 1
    assert "error: u2net: cannot be downloaded" in err
    assert out.startswith("u2netp: ")
    assert not (cache / "u2net.pth").exists()


def test_where_prints_the_path_and_whether_it_is_there(
    server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cache / "u2netp.pth"
    code, out, err = said(capsys, "where", "u2netp")
    assert (code, out) == (1, f"{path}\n")
    assert "finecut models get u2netp" in err
    said(capsys, "get", "u2netp")
    assert said(capsys, "where", "U2NETP") == (0, f"{path}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fetch", "u2net"], "it is one of list, get, where"),
        (["get"], "give names, or all=true"),
        (["get", "u2net", "all=true"], "give names, or all=true"),
        (["where"], "give names"),
        (["get", "u2nett"], "did you mean u2net"),
        (["get", "everything=true"], "the keys are all=true and commercial=true"),
        (["list", "commercial=maybe"], "the keys are all=true and commercial=true"),
    ],
)
def test_what_is_typed_wrong_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, *words)
    assert code == 2
    assert message in err
    assert not out
    assert err.count("\n") == 1


def test_commercial_get_refuses_and_says_which_set_forbids_it(
    server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "get", "isnet", "dextr", "commercial=true")
    assert code == 1
    assert not out
    assert "isnet: these weights may not be used commercially: trained on DIS5K" in err
    assert "dextr_pascal_sbd: these weights are not cleared for it: no license is stated" in err
    assert not server.asked


def test_commercial_list_shows_what_may_be_used_and_why_not_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free = released()["u2net_portrait"]
    one = training_sets()["APDrawing"]._replace(commercial="yes", terms="CC0")
    monkeypatch.setitem(training_sets(), "APDrawing", one)
    assert commercial_use(free) == ("yes", [])
    code, out, _ = said(capsys, "list", "commercial=true")
    assert code == 0
    assert "| u2net_portrait |" in out
    assert "| u2net |" not in out
    assert "refused: u2net: no: trained on DUTS" in out
    assert f"1 of {len(released())} may be used" in out


def test_a_file_is_known_by_its_name_and_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = released()["isnet"]._replace(sha256=SHA256.digest)
    monkeypatch.setitem(released(), "isnet", entry)
    registry._by_name.cache_clear()
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    (tmp_path / "own.ckpt").write_bytes(b"of my own training")
    for weights in ("isnet", "isnet.pth", tmp_path / "mine.pth"):
        with pytest.raises(LicenseError, match=r"commercial=true: isnet: .* DIS5K"):
            require_commercial(weights)
    require_commercial(tmp_path / "own.ckpt")
    assert "own.ckpt is none of the released weights" in caplog.text


def test_every_training_set_has_its_one_entry_with_an_answer() -> None:
    parts = [part for one in {*training_sets().values()} for part in one.parts]
    assert len(parts) == len({*parts})
    for entry in released().values():
        assert set(entry.trained_on or ()) <= set(parts), entry.name
    for one in training_sets().values():
        assert one.commercial in ("yes", "no", "unclear"), one.name
        assert one.page.startswith("http"), one.name
        assert bool(one.terms) == bool(one.source), f"{one.name}: terms were read somewhere"
        assert one.terms or one.commercial == "unclear", f"{one.name}: nothing says so"


def test_parts_are_called_as_the_data_sets_are() -> None:
    known = {path.stem for path in SETS.glob("*.yaml")}
    ours = {part for one in training_sets().values() for part in one.parts}
    assert {
        name for name in ours if name.startswith(("DIS-", "DUTS-", "HRSOD-", "UHRSD-"))
    } <= known


def test_forbidden_weighs_more_than_unclear() -> None:
    entry = released()["inspyrenet_swinb_dh"]
    assert [one.commercial for one in licenses.sets_of(entry)] == ["no", "unclear"]
    assert commercial_use(entry)[0] == "no"


@pytest.mark.parametrize("command", ["predict", "app", "export"])
def test_commercial_refuses_before_anything_is_downloaded(
    command: str, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["weights=u2net", "commercial=true"]
    words += {"predict": [f"input={tmp_path}"]}.get(command, [])
    assert main([command, *words]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: commercial=true: u2net: these weights may not be used")
    assert err.count("\n") == 1
    assert not server.asked
