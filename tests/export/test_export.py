"""Exported files run by themselves, on any image, and tell when they differ from PyTorch."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torch import nn

from src import load, score
from src.engines.formats import SUFFIXES, open_file, read_metadata
from src.engines.parity import Tolerance
from src.errors import UserError
from src.export import parity
from src.export.cli import main
from src.export.export import Exported, Request, export
from src.hashing import file_hash
from src.inference import Segmenter
from src.inference.model_spec import named
from src.processing import Processor
from src.weights.loading import create, to_official
from tests.conftest import RunCommand
from tests.inference.tiny import RedFinder, finder, red_on_blue, save_picture
from tests.running import without_training

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

U2NET = Processor(
    (64, 64), scale="per_image_max", restore_steps=("sigmoid", "min_max", "resize_8bit")
)
INSPYRENET = Processor(
    (64, 64), image_kernel="pillow", restore_steps=("sigmoid", "min_max", "resize_corners")
)


@pytest.fixture(autouse=True)
def timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's median times are of one call each; nothing here looks at them."""
    monkeypatch.setattr(parity, "_RUNS", 1)


@pytest.fixture(scope="module", params=SUFFIXES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=[U2NET, INSPYRENET], ids=["u2net", "inspyrenet"])
def whole(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Segmenter, Exported]:
    """A model with its processing in one file, exported once for the tests that look at it."""
    folder = tmp_path_factory.mktemp(kind)
    torch.save(RedFinder().state_dict(), folder / "weights.pth")
    segmenter = finder(request.param, name="finder", weights=folder / "weights.pth")
    return segmenter, export(segmenter, Request(kind, folder, license="MIT"))


def test_a_file_gives_the_mask_of_any_picture(whole: tuple[Segmenter, Exported], kind: str) -> None:
    segmenter, (file, report, parity) = whole
    assert file.name == f"finder{SUFFIXES[kind]}"
    assert parity.passed, report.read_text()
    opened = open_file(file, kind)
    for size in ((40, 50), (201, 99), (64, 64)):
        image, target = red_on_blue(*size)
        mask = opened(image)
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert np.abs(mask.astype(int) - segmenter.mask(image)).mean() < 1
        assert np.abs(mask.astype(int) - target).mean() < 12


def test_a_file_is_read_back_as_weights(whole: tuple[Segmenter, Exported], kind: str) -> None:
    segmenter, (file, _, _) = whole
    if kind != "onnx":
        with pytest.raises(UserError, match=r"program.* and not weights"):
            load(file)
        return
    read, opened = load(file), open_file(file, kind)
    images = [red_on_blue(*size)[0] for size in ((40, 50), (201, 99))]
    for mask, image in zip(read.masks(images), images, strict=True):
        assert np.array_equal(mask, opened(image))
    assert (read.name, read.processor.size) == (segmenter.name, segmenter.processor.size)
    with pytest.raises(UserError, match="makes whole masks; for detail=tiles export it with bare"):
        read.mask(images[0], detail="tiles")
    with pytest.raises(UserError, match="is an ONNX file already"):
        export(read, Request("onnx", file.parent / "again"))


def test_a_file_says_what_it_is(whole: tuple[Segmenter, Exported]) -> None:
    segmenter, (file, _, _) = whole
    said = read_metadata(file)
    assert said["model"] == "finder"
    assert segmenter.weights is not None
    assert said["weights_sha256"] == file_hash(segmenter.weights)
    assert said["license"] == "MIT"
    assert Processor(**json.loads(said["processor"])) == segmenter.processor


@pytest.mark.parametrize(("kind", "precision"), [("onnx", "fp16"), ("torch_export", "fp16")])
def test_smaller_files_on_real_pictures(tmp_path: Path, kind: str, precision: Any) -> None:
    for i in range(2):
        save_picture(tmp_path / "photos" / f"{i}.jpg")
    request = Request(kind, tmp_path, precision, images=tmp_path / "photos")
    exported = export(finder(), request)
    assert exported.parity.passed, exported.report.read_text()
    assert [row.name for row in exported.parity.rows] == ["0.jpg", "1.jpg"]
    assert read_metadata(exported.file)["precision"] == precision


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Enough of them to calibrate on."""
    for i in range(8):
        save_picture(tmp_path / "photos" / f"{i}.jpg", 40 + i, 60)
    return tmp_path / "photos"


def test_int8_is_calibrated_on_photos_and_compared_on_others(tmp_path: Path, photos: Path) -> None:
    request = Request("onnx", tmp_path / "out", "int8", calibrate_on=photos)
    exported = export(finder(), request)
    assert exported.parity.passed, exported.report.read_text()
    assert [row.name for row in exported.parity.rows] == ["0.jpg", "2.jpg", "4.jpg", "6.jpg"]
    assert read_metadata(exported.file)["precision"] == "int8"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "network.onnx",
        "network.onnx.parity.json",
        "network.onnx.parity.md",
    ]


def test_int8_that_changes_the_masks_is_refused_with_its_figures(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there before stays."""
    from src.export import export as module

    monkeypatch.setitem(module.TOLERANCES, "int8", Tolerance(0, 0, 0))
    (tmp_path / "network.onnx").write_bytes(b"an earlier one")
    request = Request("onnx", tmp_path, "int8", calibrate_on=photos)
    with pytest.raises(UserError, match=r"not written in int8, .*graph mean \S+ \(allowed 0\)"):
        export(finder(), request)
    assert (tmp_path / "network.onnx").read_bytes() == b"an earlier one"
    assert "parity FAILED" in (tmp_path / "network.onnx.parity.md").read_text()


def test_int8_needs_photos_enough(tmp_path: Path, photos: Path) -> None:
    (photos / "0.jpg").unlink()
    with pytest.raises(UserError, match="has 7 images; int8 learns its ranges from at least 8"):
        export(finder(), Request("onnx", tmp_path, "int8", calibrate_on=photos))


def test_a_bare_file_gives_logits(tmp_path: Path, kind: str) -> None:
    dynamic = kind != "torchscript"
    exported = export(finder(), Request(kind, tmp_path, bare=True, dynamic=dynamic))
    assert exported.parity.passed
    batch = torch.rand(3, 3, 64, 64) - 0.5
    found = open_file(exported.file, kind)(batch.numpy())
    assert np.allclose(found, RedFinder()(batch).masks[0].detach().numpy(), atol=1e-4)
    if kind == "onnx":
        read, images = load(exported.file), [red_on_blue()[0], red_on_blue(50, 60)[0]]
        for ours, theirs in zip(read.masks(images), finder().masks(images), strict=True):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("kind", "bare"), [("torchscript", False), ("torchscript", True)])
def test_metrics_of_a_file_stand_beside_the_checkpoints(
    tmp_path: Path, root: Path, kind: str, bare: bool
) -> None:
    data = f"data=folder data.root={root / 'test'} metrics.test=[mae,iou]"
    exported = export(finder(), Request(kind, tmp_path, bare=bare, verify_on=data))
    rows = exported.parity.scores
    assert [(row.set, row.metric) for row in rows] == [("test", "mae"), ("test", "iou")]
    for row in rows:
        assert row.checkpoint is not None
        assert row.difference == pytest.approx((row.file or 0) - row.checkpoint)
        assert abs(row.difference) < 0.01
    assert rows[0].checkpoint == pytest.approx(
        np.mean([score(finder().mask(image), mask)["mae"] for image, mask in pairs(root / "test")])
    )
    assert f"| test | mae | {rows[0].checkpoint:.5f} |" in exported.report.read_text()
    said = json.loads(exported.report.with_suffix(".json").read_text())["scores"]
    assert said == [row._asdict() for row in rows]


def pairs(folder: Path) -> Iterator[tuple[Path, np.ndarray]]:
    for image in sorted((folder / "images").iterdir()):
        mask = next((folder / "masks").glob(f"{image.stem}.*"))
        yield image, np.asarray(Image.open(mask).convert("L"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("nowhere", "give a folder with images/ and masks/, or data=…"),
        ("data=nosuchset", "Could not find 'data/nosuchset'"),
        ("data=folder data.root=nowhere", "no folder nowhere/images"),
    ],
)
def test_data_that_cannot_be_scored_is_refused_before_the_work(
    data: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        export(finder(), Request("onnx", tmp_path / "out", verify_on=data))
    assert not (tmp_path / "out").exists()


def test_parity_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that inverts its masks does not pass."""
    from src.export import export as module

    def inverted(path: Path, kind: str) -> Any:
        opened = open_file(path, kind)
        return lambda array: 255 - opened(array)

    monkeypatch.setattr(module, "open_file", inverted)
    exported = export(finder(), Request("torch_export", tmp_path))
    assert not exported.parity.passed
    assert "parity FAILED" in exported.report.read_text()
    assert not json.loads(exported.report.with_suffix(".json").read_text())["passed"]


def test_masks_that_show_nothing_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "black").mkdir()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "black/a.png")
    request = Request("torchscript", tmp_path, images=tmp_path / "black")
    exported = export(finder(), request)
    assert exported.parity.blank
    assert not exported.parity.passed
    assert "of one gray" in exported.report.read_text()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "coreml"}, "onnx, torchscript, torch_export"),
        ({"format": "torchscript", "precision": "int8"}, "int8 is for format=onnx"),
        ({"format": "onnx", "precision": "int8"}, "calibrate_on=FOLDER of photos go together"),
        ({"format": "onnx", "calibrate_on": Path()}, "calibrate_on=FOLDER of photos go together"),
        ({"format": "onnx", "dynamic": True}, "any size already"),
    ],
)
def test_requests_that_cannot_be(values: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        Request(output=tmp_path, **values)


def test_clicks_are_made_outside_the_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bare=true"):
        export(finder(inputs=("image", "prompt")), Request("onnx", tmp_path))


def shallow_inspyrenet() -> nn.Module:
    """Its third stage has two blocks, one of each kind, instead of six: the exporter's time."""
    network = create("inspyrenet_swinb", backbone="swin_tiny", depth=8, base_size=64)
    stage: Any = network.get_submodule("backbone.layers.2")
    stage.blocks = stage.blocks[:2]
    return network


# The smallest of each kind: U²-Net's blocks are IS-Net's, Res2Net is convolutions as they are, IOG
# is a part of its refinement.
BAKED: dict[str, tuple[Processor, Callable[[], nn.Module]]] = {
    "isnet": (U2NET, lambda: create("isnet", width=4)),
    "inspyrenet": (INSPYRENET, shallow_inspyrenet),
}


@pytest.mark.slow
@pytest.mark.timeout(600)  # the exporter works a minute on them where it has a core to itself
@pytest.mark.parametrize("name", BAKED)
def test_networks_on_onnx_runtime(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    processor, build = BAKED[name]
    exported = export(Segmenter(build(), processor, device="cpu"), Request("onnx", tmp_path))
    assert not exported.parity.blank
    assert max(row.graph_p99 for row in exported.parity.rows) <= 2, exported.report.read_text()


def settled(network: nn.Module) -> nn.Module:
    """Statistics of one batch: random weights alone make logits that hardly differ."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    channels = next(p for p in network.parameters() if p.ndim == 4).shape[1]
    with torch.no_grad():
        network.train()(255 * torch.rand(2, channels, 64, 64))
    return network


@pytest.mark.slow
@pytest.mark.timeout(600)  # the exporter works a minute on them where it has a core to itself
@pytest.mark.parametrize("name", ["dextr", "iog_refine"])
def test_networks_with_clicks_on_onnx_runtime(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    processor = Processor((64, 64), scale="none", mean=(0, 0, 0), std=(1, 1, 1))
    network, prompts = settled(create(name, backbone="resnet18")), named(name).prompts
    arguments: Any = {"name": name, "inputs": ("image", "prompt"), "prompts": prompts}
    segmenter = Segmenter(network, processor, device="cpu", **arguments)
    exported = export(segmenter, Request("onnx", tmp_path, bare=True))
    assert exported.parity.passed, exported.report.read_text()
    read = load(exported.file)
    points = [(15, 45), (60, 45), (30, 22), (30, 44)] if name == "dextr" else [(30, 30)]
    answers = []
    for one in (segmenter, read):
        one.set_image(red_on_blue()[0])
        box = None if name == "dextr" else (12, 20, 62, 48)
        answers.append(one.predict(points=points, box=box))
    ours, exports = (answer.astype(int) for answer in answers)
    assert np.abs(ours - exports).max() <= 1  # gray level


def test_the_interface_others_rely_on(tmp_path: Path) -> None:
    """export.py model=… weights=… format=… output=…"""
    torch.save(to_official(create("u2netp")), tmp_path / "mine.pth")
    save_picture(tmp_path / "photos/a.png", 40, 50)
    overrides = [
        "model=u2netp", "size=32", "format=torchscript", f"images={tmp_path / 'photos'}",
        f"weights={tmp_path / 'mine.pth'}", f"output={tmp_path / 'out'}",
    ]  # fmt: skip
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base=None):
        cfg = without_training(compose("export", overrides))
    code = main(cfg)
    report = json.loads((tmp_path / "out/u2netp.pt.parity.json").read_text())
    assert code == (0 if report["passed"] else 1)
    assert all(row["graph_p99"] <= 2 for row in report["pictures"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["format=onnx"], "weights= is missing"),
        (["weights=x", "precision=int8"], "precision=int8 needs calibrate_on=FOLDER"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    overrides: list[str], words: str, run_command: RunCommand
) -> None:
    error = run_command("export.py", *overrides, code=2)
    assert error.startswith("error: ")
    assert words in error
