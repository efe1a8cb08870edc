"""A network run by ONNX Runtime instead of PyTorch: the same masks, on a CPU sooner."""

from pathlib import Path

import torch
from torch import Tensor, nn

from src.cache import CacheFolder
from src.hashing import file_hash
from src.networks.network import Network, Output
from src.weights.registry import cache_folder

_VERSION = 1  # of what is written for the same weights


class OnnxNetwork(Network):
    """Answers `(B, 3, h, w)` with the finest map of the network that its file was made of.

    Args:
        path: An ONNX file of one image of a fixed size.

    Raises:
        UserError: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        from src.engines.formats import open_onnx

        self._run = open_onnx(path)

    def forward(self, image: Tensor) -> Output:
        maps = [self._run(one.contiguous().numpy()) for one in image.split(1)]
        return Output([torch.cat([torch.from_numpy(each) for each in maps])], {})


def in_onnx_runtime(network: nn.Module, size: tuple[int, int], weights: Path) -> OnnxNetwork:
    """The network in ONNX Runtime; its file is written once for these weights and this size.

    Args:
        network: As it was loaded from `weights`, on the CPU.
    """
    height, width = size
    cache = CacheFolder(cache_folder() / "onnx", "network", _VERSION)
    key = f"{file_hash(weights)[:16]}-{height}x{width}"
    return OnnxNetwork(
        cache.get_file(key, ".onnx", lambda path: write_network(network, size, path))
    )


def write_network(network: nn.Module, size: tuple[int, int], path: Path) -> None:
    """Write the file that `OnnxNetwork` reads, whole or not at all."""
    from src.engines.formats import dynamic_shapes, write_onnx
    from src.engines.graph import BareNetwork

    bare = BareNetwork(network).eval().requires_grad_(False)
    shapes = dynamic_shapes(bare=True, dynamic=False)
    write_onnx(bare, torch.rand(1, 3, *size), path, {}, shapes, output="logits")
