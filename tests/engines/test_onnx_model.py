"""An ONNX file of others runs as a network of ours does, through the same commands."""

import logging
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from src import load
from src.engines.onnx_model import OnnxModel
from src.errors import UserError
from tests.conftest import RunCommand
from tests.inference.tiny import red_on_blue, save_picture
from tests.onnx_files import write

PLAIN = {"scale": "255", "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}


def test_the_mask_is_that_of_the_stated_protocol(tmp_path: Path) -> None:
    """Against NumPy alone: divided by its maximum, first output, min-max, 8 bit."""
    path = write(tmp_path / "u2net.onnx")
    image = (red_on_blue(320, 320)[0] * 0.5).astype(np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    values = ((image / image.max() - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"input.1": values})[0][0, 0]
    expected = ((found - found.min()) / (found.max() - found.min()) * 255).astype(int)
    mask = load(path).mask(image).astype(int)
    assert np.abs(mask - expected).max() <= 1
    assert expected.std() > 50


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 3, 32, 48), TensorProto.FLOAT),
        (("n", 3, "h", "w"), TensorProto.FLOAT),
        ((1, 32, 48, 3), TensorProto.FLOAT16),
    ],
    ids=["fixed", "free", "channels last in half precision"],
)
def test_axes_types_and_values_as_files_have_them(
    tmp_path: Path, shape: tuple[int | str, ...], dtype: int, sigmoid: bool
) -> None:
    path = write(tmp_path / "net.onnx", shape, dtype=dtype, sigmoid=sigmoid, gain=12)
    segmenter = load(path, preprocess=PLAIN, size=None if 32 in shape else (32, 48))
    images = [red_on_blue(64, 96), red_on_blue(32, 48), red_on_blue(90, 200)]
    for mask, (image, target) in zip(
        segmenter.masks([image for image, _ in images]), images, strict=True
    ):
        assert mask.shape == image.shape[:2]
        assert np.abs(mask.astype(int) - target).mean() < 12
    tiles = segmenter.mask(images[2][0], detail="tiles", flip=True)
    assert np.abs(tiles.astype(int) - images[2][1]).mean() < 12


def test_colors_in_the_order_that_the_file_wants(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", (1, 3, 32, 48))
    image, target = red_on_blue(32, 48)
    swapped = load(path, preprocess={**PLAIN, "channels": "bgr"}).mask(image)
    assert (swapped[target > 0].max(), swapped[target == 0].min()) < (40, 215)
    assert swapped[target > 0].max() < swapped[target == 0].min()


def test_values_that_are_not_what_they_are_taken_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image, _ = red_on_blue(32, 48)
    logits = write(tmp_path / "a.onnx", (1, 3, 32, 48), sigmoid=False)
    with pytest.raises(UserError, match=r"from -.* to .*, which are no probabilities; preprocess"):
        load(logits, preprocess={**PLAIN, "values": "probabilities"}).mask(image)
    probabilities = write(tmp_path / "b.onnx", (1, 3, 32, 48))
    with caplog.at_level(logging.WARNING):
        load(probabilities, preprocess={**PLAIN, "values": "logits"}).masks([image, image])
    (warning,) = (r for r in caplog.records if "are they probabilities?" in r.getMessage())
    assert warning.levelno == logging.WARNING


def test_nothing_runs_elsewhere_than_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "u2netp.onnx")
    for arguments, named in (({"device": "mps"}, "device=mps"), ({"precision": "bf16"}, "bf16")):
        with pytest.raises(UserError, match=f"an ONNX file runs on the CPU .* leave .*{named} out"):
            load(path, **arguments)  # type: ignore[arg-type]
    assert load(path).device.type == "cpu"


def test_a_file_that_the_runtime_refuses_is_named(tmp_path: Path) -> None:
    broken = write(tmp_path / "net.onnx", (1, 3, 8, 8))
    broken.write_bytes(broken.read_bytes().replace(b"ReduceSum", b"ReduceSun"))
    with pytest.raises(UserError, match=r"net.onnx: ONNX Runtime cannot open it \(.*ReduceSun"):
        load(broken, model="u2netp")
    two = OnnxModel(str(write(tmp_path / "two.onnx", (2, 3, 8, 8))), batched=True)
    with pytest.raises(UserError, match=r"two.onnx: ONNX Runtime failed \(.*"):
        two(torch.zeros(1, 3, 8, 8))


def test_preprocess_is_for_such_files_and_its_keys_are_checked(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", (1, 3, 8, 8))
    with pytest.raises(UserError, match=r"^no setting is called preprocess.meen"):
        load(path, preprocess={"meen": [0, 0, 0]})
    with pytest.raises(UserError, match=r"^preprocess.mean=\[1, 2\]: give three numbers"):
        load(path, preprocess={"mean": [1, 2]})
    torch.save({"weight": torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(UserError, match="preprocess= is for ONNX files of others"):
        load(tmp_path / "net.pth", preprocess=PLAIN)


def test_predict_and_evaluate_as_they_are_typed(
    run_command: RunCommand, tmp_path: Path, root: Path
) -> None:
    write(tmp_path / "u2net.onnx")
    save_picture(tmp_path / "photo.jpg")
    said = run_command("-m", "src", "predict", "photo.jpg", "weights=u2net.onnx")
    assert "u2net.onnx: u2net, known by its name" in said
    assert (tmp_path / "cutouts/photo.png").is_file()
    said = run_command(
        *("evaluate.py", "weights=u2net.onnx", "data=folder", f"data.root={root / 'test'}"),
        *("output=scored", "metrics.test=[mae]", "data.num_workers=0"),
    )
    assert "| u2net | test | 7 |" in said


def test_a_file_runs_in_openvino_too_and_not_in_pytorch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, (image, _) = write(tmp_path / "u2net.onnx"), red_on_blue(90, 120)
    expected = load(path).mask(image).astype(int)
    other = load(path, engine="openvino")
    assert "in openvino" in str(other)
    assert np.abs(other.mask(image).astype(int) - expected).max() <= 1
    with caplog.at_level(logging.INFO):
        assert load(path, engine="auto").engine == "onnxruntime"
    assert "engine=auto takes onnxruntime, since" in caplog.text
    with pytest.raises(UserError, match=r"u2net\.onnx runs in ONNX Runtime or OpenVINO, not"):
        load(path, engine="torch")
