"""What each network costs: `python -m src.networks.summary [name …]` prints a Markdown table.

Parameters, multiply-accumulates of one forward pass, the activations that training one image keeps
for the backward pass, and the latency of one image on this machine.
"""

import math
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torchvision.ops  # noqa: F401  registers deform_conv2d
from omegaconf import ListConfig
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from src.errors import CommandError, exit_on_user_error
from src.models import composed, names
from src.render import markdown_table
from src.weights.loading import create


def _deformable_flops(
    _: Sequence[int], weight: Sequence[int], *rest: Any, out_shape: Sequence[int], **others: Any
) -> int:
    """Of a deformable convolution, as of a plain one: reading between pixels is not counted."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


# What torch's counter does not know.
FLOPS = {torch.ops.torchvision.deform_conv2d: _deformable_flops}


class NetworkCost(NamedTuple):
    """Costs of a network for one image of `size`; `seconds` is the median of a few passes."""

    name: str
    size: tuple[int, int]
    parameters: int
    macs: int
    activations: int
    seconds: float


def summarize(name: str, size: int | None = None, passes: int = 3) -> NetworkCost:
    """Measure the network of a model at its paper's input, or at another side."""
    height, width = (size, size) if size else _pair(composed(name).size)
    network = create(name).eval()
    image = torch.rand(1, network.input_channels(), height, width)
    seconds = _latency(network, image, passes)
    network, image = network.to("meta"), image.to("meta")  # counts need no values, nor their memory
    return NetworkCost(
        name,
        (height, width),
        sum(p.numel() for p in network.parameters()),
        count_flops(network, image) // 2,
        activation_bytes(network, image),
        seconds,
    )


def count_flops(network: nn.Module, image: Tensor) -> int:
    """Floating-point operations of a forward pass, two for each multiplication and addition."""
    counted = FlopCounterMode(display=False, custom_mapping=FLOPS)
    with counted as counter, torch.inference_mode():
        network(image)
    return counter.get_total_flops()


def activation_bytes(network: nn.Module, image: Tensor) -> int:
    """Bytes that autograd keeps between the passes, each buffer once, parameters not counted."""
    own = {_identity(p) for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if (key := _identity(tensor)) not in own:
            kept[key] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(image)  # its graph holds the buffers, so that no address is used twice
    total = sum(kept.values())
    del output
    return total


def _identity(tensor: Tensor) -> int:
    """Of a tensor's buffer, as long as that is in use; without values it has no address."""
    return StorageWeakRef(tensor.untyped_storage()).cdata


def _pair(size: int | ListConfig) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def markdown(rows: list[NetworkCost]) -> str:
    """The costs as a table."""
    head = ["network", "input", "parameters", "GMACs", "activations kept", "latency"]
    lines = [
        [
            *(r.name, _shown(r.size), f"{r.parameters / 1e6:.2f} M", f"{r.macs / 1e9:.1f}"),
            *(f"{r.activations / 2**20:.0f} MiB", f"{r.seconds * 1000:.0f} ms"),
        ]
        for r in rows
    ]
    return markdown_table(head, lines, "llr").rstrip("\n")


def _shown(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}²" if height == width else f"{height} × {width}"


def _latency(network: nn.Module, image: Tensor, passes: int) -> float:
    seconds = []
    with torch.inference_mode():
        for _ in range(passes):
            start = time.perf_counter()
            network(image)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main(words: Sequence[str]) -> int:
    """Print the table of the networks that are named, or of all; returns the exit code."""
    chosen = list(words) or names()
    if unknown := [name for name in chosen if name not in names()]:
        raise CommandError(f"no model is called {unknown[0]!r}; choose of {', '.join(names())}")
    print(f"{torch.get_num_threads()} CPU threads, torch {torch.__version__}, fp32, one image\n")
    print(markdown([summarize(name) for name in chosen]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main)(sys.argv[1:]))
