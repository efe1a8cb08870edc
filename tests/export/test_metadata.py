"""What a file says of its model, its weights and what goes in and out."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from src.export import export
from src.export.export import UNKNOWN, describe
from src.processing import Processor
from src.weights.registry import released
from tests.inference.tiny import PROCESSOR, finder


@pytest.fixture(autouse=True)
def commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "git_state", lambda: {"commit": "abc", "dirty": False})


def said(weights: Path | None = None, license: str | None = None, bare: bool = False) -> dict:
    segmenter = finder(name="mine", weights=weights)
    return describe(segmenter, bare=bare, precision="fp16", license=license)


def test_everything_is_a_string() -> None:
    found = said()
    assert {type(value) for value in found.values()} == {str}
    assert found["framework"] == f"finecut abc, torch {torch.__version__}"
    assert (found["model"], found["precision"]) == ("mine", "fp16")
    assert Processor(**json.loads(found["processor"])) == PROCESSOR


def test_without_a_file_nothing_is_said_of_weights() -> None:
    found = said()
    assert (found["weights"], found["weights_sha256"]) == ("", "")
    assert (found["license"], json.loads(found["trained_on"])) == (UNKNOWN, None)


def test_code_of_unknown_state_is_no_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "git_state", lambda: {"commit": None, "dirty": None})
    assert said()["framework"].startswith("finecut , torch")


def test_what_goes_in_and_out() -> None:
    assert said()["input"] == "image: uint8 (H, W, 3) RGB, any size"
    assert said()["output"] == "mask: uint8 (H, W), 255 = foreground"
    assert "(B, C, 64, 64)" in said(bare=True)["input"]
    assert said(bare=True)["output"].startswith("logits: float32")


def write(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(b"weights")
    return path


def test_released_weights_are_known_by_their_name(tmp_path: Path) -> None:
    known = released()["u2net_portrait"]  # without a stated hash
    found = said(write(tmp_path, known.file))
    assert found["weights"] == known.file
    assert found["weights_sha256"] == sha256(b"weights").hexdigest()
    assert found["license"] == known.license
    assert json.loads(found["trained_on"]) == list(known.trained_on or ())


def test_another_file_of_a_released_name_is_not_taken_for_it(tmp_path: Path) -> None:
    assert released()["u2net"].sha256 is not None
    found = said(write(tmp_path, "u2net.pth"))
    assert (found["license"], json.loads(found["trained_on"])) == (UNKNOWN, None)


@pytest.mark.parametrize("name", ["u2net_portrait.pth", "mine.ckpt"])
def test_a_licence_that_is_given_counts(tmp_path: Path, name: str) -> None:
    assert said(write(tmp_path, name), license="MIT")["license"] == "MIT"
