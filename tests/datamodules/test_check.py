"""The data check names every bad file, finds images in both train and test, and sets its exit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from src.datamodules.check import check as check_sets
from src.datamodules.check import inspections_of
from src.errors import UserError
from tests.datamodules.miniatures import disc, image_file, write_set
from tests.forked import Process

REPOSITORY = Path(__file__).parents[2]


def folders(root: Path, name: str) -> dict[str, str]:
    return {"images": str(root / name / "images"), "masks": str(root / name / "masks")}


def check(data: dict[str, Any], output: Path, workers: int) -> dict[str, Any]:
    sets = inspections_of(OmegaConf.create({"train": None, **data}))
    return check_sets(sets, output, workers)


def data(root: Path) -> dict[str, Any]:
    tests = {"A": {**folders(root, "a"), "count": 4}, "B": folders(root, "b")}
    return {"root": None, "train": folders(root, "train"), "val": None, "test": tests}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(("train", "a", "b")):
        write_set(tmp_path / name / "images", tmp_path / name / "masks", 4, seed * 100)
    return tmp_path


def test_sound_sets_pass(root: Path) -> None:
    report = check(data(root), root / "out", workers=2)
    assert report["problems"] == report["warnings"] == []
    assert report == json.loads((root / "out" / "report.json").read_text())
    facts = report["sets"]["test/A"]
    assert (facts["images"], facts["expected"]) == (4, 4)
    assert sum(facts["foreground_histogram"]) == 4
    assert 0 < facts["foreground"]["smallest"] < facts["foreground"]["largest"] < 0.5
    for name in ("train", "test-A", "test-B"):
        sheet = cv2.imread(str(root / "out" / f"{name}.png"))
        assert sheet.shape == (192, 4 * 192, 3)
        assert sheet.std() > 10


def test_every_fault_is_named(root: Path) -> None:
    train, other = root / "train", root / "a"
    jpeg = train / "images" / "img_000.jpg"
    Image.fromarray(image_file(1, 300, 300)).save(jpeg, quality=95)
    Image.fromarray(disc(1, 300, 300)).save(train / "masks" / "img_000.png")
    jpeg.write_bytes(jpeg.read_bytes()[:4000])  # the header is whole
    (train / "masks" / "img_001.png").unlink()
    cv2.imwrite(str(train / "masks" / "img_002.png"), disc(102, 38, 50) // 100)
    (other / "images" / "img_001.jpg").unlink()
    config = data(root)
    config["test"]["C"] = folders(root, "gone")
    report = check(config, root / "out", workers=2)
    found = [problem.replace(f"{root}/", "") for problem in report["problems"]]
    assert found[0] == "train: train/images/img_001.jpg: no mask train/masks/img_001.*"
    assert found[1].startswith("train: train/images/img_000.jpg: damaged (")
    assert found[2].startswith("train: train/masks/img_002.png: its brightest value is 2 of 255")
    assert found[3] == "test/A: a/masks/img_001.png: no image a/images/img_001.*"
    assert found[4].startswith("test/A: 3 pairs found, 4 expected")
    advice = "Set data.root, or the folders of images and masks themselves."
    assert found[5:] == [f"test/C: no folder gone/images. {advice}"]


def test_black_masks_are_a_fault_to_train_on_and_a_remark_to_test_on(root: Path) -> None:
    for name in ("train", "b"):
        path = root / name / "masks" / "img_001.png"
        cv2.imwrite(str(path), np.zeros_like(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)))
    report = check(data(root), root / "out", workers=1)
    assert len(report["problems"]) == len(report["warnings"]) == 1
    assert "train/masks/img_001.png: all black" in report["problems"][0]
    assert "b/masks/img_001.png: all black" in report["warnings"][0]
    accepted = check({**data(root), "allow_empty": True}, root / "out", workers=1)
    assert accepted["problems"] == []


def test_images_in_both_train_and_test(root: Path) -> None:
    copied = root / "train" / "images" / "img_002.jpg"
    mask = root / "train" / "masks" / "img_002.png"
    (root / "a" / "images" / "img_002.jpg").write_bytes(copied.read_bytes())
    (root / "a" / "masks" / "img_002.png").write_bytes(mask.read_bytes())
    again = cv2.resize(cv2.imread(str(copied)), (98, 76), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(root / "b" / "images" / "img_001.jpg"), again, [cv2.IMWRITE_JPEG_QUALITY, 80])
    cv2.imwrite(str(root / "b" / "masks" / "img_001.png"), disc(1, 76, 98))
    report = check(data(root), root / "out", workers=2)
    assert len(report["problems"]) == len(report["warnings"]) == 1
    assert report["problems"][0].startswith(f"test/A: {root}/a/images/img_002.jpg: is also trained")
    assert report["warnings"][0].startswith(f"test/B: {root}/b/images/img_001.jpg: looks like")


def test_nothing_to_check(root: Path) -> None:
    with pytest.raises(UserError, match="no set to check"):
        check({"root": None}, root, workers=1)


def run(*overrides: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    environment.pop("FINECUT_DATA", None)
    pipe, command = subprocess.PIPE, [sys.executable, "-m", "src", "check", *overrides]
    with Process(command, cwd=cwd, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        output, errors = process.communicate(timeout=280)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def test_command(root: Path) -> None:
    places = [f"data.train.{key}={value}" for key, value in folders(root, "train").items()]
    sound = run("data=folder", *places, f"output={root}/out")
    assert sound.returncode == 0, sound.stderr
    assert "train: 4 sound pairs" in sound.stdout
    (root / "train" / "images" / "img_001.jpg").write_bytes(b"")
    (root / "train" / "masks" / "img_002.png").unlink()
    faulty = run("data=folder", *places, f"output={root}/out")
    assert faulty.returncode == 1
    assert "2 problems" in faulty.stdout
    assert "img_001.jpg: empty file" in faulty.stdout
    assert "img_002.jpg: no mask" in faulty.stdout
    assert "Traceback" not in faulty.stdout + faulty.stderr


def test_objects_are_checked_one_by_one(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "instances", 10)
    damaged = tmp_path / "images" / "img_004.jpg"
    damaged.write_bytes(damaged.read_bytes()[:900])
    command = ["data=objects", f"data.root={tmp_path}", f"output={tmp_path}/out"]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert f"{damaged}: " in done.stdout
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert sum(facts["objects"] for facts in report["sets"].values()) == 9
    assert len(report["problems"]) == 1
    assert cv2.imread(str(tmp_path / "out" / "test-objects.png")).shape[2] == 3


def test_drawn_images_are_no_files_to_check(tmp_path: Path) -> None:
    done = run("data=synthetic", f"output={tmp_path}")
    assert done.returncode == 1
    assert "SyntheticDataModule does not read image and mask files" in done.stderr


def test_command_without_a_root() -> None:
    unset = run("data=duts")
    assert unset.returncode == 1
    assert unset.stderr.startswith("error: data.root is not set")
    assert "Traceback" not in unset.stderr
