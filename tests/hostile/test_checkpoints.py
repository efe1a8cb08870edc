"""Checkpoints that are none are refused in one line that names the file, and nothing in them runs.

The commands read them through one loader; here it is called as they call it, and the commands
themselves on one case of each kind.
"""

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from src import hashing
from src.errors import UserError
from src.hashing import file_hash
from src.inference.model_spec import load
from src.processing import Processor
from src.processing.crop import Box
from src.weights.checkpoint import read_checkpoint
from src.weights.loading import create
from tests.conftest import RunCommand

from .checkpoints import MARK, Case, cases


def sound() -> dict[str, Any]:
    torch.manual_seed(0)
    state = {
        f"network.{key}": value
        for key, value in create("isnet_gt_encoder", width=16).state_dict().items()
    }
    processor = Processor((32, 32), restore_steps=("sigmoid",)).to_dict()
    return {
        "state_dict": state,
        "finecut": {
            "model": "isnet_gt_encoder",
            "network": {"_target_": "src.networks.isnet.ISNetGTEncoder", "width": 16},
            "processor": processor,
            "inputs": ["mask"],
            "prompts": None,
        },
    }


CASES = list(cases(sound()))


@pytest.fixture(autouse=True)
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that code in a checkpoint would make."""
    made = tmp_path / "code-ran"
    monkeypatch.setenv(MARK, str(made))
    return made


def written(case: Case, folder: Path) -> Path:
    path = folder / "hostile.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kinds of tensors and archives that torch gives up
        case.write(path)
    return path


def test_the_sound_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sound.ckpt"
    torch.save(sound(), path)
    network, recipe, _ = load(path)
    assert recipe.name == "isnet_gt_encoder"
    assert read_checkpoint(path).state.keys() == network.state_dict().keys()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_it_is_refused_in_one_line_that_names_the_file(
    case: Case, tmp_path: Path, mark: Path
) -> None:
    path = written(case, tmp_path)
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert "hostile.ckpt" in message
    assert "\n" not in message
    assert len(message) < 1000
    assert os.environ["HOME"] not in message.replace(str(tmp_path), "")
    assert not mark.exists()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    Image.new("RGB", (40, 30), "red").save(folder / "red.png")
    return folder


BY_COMMAND = (
    "metadata: network.width = ${oc.create:{_target",
    "metadata: network._target_ = ${oc.env:HOME}",
    "metadata: target src.training.child.subprocess.run",
    "metadata: model '/tmp/evil'",
    "file: a quota page",
    "file: a list",
    "file: a folder",
)


@pytest.mark.parametrize("name", BY_COMMAND)
def test_every_command_says_the_same(
    name: str, tmp_path: Path, mark: Path, images: Path, run_command: RunCommand
) -> None:
    case = next(case for case in CASES if case.name == name)
    path = written(case, tmp_path)
    for words in (
        ("predict.py", f"weights={path}", f"input={images}", "output=out", "device=cpu"),
        ("export.py", f"weights={path}", "output=out"),
        ("evaluate.py", f"weights={path}", "data=synthetic"),
    ):
        said = run_command(*words, code=1)
        assert "Traceback" not in said
        assert [line for line in said.splitlines() if "hostile.ckpt" in line]
        assert not mark.exists()
    assert {entry.name for entry in tmp_path.iterdir()} <= {"hostile.ckpt", "logs"}
    assert not list(tmp_path.rglob("config.yaml"))


def test_a_command_reads_each_checkpoint_once(
    tmp_path: Path, images: Path, run_command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "u2netp.pth"
    torch.save(create("u2netp").state_dict(), path)
    loads: list[object] = []
    load_once = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: loads.append(a) or load_once(*a, **k))
    words = (f"weights={path}", "size=32", f"input={images}", "output=out", "device=cpu")
    run_command("predict.py", *words)
    assert len(loads) == 1
    assert file_hash(path) == read_checkpoint(path).sha256


def test_a_released_file_is_hashed_once_when_it_is_first_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path))
    path = tmp_path / "IOG_PASCAL.pth"
    torch.save(create("u2netp").state_dict(), path)
    sound = path.read_bytes()
    path.write_bytes(sound[:-4000] + bytes([sound[-4000] ^ 1]) + sound[-3999:])
    with pytest.raises(UserError):
        read_checkpoint(path)
    assert not (tmp_path / "IOG_PASCAL.pth.sha256").exists(), "a damaged file is nothing to note"
    path.write_bytes(sound)
    monkeypatch.setattr(hashing, "new_hash", None)  # hashing a file by itself needs it
    sha256 = read_checkpoint(path).sha256
    assert (tmp_path / "IOG_PASCAL.pth.sha256").read_text() == f"{sha256}  IOG_PASCAL.pth\n"


def test_a_bit_flipped_in_the_weights_of_a_tested_checkpoint_is_one_line(
    tmp_path: Path, run_command: RunCommand
) -> None:
    case = next(case for case in CASES if case.name == "file: a bit flipped at 0.54")
    path = written(case, tmp_path)
    said = run_command("evaluate.py", f"weights={path}", "data=synthetic", code=1)
    assert "Traceback" not in said
    assert "differs from its checksum" in said


def test_nothing_turns_nan_into_black() -> None:
    processor = Processor((8, 8))
    logits = torch.zeros(8, 8)
    logits[3, 4] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        processor.postprocess(logits, (20, 30))
    with pytest.raises(UserError, match="not finite"):
        processor.postprocess_crop(logits, Box(0, 0, 9, 9), (20, 30))
