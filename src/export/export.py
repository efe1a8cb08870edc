"""Exports a model, runs the file beside PyTorch, and writes the report."""

import copy
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from src.atomic import atomic_write
from src.datamodules.clicks import to_dict
from src.datamodules.images import read_image
from src.engines.formats import (
    SUFFIXES,
    Run,
    dynamic_shapes,
    open_file,
    write_torch_export,
    write_torchscript,
)
from src.engines.graph import BakedNetwork, BareNetwork
from src.engines.parity import TOLERANCES, gray_levels
from src.errors import UserError
from src.export.parity import (
    BLANK,
    Parity,
    compare,
    image_files,
    images,
    markdown,
    score_rows,
)
from src.export.scores import ScoringData
from src.hashing import file_hash
from src.inference import Segmenter
from src.training.provenance import git_state
from src.weights.registry import identify

UNKNOWN = "not stated; that of the weights' owner and of their training data"
# Photos that int8 learns its ranges from, and, unless images= names others, how many of them are
# kept for the comparison instead: on what it was fitted to, a file always looks well.
_CALIBRATION, _FEWEST, _HELD_BACK = 64, 8, 8
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
        "inputs": json.dumps(segmenter.inputs),
        "prompts": json.dumps(segmenter.prompts and to_dict(segmenter.prompts)),
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
    precision: `fp32`, `fp16` or `int8`; the last for ONNX only.
    bare: The network alone, from normalized floats to logits.
    dynamic: A bare file takes any batch size. Files with processing take any image anyway.
    images: A folder to compare on; None: built-in drawings, or with int8 some of the photos.
    calibrate_on: A folder of photos from which int8 learns its ranges.
    verify_on: Data on which the metrics of both are compared, see `ScoringData`.
    license: Written into the file where the registry does not know it.
    """

    format: str
    output: Path
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    bare: bool = False
    dynamic: bool = False
    images: Path | None = None
    calibrate_on: Path | None = None
    verify_on: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise UserError(f"format {self.format!r} is unknown; choose of {', '.join(SUFFIXES)}")
        if self.precision == "int8" and self.format != "onnx":
            raise UserError("int8 is for format=onnx; the torch formats have fp32 and fp16")
        if (self.precision == "int8") != (self.calibrate_on is not None):
            raise UserError("precision=int8 and calibrate_on=FOLDER of photos go together")
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
        UserError: A network that needs clicks without `bare`, one that cannot be halved, or one
            whose masks int8 changes by more than its tolerance: then there is a report and no file.
    """
    if segmenter.network.runs_file:
        raise UserError(
            f"{segmenter.weights} is an ONNX file already; export the checkpoint it was made of"
        )
    if segmenter.inputs != ("image",) and not request.bare:
        raise UserError(
            f"{segmenter.name} takes {' and '.join(segmenter.inputs)}: its crops and clicks are "
            "made outside the network; export it with bare=true"
        )
    data = _scoring_data(segmenter, request)  # what is wrong with it is found before the work
    path = _file(segmenter, request)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = describe(
        segmenter, bare=request.bare, precision=request.precision, license=request.license
    )
    photos, calibration = _photos(request)
    inputs = _bare_inputs(segmenter, photos) if request.bare else photos
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".finecut-") as folder:
        written = Path(folder, path.name) if request.precision == "int8" else path
        _write(segmenter, request, written, metadata, inputs, calibration)
        parity = _compare(segmenter, request, written, inputs)
        if data is not None:
            makers = {"checkpoint": segmenter.mask, "file": _masks_of(segmenter, request, written)}
            parity = parity._replace(scores=score_rows(data.scores(makers)))
        if parity.passed and written != path:
            written.replace(path)
    report = path.with_name(f"{path.name}.parity.md")
    atomic_write(report, markdown(parity, metadata, path.name))
    values = {"file": path.name, "metadata": metadata, **parity.to_dict()}
    atomic_write(report.with_suffix(".json"), json.dumps(values, indent=2) + "\n")
    if request.precision == "int8" and not parity.passed:
        why = BLANK if parity.blank else f"in gray levels of 255: {parity}"
        raise UserError(f"{segmenter.name} is not written in int8, {why}; {report}")
    return Exported(path, report, parity)


def _photos(request: Request) -> tuple[dict[str, np.ndarray], list[Path]]:
    """Images to compare on by their names, and the files of those to calibrate on."""
    if request.calibrate_on is None:
        return images(request.images), []
    compared, calibrating = split_photos(request.calibrate_on)
    if request.images is not None:
        return images(request.images), [*calibrating, *compared.values()]
    return {name: read_image(path) for name, path in compared.items()}, calibrating


def split_photos(folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """The photos of `calibrate_on=`: some to compare on, by name, and the others to calibrate on.

    Raises:
        UserError: Too few.
    """
    files = image_files(folder, _CALIBRATION, "calibrate_on")
    if len(files) < _FEWEST:
        raise UserError(
            f"calibrate_on={folder} has {len(files)} images; int8 learns its ranges from at least "
            f"{_FEWEST}, like those that it will be used on"
        )
    held_back = list(files)[:: max(2, len(files) // _HELD_BACK)][:_HELD_BACK]
    return {name: files.pop(name) for name in held_back}, list(files.values())


def _scoring_data(segmenter: Segmenter, request: Request) -> ScoringData | None:
    if request.verify_on is None:
        return None
    segmenter.refuse_clicks()
    return ScoringData(request.verify_on)


def _masks_of(segmenter: Segmenter, request: Request, path: Path) -> Run:
    """The file as a function from an image `(H, W, 3)` to its mask; around a bare one, Python."""
    run, processor = open_file(path, request.format), segmenter.processor
    if not request.bare:
        return run

    def mask(image: np.ndarray) -> np.ndarray:
        batch = torch.tensor(processor.resize_image(image)).permute(2, 0, 1)[None]
        logits = torch.from_numpy(run(processor.normalize(batch).numpy()))[0, 0]
        return processor.postprocess(logits, image.shape[:2]).numpy()

    return mask


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
    inputs: Mapping[str, np.ndarray],
    calibration: list[Path],
) -> None:
    module, bare = _module(segmenter, bare=request.bare), request.bare
    example = _example(next(iter(inputs.values())), request)
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
            calibration=calibration_inputs(segmenter, calibration, bare=bare),
        )
        return
    if request.precision == "fp16":
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
            f"({str(error).splitlines()[0]}); use format=onnx precision=fp16"
        ) from error


def calibration_inputs(
    segmenter: Segmenter, files: Iterable[Path], *, bare: bool
) -> Iterator[np.ndarray]:
    """What the file takes, of one photo after another."""
    for i, path in enumerate(files):
        image = read_image(path)
        yield _bare_input(segmenter, image, seed=i) if bare else image


def _bare_inputs(segmenter: Segmenter, photos: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: _bare_input(segmenter, image, seed=i)
        for i, (name, image) in enumerate(photos.items())
    }


def _bare_input(segmenter: Segmenter, image: np.ndarray, seed: int) -> np.ndarray:
    """A normalized image; channels that it lacks, of clicks, are drawn at random."""
    channels = next(p for p in segmenter.network.parameters() if p.ndim == 4).shape[1]
    resized = segmenter.processor.resize_image(image)
    batch = torch.tensor(resized).permute(2, 0, 1)[None]
    values = segmenter.processor.normalize(batch)[:, :channels]
    extra = torch.rand(
        (1, channels - values.shape[1], *values.shape[2:]),
        generator=torch.Generator().manual_seed(seed),
    )
    return torch.cat([values, 255 * extra], dim=1).numpy()


def _compare(
    segmenter: Segmenter, request: Request, path: Path, inputs: Mapping[str, np.ndarray]
) -> Parity:
    module = _module(segmenter, bare=request.bare)
    levels = gray_levels if request.bare else _unchanged

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


def _unchanged(mask: np.ndarray) -> np.ndarray:
    return mask
