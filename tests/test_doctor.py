"""The report of a machine and an installation says what is there and what is not."""

from pathlib import Path

import pytest

from src import doctor
from src.weights.registry import released


def test_the_report_names_versions_devices_folders_weights_and_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = released()["u2netp"]
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / entry.file).write_bytes(bytes(2_000_000))
    (tmp_path / "sets/ECSSD/images").mkdir(parents=True)
    (tmp_path / "sets/ECSSD/images/a.jpg").touch()
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("FINECUT_DATA", str(tmp_path / "sets"))
    text = doctor.report()
    assert "torch 2." in text
    assert "CPU: " in text
    assert f"u2netp: {entry.file}, 2 MB" in text
    assert f"1 of {len(released())} released files are here" in text
    assert f"ECSSD: {tmp_path / 'sets/ECSSD/images'}, 1 files (released: 1000)" in text
    assert "cannot be found out" not in text


def test_sets_that_share_a_folder_are_counted_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for file in (
        *("TrainValDataset/Imgs/camourflage_00001.jpg", "GrabCut/data_GT/cat.bmp"),
        *(f"TrainValDataset/Imgs/COD10K-CAM-1-{i}.jpg" for i in range(2)),
        *(f"cascade_psp/ecssd/0001.{extension}" for extension in ("jpg", "png")),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.setenv("FINECUT_DATA", str(tmp_path))
    text = doctor.report()
    packed = tmp_path / "TrainValDataset/Imgs"
    assert f"in {tmp_path}: 4 of the sets that finecut knows" in text
    assert f"CAMO-TR: {packed}, 1 files (released: 1000)" in text
    assert f"COD10K-TR: {packed}, 2 files (released: 3040)" in text
    assert f"ECSSD: {tmp_path / 'cascade_psp/ecssd'}, 1 files (released: 1000)" in text
    assert f"GrabCut: {tmp_path / 'GrabCut/data_GT'}, 1 files (released: 50)" in text


def test_a_part_that_fails_does_not_hide_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> set[str]:
        raise RuntimeError("the driver is broken\nin two lines")

    monkeypatch.setattr(doctor, "_cpu_flags", broken)
    text = doctor.report()
    assert "cannot be found out: RuntimeError: the driver is broken\n" in text
    assert "versions:" in text
    assert "data sets:" in text
