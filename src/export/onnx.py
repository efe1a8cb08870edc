"""ONNX files, in full precision, half, or 8 bit, and their run on ONNX Runtime's CPU provider."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from src.errors import UserError, missing_extra
from src.whole_file import write_whole

from .formats import Run, Shapes, exported

try:
    import onnx
    import onnxruntime
    import onnxscript  # noqa: F401  torch.onnx needs it
except ImportError as error:
    raise missing_extra("ONNX needs an extra", "export") from error

OPSET = 18  # the first whose Resize can antialias
_LARGEST_PROTOBUF = 1 << 31


def write_onnx(
    module: nn.Module,
    example: Tensor,
    path: Path,
    metadata: Mapping[str, str],
    shapes: Shapes,
    *,
    output: str,
    precision: str = "full",
    calibration: Iterable[np.ndarray] = (),
) -> None:
    """Write one `.onnx` file with metadata, whole or not at all.

    Args:
        shapes: Free dimensions, as torch.export takes them.
        output: Name of the output; the input is called `image`.
        precision: `full`, `half` (fp16 inside, types of input and output kept), or `int8`
            (convolutions and their weights, calibrated).
        calibration: Pictures from which int8 learns the ranges.
    """
    model = _converted(module, example, shapes, output)
    if precision == "half":
        model = _halved(model)
    elif precision == "int8":
        model = _quantised(model, calibration)
    if model.ByteSize() >= _LARGEST_PROTOBUF:
        raise UserError("the network is larger than 2 GB, which one ONNX file cannot hold")
    onnx.helper.set_model_props(model, dict(metadata))
    write_whole(path, model.SerializeToString())


def open_onnx(path: Path) -> Run:
    """The file as a function from an array to an array, with as many threads as torch has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(None, {"image": array})[0]


def onnx_metadata(path: Path) -> dict[str, str]:
    model = onnx.load(str(path), load_external_data=False)
    return {entry.key: entry.value for entry in model.metadata_props}


def _converted(module: nn.Module, example: Tensor, shapes: Shapes, output: str) -> Any:
    program = exported(module, example, shapes)
    for name in ("onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):  # its own progress marks
        converted = torch.onnx.export(
            program,
            (example,),
            dynamo=True,
            input_names=["image"],
            output_names=[output],
            opset_version=OPSET,
        )
    assert converted is not None
    return converted.model_proto


def _halved(model: Any) -> Any:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    # Sizes and quantised values stay exact.
    blocked = [*DEFAULT_OP_BLOCK_LIST, "Floor", "Round"]
    return convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked)


def _quantised(model: Any, pictures: Iterable[np.ndarray]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self.left, None)
            return None if picture is None else {"image": picture}

    with tempfile.TemporaryDirectory() as folder:
        full, small = Path(folder, "full.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, str(full))
        quantize_static(
            str(full),
            str(small),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
        )
        return onnx.load(str(small))
