"""A network run by ONNX Runtime instead of PyTorch: the same masks, on a CPU sooner."""

import logging
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from src.atomic import atomic_write
from src.networks.network import Network, Output
from src.training.provenance import file_hash
from src.weights.registry import cache_folder

log = logging.getLogger(__name__)


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
    path = cache_folder() / "onnx" / f"{file_hash(weights)[:16]}-{height}x{width}.onnx"
    if not _is_sound(path):
        _write_once(network, size, path)
    return OnnxNetwork(path)


def _write_once(network: nn.Module, size: tuple[int, int], path: Path) -> None:
    """Write it whole; of processes that start together one does, the others wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path.parent}.lock"):
        if _is_sound(path):
            return
        log.info("writing %s, once", path)
        write_network(network, size, path)
        atomic_write(_checksum_file(path), file_hash(path))


def _is_sound(path: Path) -> bool:
    """Whether the file is there, as it was written."""
    checksum = _checksum_file(path)
    return (
        path.is_file()
        and checksum.is_file()
        and checksum.read_text(errors="replace") == file_hash(path)
    )


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def write_network(network: nn.Module, size: tuple[int, int], path: Path) -> None:
    """Write the file that `OnnxNetwork` reads, whole or not at all."""
    from src.engines.formats import dynamic_shapes, write_onnx
    from src.engines.graph import BareNetwork

    bare = BareNetwork(network).eval().requires_grad_(False)
    shapes = dynamic_shapes(bare=True, dynamic=False)
    write_onnx(bare, torch.rand(1, 3, *size), path, {}, shapes, output="logits")
