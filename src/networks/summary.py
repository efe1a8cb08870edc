"""What each network costs: `python -m src.networks.summary [name …]` prints a Markdown table.

Parameters, multiply-accumulates of one forward pass, the activations that training one image keeps
for the backward pass, and the latency of one image on this machine.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from src.errors import CommandError, exit_on_user_error
from src.models import composed, names
from src.render import markdown_table
from src.weights.loading import create


class NetworkCost(NamedTuple):
    """Costs of a network for one image; `seconds` is the median of a few passes."""

    name: str
    size: int
    parameters: int
    macs: int
    activations: int
    seconds: float


def summarize(name: str, size: int | None = None, passes: int = 3) -> NetworkCost:
    """Measure the network of a model at its paper's input, or at another side."""
    side = size or int(composed(name).size)
    network = create(name).eval()
    image = torch.rand(1, network.input_channels(), side, side)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(image)
    return NetworkCost(
        name,
        side,
        sum(p.numel() for p in network.parameters()),
        counter.get_total_flops() // 2,
        activation_bytes(network, image),
        _latency(network, image, passes),
    )


def activation_bytes(network: nn.Module, image: Tensor) -> int:
    """Bytes that autograd keeps between the passes, each buffer once, parameters not counted."""
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(image)  # its graph holds the buffers, so that no address is used twice
    total = sum(kept.values())
    del output
    return total


def markdown(rows: list[NetworkCost]) -> str:
    """The costs as a table."""
    head = ["network", "input", "parameters", "GMACs", "activations kept", "latency"]
    lines = [
        [
            *(r.name, f"{r.size}²", f"{r.parameters / 1e6:.2f} M", f"{r.macs / 1e9:.1f}"),
            *(f"{r.activations / 2**20:.0f} MiB", f"{r.seconds * 1000:.0f} ms"),
        ]
        for r in rows
    ]
    return markdown_table(head, lines, "llr").rstrip("\n")


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
