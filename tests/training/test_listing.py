"""Run folders at a glance: state, model, data, best score, and how to continue."""

import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from src.errors import CommandError
from src.training.listing import main


def write_run(folder: Path, **provenance: Any) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("model: {name: u2netp}\nobjective: max_f\n")
    (folder / "provenance.json").write_text(json.dumps({"data": {"test/SOD": {}}, **provenance}))
    return folder


def listing(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([str(root)]) == 0
    return capsys.readouterr().out


def test_a_finished_run_shows_its_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "a", finished=True)
    (folder / "results.json").write_text('{"SOD": {"mae": 0.1, "max_f": 0.9}}')
    text = listing(tmp_path, capsys)
    assert "finished: u2netp on SOD; SOD max_f 0.9000" in text
    assert "results.md" in text


def test_a_run_that_was_not_to_be_tested_is_finished_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "a", finished=True)
    text = listing(tmp_path, capsys)
    assert "finished: u2netp" in text
    assert f"nothing was tested; its weights: {folder / 'checkpoints'}" in text


def test_a_stopped_run_says_how_to_continue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "a")
    (folder / "checkpoints/recent-5.ckpt").touch()
    text = listing(tmp_path, capsys)
    assert "stopped: u2netp" in text
    assert f"resume={folder}" in text


def test_a_run_that_another_process_has_is_running(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "a")
    with FileLock(folder / ".running.lock"):
        # A lock of the same process would be given; another handle is refused.
        assert "running: u2netp" in listing(tmp_path, capsys)


@pytest.mark.parametrize("damage", ["{", "[1, 2]", "", "a: &a [1]\nb: *a\n- x", "\x00"])
def test_a_damaged_folder_does_not_hide_the_others(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a")
    bad = write_run(tmp_path / "b")
    (bad / "config.yaml").write_text(damage)
    text = listing(tmp_path, capsys)
    assert "damaged" in text
    assert "not begun: u2netp" in text


def test_nothing_in_a_folder_is_resolved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    folder = write_run(tmp_path / "a")
    (folder / "config.yaml").write_text("model: {name: '${oc.env:SECRET}'}\n")
    assert "hidden" not in listing(tmp_path, capsys)


def test_no_run_and_no_folder_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run in" in listing(tmp_path, capsys)
    with pytest.raises(CommandError, match="no such folder"):
        main([str(tmp_path / "nowhere")])
