"""Which engines this machine has, in which precisions each runs here, and how it opens a graph.

PyTorch is one of them; the others run an ONNX graph on the CPU. What a precision needs of the
processor is asked of the engine: bf16 that is emulated is slower than fp32 and is not offered.
"""

import sys
import threading
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from src.errors import UserError, missing_extra

if TYPE_CHECKING:  # it imports packages that are an extra
    from src.engines.formats import Run

EngineName = Literal["torch", "onnxruntime", "openvino"]
# The simpler first: it wins a tie.
ENGINES: tuple[EngineName, ...] = ("torch", "onnxruntime", "openvino")
_WRITERS = ("onnx", "onnxscript")  # of the graph that all but torch run
_TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # as OpenVINO calls them


def why_not_installed(engine: str) -> str | None:
    """Which package an engine lacks here and the command that installs it; None for none."""
    if engine == "torch":
        return None
    extras = ("export",) if engine == "onnxruntime" else ("export", "openvino")
    for package in (engine, *_WRITERS):
        if find_spec(package) is None:
            return str(missing_extra(f"engine={engine} needs {package}", *extras))
    return None


def require(engine: str) -> None:
    """Raise UserError where an engine is unknown or not installed."""
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is unknown; choose auto or one of {', '.join(ENGINES)}")
    if (reason := why_not_installed(engine)) is not None:
        raise UserError(reason)


def versions() -> dict[str, str]:
    """Of the engines that are installed."""
    found: dict[str, str] = {}
    for engine in ENGINES:
        try:
            found[engine] = version(engine)
        except PackageNotFoundError:
            continue
    return found


def precisions(engine: str, device: torch.device | str = "cpu") -> tuple[str, ...]:
    """The number types in which an engine computes on this machine without emulating them.

    int8 is a matter of the graph: it is listed where an engine runs quantized ones.
    """
    kind = torch.device(device).type
    if engine == "torch":
        return _of_torch(kind)
    if kind != "cpu":
        return ()
    if engine == "onnxruntime":
        return ("fp32", "int8")
    able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("fp32", *(name for name in ("bf16", "fp16", "int8") if name.upper() in able))


def require_precision(engine: str, precision: str) -> None:
    """Raise UserError where an engine does not compute in a precision on this processor."""
    able = precisions(engine)
    if precision not in able:
        raise UserError(
            f"engine={engine} has precision={' and '.join(able)} on this processor, not {precision}"
        )


def open_graph(
    path: Path, engine: str, precision: str = "fp32", output: str | None = None
) -> "Run":
    """An ONNX file in an engine, as a function from its input to an output, on the CPU.

    As many threads as torch has compute. Of one that was opened, one call runs at a time.

    Args:
        path: Of a file with one input.
        engine: `onnxruntime` or `openvino`.
        precision: In which OpenVINO computes what the file holds in fp32.
        output: Name of the output; None for the first.

    Raises:
        UserError: The engine is not installed, or cannot run the file.
    """
    require(engine)
    try:
        if engine == "onnxruntime":
            from src.engines.formats import open_onnx

            return open_onnx(path, output)
        return _open_openvino(path, precision, output)
    except UserError:
        raise
    except Exception as error:  # the engines' own have no base in common
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{engine} cannot run {path}: {reason}") from error


def _open_openvino(path: Path, precision: str, output: str | None) -> "Run":
    core = _core()
    # Without the hint it takes bf16 where the processor has it.
    settings = {
        "INFERENCE_PRECISION_HINT": _TYPES[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    wanted = compiled.output(output) if output else compiled.output(0)
    lock = threading.Lock()  # a compiled model has one request, which holds its results

    def run(array: np.ndarray) -> np.ndarray:
        with lock:
            found: np.ndarray = compiled(array)[wanted]
            return found

    return run


def _core() -> Any:
    """OpenVINO, of which nothing is reported to its makers.

    Its import sends them an event, with an identifier of this machine. Where the package that does
    it cannot be imported, OpenVINO takes an empty one of its own instead.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # not to be imported
        try:
            import openvino
        finally:
            del sys.modules["openvino_telemetry"]
    import openvino

    return openvino.Core()


def _of_torch(kind: str) -> tuple[str, ...]:
    if kind == "cuda":
        natively = torch.cuda.is_bf16_supported(including_emulation=False)
        return ("fp32", "bf16", "fp16") if natively else ("fp32", "fp16")
    if kind != "cpu":
        return ("fp32", "fp16")
    # What oneDNN, which does torch's convolutions, says of the processor.
    return (
        "fp32",
        *["bf16"] * torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        *["fp16"] * torch.ops.mkldnn._is_mkldnn_fp16_supported(),
    )
