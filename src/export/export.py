"""Exports a model, runs the file beside PyTorch, and writes the report."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from src.atomic import atomic_write
from src.engines.formats import (
    SUFFIXES,
    Run,
    dynamic_shapes,
    open_file,
    write_torch_export,
    write_torchscript,
)
from src.engines.graph import BakedNetwork, BareNetwork
from src.errors import UserError
from src.export.parity import TOLERANCES, Parity, compare, images, markdown
from src.hashing import file_hash
from src.inference import Segmenter
from src.training.provenance import git_state
from src.weights.registry import identify

UNKNOWN = "not stated; that of the weights' owner and of their training data"
_EXAMPLE_SIDES = (213, 341)  # of the image that is traced; any, but no special one
__all__ = ["Exported", "Request", "Run", "export"]


def describe(
    segmenter: Segmenter, *, bare: bool, precision: str, license: str | None
) -> dict[str, str]:
    """Strings by name: model, hash of the weights, processor, what goes in and out, license."""
    weights = segmenter.weights
    digest = file_hash(weights) if weights else ""
    released = identify(weights, digest) if weights else None
    height, width = segmenter.processor.size
    values: dict[str, Any] = {
        "framework": f"finecut {git_state()['commit'] or ''}, torch {torch.__version__}",
        "model": segmenter.name,
        "precision": precision,
        "weights": weights.name if weights else "",
        "weights_sha256": digest,
        "license": license or (released and released.license) or UNKNOWN,
        "trained_on": json.dumps(released.trained_on if released else None),
        "processor": json.dumps(segmenter.processor.to_dict()),
        "input": f"image: float32 (B, C, {height}, {width}), normalized by processor"
        if bare
        else "image: uint8 (H, W, 3) RGB, any size",
        "output": "logits: float32 (B, 1, h, w), before every restore step of processor"
        if bare
        else "mask: uint8 (H, W), 255 = foreground",
    }
    return {key: str(value) for key, value in values.items()}


@dataclass(frozen=True)
class Request:
    """What to export.

    format: `onnx`, `torchscript` or `torch_export`.
    output: A file, or a folder for `<model>.onnx`.
    precision: `full`, `half` or `int8`; the last for ONNX only.
    bare: The network alone, from normalized floats to logits.
    dynamic: A bare file takes any batch size. Files with processing take any image anyway.
    images: A folder for parity and calibration; None uses built-in drawings.
    license: Written into the file where the registry does not know it.
    """

    format: str
    output: Path
    precision: Literal["full", "half", "int8"] = "full"
    bare: bool = False
    dynamic: bool = False
    images: Path | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise UserError(f"format {self.format!r} is unknown; choose of {', '.join(SUFFIXES)}")
        if self.precision == "int8" and self.format != "onnx":
            raise UserError("int8 is for format=onnx; the torch formats have full and half")
        if self.dynamic and not self.bare:
            raise UserError(
                "dynamic=true frees the batch of a bare=true file; with processing baked in, "
                "a file takes one image of any size already"
            )
        if self.dynamic and self.format == "torchscript":
            raise UserError("a traced TorchScript file takes any batch already; leave dynamic out")


class Exported(NamedTuple):
    """The file, its report, and whether the two agree."""

    file: Path
    report: Path
    parity: Parity


def export(segmenter: Segmenter, request: Request) -> Exported:
    """Write the file, and beside it `<file>.parity.md` and `<file>.parity.json`.

    Raises:
        UserError: A network that needs clicks without `bare`, or one that cannot be halved.
    """
    if segmenter.inputs != ("image",) and not request.bare:
        raise UserError(
            f"{segmenter.name} takes {' and '.join(segmenter.inputs)}: its crops and clicks are "
            "made outside the network; export it with bare=true"
        )
    path = _file(segmenter, request)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = describe(
        segmenter, bare=request.bare, precision=request.precision, license=request.license
    )
    photos = images(request.images)
    inputs = _bare_inputs(segmenter, photos) if request.bare else photos
    _write(segmenter, request, path, metadata, list(inputs.values()))
    parity = _compare(segmenter, request, path, inputs)
    report = path.with_name(f"{path.name}.parity.md")
    atomic_write(report, markdown(parity, metadata, path.name))
    values = {"file": path.name, "metadata": metadata, **parity.to_dict()}
    atomic_write(report.with_suffix(".json"), json.dumps(values, indent=2) + "\n")
    return Exported(path, report, parity)


def _file(segmenter: Segmenter, request: Request) -> Path:
    suffix = SUFFIXES[request.format]
    given = request.output
    if given.suffix == suffix and not given.is_dir():
        return given
    if given.suffix in SUFFIXES.values() and not given.is_dir():
        raise UserError(
            f"output={given} ends in {given.suffix}, but format={request.format} writes "
            f"{suffix} files"
        )
    return request.output / f"{segmenter.name}{suffix}"


def _module(segmenter: Segmenter, *, bare: bool) -> nn.Module:
    """The graph in full precision on the CPU, the segmenter's network untouched."""
    network = copy.deepcopy(segmenter.network).cpu().float()
    module = BareNetwork(network) if bare else BakedNetwork(network, segmenter.processor)
    return module.eval().requires_grad_(False)


def _write(
    segmenter: Segmenter,
    request: Request,
    path: Path,
    metadata: Mapping[str, str],
    inputs: list[np.ndarray],
) -> None:
    module, bare = _module(segmenter, bare=request.bare), request.bare
    example = _example(inputs[0], request)
    shapes = dynamic_shapes(bare=bare, dynamic=request.dynamic)
    if request.format == "onnx":
        from src.engines.formats import write_onnx

        write_onnx(
            module,
            example,
            path,
            metadata,
            shapes,
            output="logits" if bare else "mask",
            precision=request.precision,
            calibration=inputs,
        )
        return
    if request.precision == "half":
        _halve(module, example, segmenter.name)
    if request.format == "torchscript":
        write_torchscript(module, example, path, metadata)
    else:
        write_torch_export(module, example, path, metadata, shapes)


def _example(first: np.ndarray, request: Request) -> Tensor:
    if not request.bare:
        return torch.zeros((*_EXAMPLE_SIDES, 3), dtype=torch.uint8)
    # torch.export takes a batch of one for a constant.
    return torch.from_numpy(np.concatenate([first, first]) if request.dynamic else first)


def _halve(module: nn.Module, example: Tensor, name: str) -> None:
    module.network.half()
    module.dtype = torch.float16  # type: ignore[assignment]
    try:
        with torch.inference_mode():
            module(example)
    except RuntimeError as error:
        raise UserError(
            f"{name} computes parts in fp32 on purpose and cannot be halved as a module "
            f"({str(error).splitlines()[0]}); use format=onnx half=true"
        ) from error


def _bare_inputs(segmenter: Segmenter, photos: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Normalized images; channels that they lack, of clicks, are drawn at random."""
    channels = next(p for p in segmenter.network.parameters() if p.ndim == 4).shape[1]
    found: dict[str, np.ndarray] = {}
    for i, (name, image_file) in enumerate(photos.items()):
        resized = segmenter.processor.resize_image(image_file)
        batch = torch.tensor(resized).permute(2, 0, 1)[None]
        values = segmenter.processor.normalize(batch)[:, :channels]
        extra = torch.rand(
            (1, channels - values.shape[1], *values.shape[2:]),
            generator=torch.Generator().manual_seed(i),
        )
        found[name] = torch.cat([values, 255 * extra], dim=1).numpy()
    return found


def _compare(
    segmenter: Segmenter, request: Request, path: Path, inputs: Mapping[str, np.ndarray]
) -> Parity:
    module = _module(segmenter, bare=request.bare)
    levels = _levels if request.bare else _unchanged

    def graph(array: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return levels(module(torch.from_numpy(array)).numpy())

    file = open_file(path, request.format)
    return compare(
        inputs,
        lambda array: levels(file(array)),
        graph,
        graph if request.bare else segmenter.mask,
        TOLERANCES[request.precision],
    )


def _levels(logits: np.ndarray) -> np.ndarray:
    """Logits as gray levels of their sigmoid."""
    return 255 / (1 + np.exp(-logits.astype(np.float64).clip(-60, 60)))


def _unchanged(mask: np.ndarray) -> np.ndarray:
    return mask
