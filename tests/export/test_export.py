"""Exported files run by themselves, on any picture, and tell when they differ from PyTorch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.export.export import Request, export
from src.export.formats import SUFFIXES, open_file, read_metadata
from src.geometry import Geometry
from src.networks.catalogue import create
from src.networks.weights import to_official
from src.prediction import Segmenter
from src.runs.provenance import file_hash
from tests.prediction.tiny import RedFinder, finder, red_on_blue, save_picture

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

U2NET = Geometry((64, 64), scale="own_maximum", restore_steps=("sigmoid", "min_max", "resize_8bit"))
INSPYRENET = Geometry(
    (64, 64), image_kernel="pillow", restore_steps=("sigmoid", "min_max", "resize_corners")
)


@pytest.mark.parametrize("kind", SUFFIXES)
@pytest.mark.parametrize("geometry", [U2NET, INSPYRENET], ids=["u2net", "inspyrenet"])
def test_a_file_gives_the_mask_of_any_picture(
    tmp_path: Path, kind: str, geometry: Geometry
) -> None:
    segmenter = finder(geometry, name="finder")
    file, report, parity = export(segmenter, Request(kind, tmp_path))
    assert file == tmp_path / f"finder{SUFFIXES[kind]}"
    assert parity.passed, report.read_text()
    run = open_file(file, kind)
    for size in ((40, 50), (201, 99), (64, 64)):
        image, truth = red_on_blue(*size)
        mask = run(image)
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert np.abs(mask.astype(int) - segmenter.mask(image)).mean() < 1
        assert np.abs(mask.astype(int) - truth).mean() < 12


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_file_says_what_it_is(tmp_path: Path, kind: str) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(RedFinder().state_dict(), weights)
    segmenter = finder(U2NET, name="finder", weights=weights)
    file = export(segmenter, Request(kind, tmp_path / f"x{SUFFIXES[kind]}", licence="MIT")).file
    said = read_metadata(file)
    assert said["model"] == "finder"
    assert said["weights_sha256"] == file_hash(weights)
    assert said["licence"] == "MIT"
    assert Geometry(**json.loads(said["geometry"])) == U2NET


@pytest.mark.parametrize(
    ("kind", "precision"), [("onnx", "half"), ("onnx", "int8"), ("torch_export", "half")]
)
def test_smaller_files_on_real_pictures(tmp_path: Path, kind: str, precision: Any) -> None:
    for i in range(2):
        save_picture(tmp_path / "photos" / f"{i}.jpg")
    request = Request(kind, tmp_path, precision, pictures=tmp_path / "photos")
    exported = export(finder(), request)
    assert exported.parity.passed, exported.report.read_text()
    assert [row.name for row in exported.parity.rows] == ["0.jpg", "1.jpg"]
    assert read_metadata(exported.file)["precision"] == precision


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_bare_file_gives_logits(tmp_path: Path, kind: str) -> None:
    dynamic = kind != "torchscript"
    exported = export(finder(), Request(kind, tmp_path, bare=True, dynamic=dynamic))
    assert exported.parity.passed
    batch = torch.rand(3, 3, 64, 64) - 0.5
    found = open_file(exported.file, kind)(batch.numpy())
    assert np.allclose(found, RedFinder()(batch).masks[0].detach().numpy(), atol=1e-4)


def test_parity_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that inverts its masks does not pass."""
    from src.export import export as module

    def inverted(path: Path, kind: str) -> Any:
        run = open_file(path, kind)
        return lambda array: 255 - run(array)

    monkeypatch.setattr(module, "open_file", inverted)
    exported = export(finder(), Request("torch_export", tmp_path))
    assert not exported.parity.passed
    assert "parity FAILED" in exported.report.read_text()
    assert not json.loads(exported.report.with_suffix(".json").read_text())["passed"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "coreml"}, "onnx, torchscript, torch_export"),
        ({"format": "torchscript", "precision": "int8"}, "int8 is for format=onnx"),
        ({"format": "onnx", "dynamic": True}, "any size already"),
    ],
)
def test_requests_that_cannot_be(values: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        Request(destination=tmp_path, **values)


def test_clicks_are_made_outside_the_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bare=true"):
        export(finder(inputs=("image", "prompt")), Request("onnx", tmp_path))


SMALL: dict[str, dict[str, Any]] = {
    "u2netp": {},
    "isnet": {"width": 4},
    "inspyrenet_res2net50": {"backbone": "resnet18", "depth": 8, "base_size": 64},
    "inspyrenet_swinb": {"backbone": "swin_tiny", "depth": 8, "base_size": 64},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_networks_on_onnx_runtime(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    geometry = INSPYRENET if name.startswith("inspyrenet") else U2NET
    segmenter = Segmenter(create(name, **SMALL[name]), geometry, name=name, device="cpu")
    exported = export(segmenter, Request("onnx", tmp_path))
    assert max(row.graph_p99 for row in exported.parity.rows) <= 2, exported.report.read_text()


@pytest.mark.slow
def test_the_interface_others_rely_on(tmp_path: Path) -> None:
    """export.py model=… weights=… format=onnx destination=…, in a new process."""
    torch.save(to_official(create("u2netp")), tmp_path / "mine.pth")
    root = Path(__file__).parents[2]
    command = [
        sys.executable, str(root / "export.py"), "model=u2netp", "size=64", "format=onnx",
        f"weights={tmp_path / 'mine.pth'}", f"destination={tmp_path}",
    ]  # fmt: skip
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "u2netp.onnx" in finished.stdout + finished.stderr
    report = json.loads((tmp_path / "u2netp.onnx.parity.json").read_text())
    assert finished.returncode == (0 if report["passed"] else 1), finished.stderr
    assert max(row["graph_p99"] for row in report["pictures"]) <= 2
