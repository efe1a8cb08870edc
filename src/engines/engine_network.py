"""A network run by another engine than PyTorch: the same maps, on a CPU often sooner.

The graph that such an engine runs is written once for the weights, the network and the input's
size, and compared with PyTorch once for each engine and precision.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from src import __version__
from src.cache import CacheFolder
from src.engines.parity import TOLERANCES, Difference, difference, drawing, gray_levels
from src.engines.runtimes import open_graph, require, require_precision, versions
from src.errors import UserError
from src.hashing import value_hash
from src.networks.network import Network, Output
from src.processing import Processor
from src.training.provenance import state_hash
from src.weights.registry import cache_folder

if TYPE_CHECKING:  # it imports packages that are an extra
    from src.engines.formats import Run

log = logging.getLogger(__name__)

_VERSION = 2  # of what is written for the same weights
_LEVEL = 1.0  # gray levels of 255 that rounding makes; what is more is said


class EngineNetwork(Network):
    """Answers `(B, C, h, w)` with the finest map of the network that its graph was made of.

    Args:
        run: The graph, which takes one image of a fixed size.
        channels: Of that image.
    """

    def __init__(self, run: "Run", channels: int = 3) -> None:
        super().__init__()
        self._run, self._channels = run, channels

    def input_channels(self) -> int:
        return self._channels

    def forward(self, image: Tensor) -> Output:
        maps = [self._run(one.contiguous().numpy()) for one in image.split(1)]
        return Output([torch.cat([torch.from_numpy(each) for each in maps])], {})


class EngineGraph:
    """The graph of a network in the cache folder, written when it is first opened.

    Args:
        network: On the CPU, evaluated; fused or not.
        example: An input `(1, C, h, w)` of the size that the graph is for, on which engines are
            compared with PyTorch: an image, and not noise, on which networks find nothing.
        name: Of the model, for messages.
    """

    def __init__(self, network: Network, example: Tensor, name: str = "network") -> None:
        self.network, self.example, self.name = network, example, name
        self.cache = CacheFolder(cache_folder() / "engines", "graph", _VERSION)
        height, width = example.shape[2:]
        self.key = f"{height}x{width}-" + value_hash(
            {
                "weights": state_hash(network.state_dict()),
                "model": [name, type(network).__module__, type(network).__qualname__],
                "size": list(example.shape),
                "written by": [__version__, torch.__version__],
            }
        )[:24]  # fmt: skip

    def file(self) -> Path:
        """The ONNX file; whoever asks for it first writes it, others wait."""

        def write(path: Path) -> None:
            try:
                write_network(self.network, self.example, path)
            except UserError:
                raise
            except Exception as error:  # the exporter's have no base in common
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
                raise UserError(
                    f"{self.name} cannot be written as a graph, so it runs with engine=torch only "
                    f"({reason})"
                ) from error

        return self.cache.get_file(self.key, ".onnx", write)

    def open(self, engine: str, precision: str = "fp32") -> EngineNetwork:
        """The network in an engine.

        Raises:
            UserError: It is not installed, does not have the precision here, cannot run the graph,
                or answers otherwise than PyTorch.
        """
        require(engine)
        require_precision(engine, precision)
        run = open_graph(self.file(), engine, precision)
        self._compare(run, engine, precision)
        return EngineNetwork(run, self.example.shape[1])

    def _compare(self, run: "Run", engine: str, precision: str) -> None:
        """Compare an engine with PyTorch, once; what is more than rounding is said each time."""
        key = f"{self.key}-{engine}-{versions()[engine]}-{precision}"
        found = Difference(**self.cache.get_json(key, lambda: self._difference(run)._asdict()))
        what = f"{self.name} in {engine}, {precision}: at most {found.max:.3g} of 255 gray levels"
        tolerance = TOLERANCES.get(precision)
        wrong = not np.isfinite(found.max) or (
            tolerance is not None
            and (found.p99 > tolerance.graph_p99 or found.mean > tolerance.graph_mean)
        )
        if wrong:
            raise UserError(
                f"{what} from PyTorch (p99 {found.p99:.3g}, mean {found.mean:.3g}), which is more "
                "than rounding; use engine=torch"
            )
        if found.max > _LEVEL:
            log.info("%s from PyTorch (p99 %.3g, mean %.3g)", what, found.p99, found.mean)

    @torch.inference_mode()
    def _difference(self, run: "Run") -> Difference:
        expected = self.network(self.example).masks[0].float().numpy()
        found = run(self.example.contiguous().numpy())
        return difference(gray_levels(found), gray_levels(expected))


def drawn_input(processor: Processor, channels: int) -> Tensor:
    """What a network sees of a drawing, `(1, C, h, w)`; of a prompt, a point in its middle."""
    resized = torch.tensor(processor.resize_image(drawing(480, 640, seed=0)))
    image = processor.normalize(resized.permute(2, 0, 1)[None])
    prompt = torch.zeros(1, channels - 3, *image.shape[2:])
    prompt[..., prompt.shape[2] // 2, prompt.shape[3] // 2] = 255
    return torch.cat([image, prompt], dim=1)


def write_network(network: nn.Module, example: Tensor, path: Path, **options: Any) -> None:
    """Write the file that `EngineNetwork` runs, whole or not at all; `options`: `write_onnx`."""
    from src.engines.formats import dynamic_shapes, write_onnx
    from src.engines.graph import BareNetwork

    bare = BareNetwork(network).eval().requires_grad_(False)
    shapes = dynamic_shapes(bare=True, dynamic=False)
    write_onnx(bare, example.contiguous(), path, {}, shapes, output="logits", **options)
