"""Files are written and opened again with what they say of themselves."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.engines.formats import (
    LARGEST_SIDE,
    SUFFIXES,
    dynamic_shapes,
    exported,
    open_file,
    read_metadata,
    write_onnx,
    write_torch_export,
    write_torchscript,
)
from src.errors import UserError
from src.networks.deformable import DeformablePooling

SAID = {"model": "mine", "license": "ä, 1"}


class Doubled(nn.Module):
    """Twice its input, of any size."""

    def forward(self, image: Tensor) -> Tensor:
        return image * 2


@pytest.fixture(scope="module")
def torchscript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchscript") / "mine.pt"
    write_torchscript(Doubled(), torch.zeros(4, 5, 3), path, SAID)
    return path


@pytest.fixture(scope="module")
def torch_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch_export") / "mine.pt2"
    shapes = dynamic_shapes(bare=False, dynamic=False)
    write_torch_export(Doubled(), torch.zeros(4, 5, 3), path, SAID, shapes)
    return path


@pytest.mark.parametrize("kind", ["torchscript", "torch_export"])
def test_a_file_runs_on_arrays_of_any_size(kind: str, request: pytest.FixtureRequest) -> None:
    run = open_file(request.getfixturevalue(kind), kind)
    for size in ((4, 5, 3), (7, 2, 3)):
        array = np.random.default_rng(0).random(size, dtype=np.float32)
        found = run(array)
        assert isinstance(found, np.ndarray)
        assert np.array_equal(found, array * 2)


@pytest.mark.parametrize("kind", ["torchscript", "torch_export"])
def test_a_file_says_what_it_was_given(kind: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    assert path.suffix == SUFFIXES[kind]
    assert read_metadata(path) == SAID


@pytest.mark.parametrize("name", ["mine.pth", "mine", "mine.ONNX"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: not a file that export.py writes"):
        read_metadata(tmp_path / name)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_file_that_others_wrote_says_nothing_of_itself(tmp_path: Path) -> None:
    one, other = tmp_path / "theirs.pt", tmp_path / "theirs.pt2"
    torch.jit.save(torch.jit.trace(Doubled(), (torch.ones(1),)), one)
    torch.export.save(torch.export.export(Doubled(), (torch.ones(1),)), other)
    for path in (one, other):
        with pytest.raises(UserError, match=f"{path.name} says nothing of itself"):
            read_metadata(path)


def test_what_is_free_in_a_file() -> None:
    sides = dynamic_shapes(bare=False, dynamic=False)["image"]
    assert sorted(sides) == [0, 1]
    assert {(side.min, side.max) for side in sides.values()} == {(2, LARGEST_SIDE)}
    assert dynamic_shapes(bare=True, dynamic=False) == {"image": {}}
    assert sorted(dynamic_shapes(bare=True, dynamic=True)["image"]) == [0]


def test_a_bare_file_holds_its_sizes() -> None:
    shapes = dynamic_shapes(bare=True, dynamic=False)
    program = exported(Doubled(), torch.zeros(1, 3, 4, 4), shapes).module()
    assert program(torch.ones(1, 3, 4, 4)).sum() == 96
    with pytest.raises((AssertionError, RuntimeError)):
        program(torch.ones(1, 3, 4, 5))


class Deformed(nn.Module):
    """BiRefNet's pooling, behind a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pooling = nn.Conv2d(3, 4, 1), DeformablePooling(4, 8)

    def forward(self, image: Tensor) -> Tensor:
        return self.pooling(self.first(image))


@pytest.mark.parametrize("precision", ["full", "half"])
def test_deformable_convolutions_are_onnxs_own(tmp_path: Path, precision: str) -> None:
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(0)
    module = Deformed().eval().requires_grad_(False)
    for name, parameter in module.named_parameters():
        if "offset" in name or "modulation" in name:  # they start at 0
            nn.init.normal_(parameter, std=0.3)
    image, path = torch.randn(1, 3, 9, 7), tmp_path / "deformed.onnx"
    shapes = dynamic_shapes(bare=True, dynamic=False)
    write_onnx(module, image, path, SAID, shapes, output="logits", precision=precision)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("DeformConv") == 4
    if [int(part) for part in version("onnxruntime").split(".")[:2]] < [1, 28]:
        with pytest.raises(UserError, match=r"1\.28 does"):
            open_file(path, "onnx")
        return
    found = open_file(path, "onnx")(image.numpy())
    near = 1e-5 if precision == "full" else 0.02
    np.testing.assert_allclose(found, module(image).numpy(), atol=near)


def test_an_onnx_runtime_without_them_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")

    def refuse(*_: object, **__: object) -> None:
        raise onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented(
            "Could not find an implementation for DeformConv(19) node with name 'x'"
        )

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(UserError, match=r"a\.onnx has deformable convolutions.*1\.28"):
        open_file(tmp_path / "a.onnx", "onnx")
