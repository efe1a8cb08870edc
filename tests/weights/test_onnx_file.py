"""What an ONNX file is and wants is read from it, from its checksum or name, or from the user."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from src.hashing import file_hash
from src.models import names
from src.processing import Processor
from src.weights import known_onnx, onnx_file
from src.weights.checkpoint import WeightsError, read_checkpoint
from src.weights.known_onnx import KnownOnnx, known_onnx_files, recognized
from src.weights.licenses import LicenseError, require_commercial, trained_on
from src.weights.onnx_file import OnnxMetadata, is_onnx, read_onnx
from src.weights.registry import find
from tests.onnx_files import REMBG_OUTPUTS, write

PROCESSOR = Processor((64, 48), scale="per_image_max", restore_steps=("sigmoid", "resize"))
OURS = {
    "framework": "finecut 0, torch 0",
    "model": "u2netp",
    "processor": json.dumps(PROCESSOR.to_dict()),
}


def read(path: Path, *arguments: Any) -> OnnxMetadata:
    found = read_onnx(path, *arguments).metadata
    assert isinstance(found, OnnxMetadata)
    return found


def test_every_known_file_names_a_model_and_weights_that_there_are() -> None:
    files = [name for one in known_onnx_files() for name in one.files]
    assert len(files) == len(set(files))
    for one in known_onnx_files():
        assert one.model in names()
        assert one.released is None or find(one.released) is not None
        assert (one.released is None) == (one.page is not None)
        assert one.sha256 is None or len(one.sha256) == 64


def test_rembgs_u2net_is_known_by_its_name_and_its_protocol_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        said = read(write(tmp_path / "U2Net.onnx"))
    assert (said.model, said.inputs) == ("u2net", ("image",))
    assert said.arguments["output"] == REMBG_OUTPUTS[0]
    assert said.arguments["values"] == "probabilities"
    processor = Processor(**said.processor)
    assert (processor.size, processor.scale) == ((320, 320), "per_image_max")
    assert processor.restore_steps == ("min_max", "resize_8bit")  # its graph has the sigmoid
    (line,) = (
        record.getMessage() for record in caplog.records if record.name == onnx_file.__name__
    )
    assert line == (
        "U2Net.onnx: u2net, known by its name; its checksum is another; size=320×320 kernel=opencv "
        "scale=per_image_max mean=[0.485,0.456,0.406] std=[0.229,0.224,0.225] channels=rgb; output "
        "1959 of 7, probabilities: min_max resize_8bit"
    )


def test_a_checksum_is_known_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "mine.onnx", (1, 3, 8, 8), outputs=["mask"])
    known = KnownOnnx("anime", (), "isnet", 8, file_hash(path), {"std": [1, 1, 1]})
    monkeypatch.setattr(known_onnx, "known_onnx_files", lambda: (known,))
    said = read(path)
    assert said.model == "anime"
    assert said.processor["std"] == [1, 1, 1]
    assert said.processor["restore_steps"] == ("resize", "min_max")


@pytest.mark.parametrize(
    ("file", "mean", "steps"),
    [
        ("isnet-general-use.onnx", [0.5, 0.5, 0.5], ("resize", "min_max")),
        ("isnet-anime.onnx", [0.485, 0.456, 0.406], ("resize", "min_max")),
        ("BiRefNet-general-epoch_244.onnx", [0.485, 0.456, 0.406], ("sigmoid", "resize_corners")),
        ("rmbg-1.4.onnx", [0.5, 0.5, 0.5], ("resize", "min_max")),
    ],
)
def test_others_that_are_known(
    tmp_path: Path, file: str, mean: list[float], steps: tuple[str, ...]
) -> None:
    path = write(
        tmp_path / file, (1, 3, 1024, 1024), outputs=["out"], sigmoid="BiRefNet" not in file
    )
    said = read(path)
    assert (said.processor["mean"], said.processor["restore_steps"]) == (mean, steps)


def test_a_model_stands_for_its_processing(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.onnx", (1, 3, 64, 96))
    said = read(path, "isnet")
    assert (said.model, said.processor["size"]) == ("isnet", (64, 96))
    assert said.processor["mean"] == [0.5, 0.5, 0.5]
    assert read(path, "isnet", {"mean": [0, 0, 0]}).processor["mean"] == [0, 0, 0]


def test_what_is_said_of_a_file_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "odd name!.onnx", ("batch", "height", "width", 3), sigmoid=False)
    asked = {"size": [32, 64], "scale": "none", "kernel": "area", "min_max": True, "output": "1960"}
    said = read(path, None, {**asked, "channels": "bgr"})
    assert said.model == "odd-name-"
    assert said.arguments | {"path": ""} == {
        **{"path": "", "batched": True, "dtype": "float", "layout": "nhwc", "values": "logits"},
        **{"output": "1960", "channels": "bgr"},
    }
    processor = Processor(**said.processor)
    assert (processor.size, processor.image_kernel, processor.scale) == ((32, 64), "area", "none")
    assert processor.restore_steps == ("sigmoid", "resize", "min_max")


def test_a_size_is_asked_for_where_the_file_leaves_it_free(tmp_path: Path) -> None:
    path = write(tmp_path / "any.onnx", (1, 3, "h", "w"))
    with pytest.raises(WeightsError, match=r"takes images of any size; add preprocess.size=…"):
        read(path, None, {"scale": "255"})
    assert read(path, None, {}, 96).processor["size"] == (96, 96)
    assert read(path, "u2netp").processor["size"] == (320, 320)


def test_an_export_of_ours_says_it_itself(tmp_path: Path) -> None:
    bare = read(write(tmp_path / "a.onnx", (1, 3, 64, 48), sigmoid=False, metadata=OURS))
    assert (bare.model, Processor(**bare.processor)) == ("u2netp", PROCESSOR)
    assert (bare.arguments["layout"], bare.arguments["values"]) == ("nchw", "logits")
    shape, dtype = ("h", "w", 3), TensorProto.UINT8
    whole = read(write(tmp_path / "b.onnx", shape, dtype=dtype, outputs=["m"], metadata=OURS))
    assert (whole.arguments["layout"], whole.arguments["values"]) == ("image", "mask")
    assert Processor(**whole.processor).image_kernel == "whole"


def test_an_older_export_of_a_model_with_clicks_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", (1, 4, 512, 512), metadata={**OURS, "model": "dextr"})
    assert read(path).inputs == ("image", "prompt")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"processor": "{"}, "its metadata are damaged"),
        ({"processor": "[]"}, "finecut.processor is a list, not a dict of values"),
        ({"model": "../evil"}, "finecut.model is '../evil'"),
        ({"prompts": '{"_target_": "os.system"}'}, "wants to build os.system"),
        ({"processor": '{"size": "${oc.env:HOME}"}'}, "no references to resolve"),
    ],
)
def test_metadata_are_not_believed(tmp_path: Path, said: dict[str, str], reason: str) -> None:
    path = write(tmp_path / "a.onnx", (1, 3, 64, 48), metadata={**OURS, **said})
    with pytest.raises(WeightsError, match=reason) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "options", "reason"),
    [
        ((1, 3, 8, 8), {"further": ["mask"]}, r"takes 2 inputs \(input.1 \(float 1×3×8×8\), mask"),
        ((3, 8, 8), {}, r"input.1 \(float 3×8×8\): an image has four axes"),
        ((1, 3, 8, 8), {"dtype": TensorProto.INT64}, r"input.1 \(int64 1×3×8×8\): a network of"),
        ((1, 5, 8, 8), {}, "5 channels, and an image has 3"),
        ((4, 3, 8, 8), {}, "4 images at once"),
        ((1, 3, 8, 8), {"external": "net.weights"}, "its weights in net.weights, which is not"),
        ((1, 3, 8, 8), {"external": "../../secret"}, "from '../../secret', outside its folder"),
    ],
)
def test_files_that_are_no_model_of_masks_are_refused_in_a_line(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, Any], reason: str
) -> None:
    path = write(tmp_path / "net.onnx", shape, **options)
    with pytest.raises(WeightsError, match=reason) as caught:
        read(path, "u2netp")
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", (1, 3, 8, 8))
    for arguments, reason in (
        ((), r"takes input.1 \(float 1×3×8×8\) and does not say which model it is; add model=NAME"),
        (("dextr",), "model=dextr is guided by clicks"),
        (("u2netp", {}, 320), "takes 8×8 pixels, not 320×320; leave size out"),
        (("u2netp", {"output": "mask"}), r"has no output mask; it gives 1959"),
    ):
        with pytest.raises(WeightsError, match=reason):
            read(path, *arguments)
    other = write(tmp_path / "u2net.onnx", (1, 3, 512, 512))
    with pytest.raises(WeightsError, match="another file of that name; say which model it is"):
        read(other)
    ours = write(tmp_path / "ours.onnx", (1, 3, 64, 48), metadata=OURS)
    for arguments, reason in (
        (("isnet",), "an export of u2netp, not of isnet"),
        ((None, {"mean": [0, 0, 0]}), "leave preprocess.mean out"),
        ((None, {}, 320), "leave size= out"),
    ):
        with pytest.raises(WeightsError, match=reason):
            read(ours, *arguments)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>quota</html>", "is a web page"),
        (b"\x08\x08\x12\x07pytorch\x1a\xff\xff\xff", "is no readable ONNX file"),
    ],
)
def test_what_is_no_onnx_file_says_what_it_is(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert is_onnx(path)
    with pytest.raises(WeightsError, match=reason):
        read_onnx(path, "u2netp")


def test_training_takes_checkpoints_only(tmp_path: Path) -> None:
    path = write(tmp_path / "u2netp.onnx")
    with pytest.raises(WeightsError, match=r"runs as it is .*, and here takes the checkpoint"):
        read_checkpoint(path)


def test_terms_of_known_files(tmp_path: Path) -> None:
    assert trained_on("somewhere/u2netp.onnx") == ("DUTS-TR",)
    assert trained_on("silueta.onnx") is None
    assert recognized("mine.onnx") is None
    for name, reason in (("u2net.onnx", "DUTS"), ("rmbg-1.4.onnx", "non-commercial")):
        with pytest.raises(LicenseError, match=f"may not be used commercially: .*{reason}"):
            require_commercial(write(tmp_path / name))
