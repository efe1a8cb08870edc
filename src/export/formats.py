"""Writes a module as TorchScript, torch.export or ONNX, and runs such files."""

import io
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from src.errors import UserError
from src.whole_file import write_whole

Format = Literal["onnx", "torchscript", "torch_export"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt", "torch_export": ".pt2"}
Run = Callable[[np.ndarray], np.ndarray]
Shapes = dict[str, dict[int, Any]]

METADATA = "finecut.json"
LARGEST_SIDE = 1 << 15


def dynamic_shapes(*, bare: bool, dynamic: bool) -> Shapes:
    """The free dimensions: height and width of a baked picture, the batch of a bare one."""
    if not bare:
        sides = {
            i: torch.export.Dim(name, min=2, max=LARGEST_SIDE) for i, name in ((0, "h"), (1, "w"))
        }
        return {"image": sides}
    return {"image": {0: torch.export.Dim("batch", min=1, max=1024)} if dynamic else {}}


def write_torchscript(
    module: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, str]
) -> None:
    """Trace a module; sizes that its shapes depend on stay free. Written whole or not at all."""
    # Into memory first: torch's own writer ends the process where the disk is full.
    buffer = io.BytesIO()
    with _without_advice(), torch.no_grad():
        traced = torch.jit.trace(module, (example,), check_trace=False)
        torch.jit.save(traced, buffer, _extra_files={METADATA: json.dumps(dict(metadata))})
    write_whole(path, buffer.getvalue())


def write_torch_export(
    module: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, str], shapes: Shapes
) -> None:
    """Save the module as an ExportedProgram, whole or not at all."""
    buffer = io.BytesIO()
    program = exported(module, example, shapes)
    with _without_advice():
        torch.export.save(program, buffer, extra_files={METADATA: json.dumps(dict(metadata))})
    write_whole(path, buffer.getvalue())


def exported(module: nn.Module, example: Tensor, shapes: Shapes) -> torch.export.ExportedProgram:
    with _without_advice(), torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes=shapes)


def open_file(path: Path, kind: str) -> Run:
    """The exported file as a function from an array to an array, on the CPU."""
    if kind == "onnx":
        from .onnx import open_onnx

        return open_onnx(path)
    with _without_advice():
        module: Any = (
            torch.jit.load(str(path)) if kind == "torchscript" else torch.export.load(path).module()
        )

    def run(array: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(array)).numpy()

    return run


def read_metadata(path: Path) -> dict[str, str]:
    """What an exported file says of itself.

    Raises:
        UserError: Of another kind, or without a word of export.py in it.
    """
    if path.suffix == SUFFIXES["onnx"]:
        from .onnx import onnx_metadata

        return onnx_metadata(path)
    files = {METADATA: ""}
    with _without_advice():
        if path.suffix == SUFFIXES["torchscript"]:
            torch.jit.load(str(path), _extra_files=files)
        elif path.suffix == SUFFIXES["torch_export"]:
            torch.export.load(path, extra_files=files)
        else:
            raise UserError(f"{path}: not a file that export.py writes ({SUFFIXES})")
    text = files[METADATA]
    if not text:
        raise UserError(f"{path} says nothing of itself; export.py did not write it")
    return json.loads(text.decode() if isinstance(text, bytes) else text)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Leave out what tracing says of branches on fixed sizes and of its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
