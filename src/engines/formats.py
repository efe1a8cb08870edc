"""Writes a module as TorchScript, torch.export or ONNX (full, half, 8 bit), and runs such files."""

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from src.atomic import atomic_write
from src.errors import UserError, missing_extra

Format = Literal["onnx", "torchscript", "torch_export"]
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt", "torch_export": ".pt2"}
Run = Callable[[np.ndarray], np.ndarray]
Shapes = dict[str, dict[int, Any]]

METADATA = "finecut.json"
LARGEST_SIDE = 1 << 15
OPSET = 18  # the first whose Resize can antialias
DEFORMABLE_OPSET = 19  # the first that has DeformConv; files without need no newer engine for it
_DEFORMABLE = "torchvision.deform_conv2d.default"
_LARGEST_PROTOBUF = 1 << 31


def dynamic_shapes(*, bare: bool, dynamic: bool) -> Shapes:
    """The free dimensions: height and width of a baked image, the batch of a bare one."""
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
    atomic_write(path, buffer.getvalue())


def write_torch_export(
    module: nn.Module, example: Tensor, path: Path, metadata: Mapping[str, str], shapes: Shapes
) -> None:
    """Save the module as an ExportedProgram, whole or not at all."""
    buffer = io.BytesIO()
    program = exported(module, example, shapes)
    with _without_advice():
        torch.export.save(program, buffer, extra_files={METADATA: json.dumps(dict(metadata))})
    atomic_write(path, buffer.getvalue())


def exported(module: nn.Module, example: Tensor, shapes: Shapes) -> torch.export.ExportedProgram:
    with _without_advice(), torch.no_grad():
        return torch.export.export(module, (example,), dynamic_shapes=shapes)


def open_file(path: Path, kind: str) -> Run:
    """The exported file as a function from an array to an array, on the CPU."""
    if kind == "onnx":
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
    """Leave out what tracing says of branches on fixed sizes and of its own future, and that
    quantizing, on the root logger, recommends what is in our graphs already: shapes, folded norms.
    """
    root = logging.getLogger()
    root.addFilter(_say_nothing)  # of what is logged on it by itself, not by others
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_say_nothing)


def _say_nothing(record: logging.LogRecord) -> bool:
    return False


try:
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  torch.onnx needs it
except ImportError as error:
    raise missing_extra(f"ONNX needs {error.name}", "export") from error


def write_onnx(
    module: nn.Module,
    example: Tensor,
    path: Path,
    metadata: Mapping[str, str],
    shapes: Shapes,
    *,
    output: str,
    precision: str = "fp32",
    calibration: Iterable[np.ndarray] = (),
) -> None:
    """Write one `.onnx` file with metadata, whole or not at all.

    Args:
        shapes: Free dimensions, as torch.export takes them.
        output: Name of the output; the input is called `image`.
        precision: `fp32`, `fp16` (inside; types of input and output are kept), or `int8`
            (convolutions, a scale for each channel of their weights, calibrated).
        calibration: Inputs from which int8 learns the ranges.
    """
    model = _converted(module, example, shapes, output)
    if precision == "fp16":
        model = _halved(model)
    elif precision == "int8":
        model = _quantized(model, calibration)
    if model.ByteSize() >= _LARGEST_PROTOBUF:
        raise UserError("the network is larger than 2 GB, which one ONNX file cannot hold")
    onnx.helper.set_model_props(model, dict(metadata))
    atomic_write(path, model.SerializeToString())


def write_quantized(source: Path, path: Path, calibration: Iterable[np.ndarray]) -> None:
    """Write an ONNX file of fp32 in 8 bit, as `write_onnx` does, whole or not at all."""
    atomic_write(path, _quantized(onnx.load(str(source)), calibration).SerializeToString())


def open_onnx(path: Path, output: str | None = None) -> Run:
    """The file as a function from its input to an output, with as many threads as torch has.

    Args:
        path: Of a file with one input.
        output: Name of the output; None for the first.

    Raises:
        UserError: It has deformable convolutions, and ONNX Runtime is too old for them.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class for each of its codes
        if "DeformConv" not in str(error):
            raise
        raise UserError(
            f"{path} has deformable convolutions, which ONNX Runtime {onnxruntime.__version__} "
            "does not run on a CPU; 1.28 does: pip install -U onnxruntime"
        ) from error
    source = session.get_inputs()[0].name
    wanted = [output or session.get_outputs()[0].name]
    return lambda array: session.run(wanted, {source: array})[0]


def onnx_metadata(path: Path) -> dict[str, str]:
    model = onnx.load(str(path), load_external_data=False)
    return {entry.key: entry.value for entry in model.metadata_props}


def _converted(module: nn.Module, example: Tensor, shapes: Shapes, output: str) -> Any:
    program = exported(module, example, shapes)
    for name in ("onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    deformable = next((n.target for n in program.graph.nodes if str(n.target) == _DEFORMABLE), None)
    with contextlib.redirect_stdout(io.StringIO()):  # its own progress marks
        converted = torch.onnx.export(
            program,
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=[output],
            opset_version=DEFORMABLE_OPSET if deformable else OPSET,
            custom_translation_table={deformable: _deformable_conv} if deformable else None,
        )
    assert converted is not None
    return converted.model_proto


def _deformable_conv(
    x: Any, weight: Any, offset: Any, mask: Any, bias: Any, *sizes: int | bool
) -> Any:
    """torchvision's deformable convolution, which torch's exporter does not know, as DeformConv.

    Args:
        x: The map; weight, offset, mask and bias as of `torchvision.ops.deform_conv2d`.
        sizes: Stride, padding and dilation, of rows and columns each, groups, groups of offsets,
            and whether there is a mask.
    """
    from onnxscript import opset19

    *pairs, groups, offset_groups, has_mask = sizes
    return opset19.DeformConv(
        x,
        weight,
        offset,
        bias,
        mask if has_mask else None,
        strides=pairs[0:2],
        pads=[*pairs[2:4], *pairs[2:4]],
        dilations=pairs[4:6],
        group=groups,
        offset_group=offset_groups,
    )


def _halved(model: Any) -> Any:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    # Sizes and quantized values stay exact; deformable convolutions read between pixels.
    blocked = [*DEFAULT_OP_BLOCK_LIST, "Floor", "Round", "DeformConv"]
    half = convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)
    # A map that several of them read is cast once for each, under one name.
    by_output = {node.output[0]: node for node in reversed(half.graph.node)}
    kept = [node for node in half.graph.node if by_output[node.output[0]] is node]
    del half.graph.node[:]
    half.graph.node.extend(kept)
    return half


def _quantized(model: Any, images: Iterable[np.ndarray]) -> Any:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.left, None)
            return None if image is None else {"image": image}

    with tempfile.TemporaryDirectory() as folder:
        full, small = Path(folder, "full.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, str(full))
        with _without_advice():
            quantize_static(
                str(full),
                str(small),
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                # Behind a ReLU their zero is the number 0, as padding is; with signed ones OpenVINO
                # answers otherwise than ONNX Runtime (measured: 14 gray levels and not 0.8).
                activation_type=QuantType.QUInt8,
            )
        return onnx.load(str(small))
