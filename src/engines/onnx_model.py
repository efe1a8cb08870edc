"""An ONNX file run in place of a network of ours, whatever it calls its input and output."""

import logging
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from src.engines.runtimes import open_graph
from src.errors import UserError
from src.networks.network import Network, Output
from src.plain_data import first_line

log = logging.getLogger(__name__)

Layout = Literal["nchw", "nhwc", "image"]
Values = Literal["logits", "probabilities", "mask"]
_OUTSIDE = 0.01  # how far probabilities may lie outside of 0 to 1: a file in half precision rounds


class OnnxModel(Network):
    """Maps `(B, 3, h, w)` to the map of a file; nothing in it can be trained.

    What the map holds is `values`: logits, or, other than in networks of ours, probabilities; the
    steps of its `Processor` go on from there.

    Args:
        path: The file.
        layout: Of its input: `nchw`, `nhwc`, or `image` for a uint8 image `(H, W, 3)` of any size.
        dtype: Of its input, as ONNX calls it.
        values: What its output holds; `mask` is a uint8 mask `(H, W)`, given on as k/255.
        output: Name of the output; None for the first.
        channels: Order of the colors that it wants.
        batched: Whether it takes several images at once.

    Raises:
        UserError: ONNX Runtime is not installed, or cannot run the file.
    """

    runs_file = True

    def __init__(
        self,
        path: str,
        layout: Layout = "nchw",
        dtype: Literal["float", "float16", "uint8"] = "float",
        values: Values = "logits",
        output: str | None = None,
        channels: Literal["rgb", "bgr"] = "rgb",
        batched: bool = False,
    ) -> None:
        super().__init__()
        from src.engines.formats import open_onnx

        self.path, self.layout, self.values, self.channels = Path(path), layout, values, channels
        self.output, self.batched = output, batched
        self.dtype = {"float": np.float32, "float16": np.float16}.get(dtype)
        try:
            self._run = open_onnx(self.path, output)
        except Exception as error:  # ONNX Runtime's have no base of their own
            raise UserError(f"{path}: ONNX Runtime cannot open it ({first_line(error)})") from error
        self._doubted = False

    def run_in(self, engine: str) -> None:
        """Run the file in `onnxruntime` or `openvino` from now on.

        Raises:
            UserError: Not installed, or it cannot run the file.
        """
        self._run = open_graph(self.path, engine, output=self.output)

    def forward(self, x: Tensor) -> Output:
        """One map `(B, 1, h, w)`.

        Raises:
            UserError: The file fails, or its map is none: of several channels, or of values that
                are no probabilities.
        """
        parts = [x] if self.batched else x.split(1)
        try:
            maps = [self._map(self._run(self._array(part)), len(part)) for part in parts]
        except UserError:
            raise
        except Exception as error:  # ONNX Runtime's have no base of their own
            raise UserError(f"{self.path}: ONNX Runtime failed ({first_line(error)})") from error
        return Output([torch.cat(maps).to(x.device)], {})

    def _array(self, batch: Tensor) -> np.ndarray:
        if self.channels == "bgr":
            batch = batch.flip(1)
        if self.layout == "image":
            return batch[0].permute(1, 2, 0).to(torch.uint8).contiguous().cpu().numpy()
        batch = batch.permute(0, 2, 3, 1) if self.layout == "nhwc" else batch
        return batch.contiguous().cpu().numpy().astype(self.dtype)

    def _map(self, found: np.ndarray, count: int) -> Tensor:
        if self.values == "mask":
            return torch.from_numpy(found)[None, None].float() / 255
        shape = found.shape
        if found.ndim == 4 and 1 in (shape[1], shape[3]):
            found = found[:, 0] if shape[1] == 1 else found[..., 0]
        elif found.ndim == 2:
            found = found[None]
        if found.ndim != 3 or len(found) != count:
            raise UserError(
                f"{self.path} gives {'×'.join(map(str, shape))} values for {count} images, which "
                "is no map of each"
            )
        self._check_range(found)
        return torch.from_numpy(found.astype(np.float32))[:, None]

    def _check_range(self, found: np.ndarray) -> None:
        low, high = float(found.min()), float(found.max())
        if self.values == "probabilities" and (low < -_OUTSIDE or high > 1 + _OUTSIDE):
            raise UserError(
                f"{self.path} gives values from {low:.3g} to {high:.3g}, which are no "
                "probabilities; preprocess.values=logits takes their sigmoid"
            )
        if self.values == "logits" and low >= 0 and high <= 1 and not self._doubted:
            self._doubted = True
            log.warning(
                "%s gives values from %.3g to %.3g, taken for logits; are they probabilities? "
                "preprocess.values=probabilities leaves the sigmoid out",
                *(self.path, low, high),
            )
