"""The forward pass of each network alone, in every engine, beside what the machine can compute.

python -m benchmarks.networks [--models isnet,u2netp,…] [--engines torch,onnxruntime,openvino]
    [--precision fp32] [--device cpu] [--size 1024] [--seconds 5]

One image, random weights. "Of the peak" is the pass's floating-point operations, by PyTorch's
counter, at the machine's peak (`limits.py`), measured right before in the same process, divided by
the time of the fastest call. "Products" is the share of the time that an engine, by its own
profile, spends in convolutions and products of matrices; what it spends elsewhere is no work that
the peak counts, and the operators that take most of it are named. In a process of its own, `--row`
prints one row as JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from src.engines.engine_network import drawn_input, write_network
from src.engines.parity import difference, gray_levels
from src.engines.runtimes import open_graph
from src.errors import UserError
from src.inference.devices import autocast
from src.inference.model_spec import named
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network
from src.networks.summary import count_flops
from src.render import markdown_table
from src.weights.loading import create

from .limits import Parts, fastest, parts, peak

# Of PyTorch: as it is, through torch.compile, and that in CUDA graphs.
_TORCH = {"torch": None, "torch.compile": {}, "CUDA graphs": {"mode": "reduce-overhead"}}
# ONNX Runtime on a GPU, where its package for that is installed.
PROVIDERS = {
    "onnxruntime CUDA": "CUDAExecutionProvider",
    "onnxruntime TensorRT": "TensorrtExecutionProvider",
}
ALL = (
    *("isnet", "u2net", "u2netp", "inspyrenet_res2net50", "inspyrenet_swinb"),
    *("birefnet_lite", "dextr", "dextr_atrous", "iog"),
)
# Stand-ins of the same code, and their side, for a test.
_TINY: dict[str, dict[str, Any]] = {
    "isnet": {"width": 4},
    "birefnet": {"backbone": "test_resnet"},
}
_TINY_SIDE = 32
_HEAD = [
    *("model", "input", "GFLOP", "engine", "ms", "GFLOP/s", "peak", "of the peak", "products"),
    "most of the rest",
]


def main() -> None:
    arguments = parser().parse_args()
    torch.set_num_threads(arguments.threads or torch.get_num_threads())
    if arguments.row:
        print(json.dumps(measure(arguments)))
        return
    rows = []
    for model in arguments.models.split(","):
        for engine in arguments.engines.split(","):
            rows.append(_row_in_a_process(model, engine))
            print(rows[-1], file=sys.stderr)
    print(markdown_table(_HEAD, [_cells(row) for row in rows], "llrlrrrrrl"))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(ALL))
    parser.add_argument("--engines", default="torch,onnxruntime,openvino")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--size", type=int, help="side of the input; default the model's")
    parser.add_argument("--seconds", type=float, default=5.0, help="of calls, and of the peak")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--peak", type=float, help="of the device in this precision, TFLOP/s")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    return parser


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One network in one engine.

    Returns:
        ms: Of the fastest call.
        flops: Of the pass.
        peak: Floating-point operations a second.
        share: Of the peak.
        memory: Most that torch held on the GPU, in MiB; 0 on a CPU and of other engines.
        apart: Gray levels of 255 from torch's map in fp32, the largest and the mean.
        products, rest: As `Parts`; None where the engine gives no profile.

    Raises:
        UserError: The engine is not installed or cannot run the network.
    """
    model, engine, device = arguments.models, arguments.engines, arguments.device
    recipe, size = named(model), arguments.size
    if arguments.tiny:
        size = _TINY_SIDE
    processor = recipe.processor.at(None if size is None else (size, size))
    torch.manual_seed(0)
    network: Network = create(model, **(_TINY[model] if arguments.tiny else {})).eval()
    image = drawn_input(processor, network.input_channels())
    flops = count_flops(
        create(model, **(_TINY[model] if arguments.tiny else {})).eval().to("meta"),
        image.to("meta"),
    )
    most = 1e12 * arguments.peak if arguments.peak else peak(device, arguments.precision)
    with torch.inference_mode():
        network, image = fuse_conv_bn(network).to(device), image.to(device)
        expected = gray_levels(network(image).masks[0].float().cpu().numpy())
    with tempfile.TemporaryDirectory() as folder:
        opened = _open(network, image, arguments, Path(folder))
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        # A miniature is not worth compiling.
        with torch.compiler.set_stance("force_eager" if arguments.tiny else "default"):
            found = gray_levels(opened())
            seconds = fastest(opened, device, arguments.seconds, 1 if arguments.tiny else 3)
        memory = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
        where = None if arguments.tiny else _profile(network, image, arguments, Path(folder))
    apart = difference(found, expected)
    return {
        "model": model,
        "size": list(image.shape[2:]),
        "engine": engine,
        "precision": arguments.precision,
        "ms": 1000 * seconds,
        "flops": flops,
        "peak": most,
        "share": flops / most / seconds,
        "memory": memory if engine in _TORCH else 0.0,
        "apart": [apart.max, apart.mean],
        "products": None if where is None else where.products,
        "rest": "" if where is None else str(where),
    }


def _open(
    network: Network, image: Tensor, arguments: argparse.Namespace, folder: Path
) -> Callable[[], np.ndarray]:
    """The pass in an engine, as a call that answers with the finest map's logits."""
    engine, device = arguments.engines, torch.device(arguments.device)
    if engine in _TORCH:
        network = network.to(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
        how: Any = _TORCH[engine]
        if how is not None:
            network.compile(**how)

        @torch.inference_mode()
        def call() -> np.ndarray:
            with autocast(device, arguments.precision):
                return network(image).masks[0].float().cpu().numpy()

        return call
    if engine in PROVIDERS:
        _require(PROVIDERS[engine])  # before a graph is written for nothing
    path = _graph(network, image, folder)
    fed = image.cpu().contiguous().numpy()
    if engine not in PROVIDERS:
        run = open_graph(path, engine, arguments.precision)
        return lambda: run(fed)
    session = _session(path, PROVIDERS[engine])
    return lambda: session.run(None, {"image": fed})[0]


def _graph(network: nn.Module, image: Tensor, folder: Path) -> Path:
    path = folder / "network.onnx"
    if not path.exists():
        write_network(network.cpu(), image.cpu(), path)
    return path


def _require(provider: str) -> None:
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        raise UserError(f"not measured: the installed ONNX Runtime has no {provider}")


def _session(path: Path, provider: str, profile: Path | None = None) -> Any:
    """ONNX Runtime; input and output go from and to the CPU's memory."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
    if provider not in session.get_providers():  # it goes to the CPU without a word
        raise UserError(f"{provider} cannot be loaded here")
    return session


def _profile(
    network: Network, image: Tensor, arguments: argparse.Namespace, folder: Path
) -> Parts | None:
    """Where the time of a pass on a CPU goes, as the engine itself says."""
    if arguments.device != "cpu":
        return None
    spent: Counter[str] = Counter()
    if arguments.engines == "torch":
        image = image.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.profiler.profile() as profile:
            network(image)
        for event in profile.key_averages():
            spent[event.key.removeprefix("aten::")] += event.self_cpu_time_total
    elif arguments.engines == "onnxruntime":
        session = _session(_graph(network, image, folder), "CPUExecutionProvider", folder / "ort")
        for _ in range(2):
            session.run(None, {"image": image.numpy()})
        for event in json.loads(Path(session.end_profiling()).read_text()):
            if event.get("cat") == "Node":
                spent[event["args"]["op_name"]] += event["dur"]
    elif arguments.engines == "openvino":
        import openvino  # `open_graph` has imported it, without its telemetry

        core = openvino.Core()
        settings = {"PERF_COUNT": True, "INFERENCE_PRECISION_HINT": "f32"}
        settings["INFERENCE_NUM_THREADS"] = torch.get_num_threads()
        request = core.compile_model(_graph(network, image, folder), "CPU", settings)
        asked = request.create_infer_request()
        for _ in range(2):
            asked.infer(image.numpy())
        for node in asked.profiling_info:
            spent[node.node_type] += node.real_time.total_seconds()
    else:
        return None
    return parts(spent)


def _row_in_a_process(model: str, engine: str) -> dict[str, Any]:
    """In a process of its own, so that none pays for the memory and threads of another."""
    words = [*sys.argv[1:], "--row", "--models", model, "--engines", engine]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.networks", *words], capture_output=True, text=True
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        return {"model": model, "engine": engine, "error": reason}
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _cells(row: dict[str, Any]) -> list[str]:
    if "error" in row:
        return [row["model"], "", "", row["engine"], *[""] * 5, row["error"]]
    products = "" if row["products"] is None else f"{row['products']:.0%}"
    rate = row["flops"] / row["ms"] * 1e-6
    return [
        *(row["model"], "×".join(map(str, row["size"])), f"{row['flops'] / 1e9:.0f}"),
        *(row["engine"], f"{row['ms']:.0f}", f"{rate:.0f}", f"{row['peak'] / 1e9:.0f}"),
        *(f"{row['share']:.0%}", products, row["rest"]),
    ]


if __name__ == "__main__":
    main()
