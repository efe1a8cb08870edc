"""One class that turns images into masks, with the pre- and post-processing of its model."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from typing_extensions import Self

from src.datamodules.clicks import Prompts
from src.datamodules.raster import within
from src.engines.runtimes import EngineName
from src.engines.selection import in_engine
from src.errors import UserError
from src.inference import model_spec
from src.inference.detail import blended_logits, tiled_logits
from src.inference.devices import autocast, choose_device
from src.inference.image_input import AnyImage, as_list, as_seen, read_any
from src.inference.interactive import Clicks, Corners, InteractiveSegmenter, Labels, Points
from src.inference.window import area_to_read, join_window
from src.models import guided_by_clicks
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network
from src.processing import Processor
from src.processing.crop import box_of_corners, crop
from src.processing.processor import Levels
from src.processing.steps import STRETCH

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Detail = Literal["whole", "blended", "tiles"]
DETAILS: tuple[Detail, ...] = ("whole", "blended", "tiles")


class Segmenter:
    """A network with its processor on a device, ready for images of any size.

    Args:
        network: Maps `(B, 3, h, w)` to an `Output`. Its norms are fused: it cannot be trained on.
        processor: The model's pre- and post-processing.
        name: Of the model, for messages and exports.
        inputs: What the network sees: `("image",)`, or with a `"prompt"` of clicks.
        prompts: How clicks become the prompt, for networks that see one.
        weights: The file that the weights came from.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, or `bf16` and `fp16` by autocast.
        batch_size: Images or tiles that the network sees at once.
    """

    def __init__(
        self,
        network: Network,
        processor: Processor,
        *,
        name: str = "network",
        inputs: Sequence[str] = ("image",),
        prompts: Prompts | None = None,
        weights: Path | None = None,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 4,
    ) -> None:
        if network.runs_file:
            device = _device_of_file(network, device, precision)
        self.device = choose_device(device)
        autocast(self.device, precision)  # an unknown precision is an error now, not later
        self.network = fuse_conv_bn(network.eval()).to(self.device)
        self.processor, self.name, self.inputs = processor, name, tuple(inputs)
        self.weights, self.precision, self.batch_size = weights, precision, batch_size
        self.engine: EngineName = "onnxruntime" if network.runs_file else "torch"
        self._interactive = (
            InteractiveSegmenter(
                self.network,
                processor,
                prompts,
                name=name,
                device=self.device,
                precision=precision,
            )
            if prompts is not None
            else None
        )

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        model: str | DictConfig | None = None,
        device: str = "auto",
        *,
        size: int | Sequence[int] | None = None,
        preprocess: Mapping[str, Any] | None = None,
        precision: str = "fp32",
        batch_size: int = 4,
        engine: str | None = None,
    ) -> Self:
        """Load a checkpoint of ours, a released file, a name of the registry, or an ONNX file.

        Args:
            path: The file or the name.
            model: The model of conf/model; only for a file that neither says it itself nor has
                the name under which it was released.
            device: As for the class.
            size: Another input size than the model's.
            preprocess: How an ONNX file of others wants its image, where finecut does not know it
                and no `model` is like it: `{"size": 320, "mean": […], "std": […]}` and further keys
                of `src.settings.preprocess`.
            engine: What runs the network, see `use_engine`; None for PyTorch.

        Raises:
            UserError: No such file or device, or weights that do not fit the model.
        """
        network, spec, file = model_spec.load(path, model, size, preprocess)
        segmenter = cls(
            network,
            spec.processor,
            name=spec.name,
            inputs=spec.inputs,
            prompts=spec.prompts,
            weights=file,
            device=device,
            precision=precision,
            batch_size=batch_size,
        )
        if engine is not None:
            segmenter.use_engine(engine)
        return segmenter

    def use_engine(self, engine: str, *, detail: Detail = "whole") -> None:
        """Run the network in another engine from now on: on a CPU often sooner.

        `onnxruntime` and `openvino` run a graph, which is written once for these weights and this
        size (a minute) and compared with PyTorch. `auto` takes the fastest of those that are
        installed, as measured here once (seconds); where none but PyTorch can be used, that one.

        Args:
            engine: `torch`, `onnxruntime`, `openvino` or `auto`.
            detail: How masks will be asked for: `blended` needs PyTorch.

        Raises:
            UserError: Not installed, not on a CPU, a precision that the engine does not have here,
                or a network that it cannot run.
        """
        if engine == self.engine:
            return
        if self.engine != "torch" and not self.network.runs_file:
            raise UserError(f"{self} cannot go on with engine={engine}: load the model again")
        self.engine, self.network = in_engine(
            self.network,
            self.processor,
            engine,
            name=self.name,
            device=self.device,
            precision=self.precision,
            obstacle="detail=blended runs at the image's own size" * (detail == "blended") or None,
        )
        if self._interactive is not None:
            self._interactive.network = self.network

    def __str__(self) -> str:
        height, width = self.processor.size
        engine = "" if self.engine == "torch" else f" in {self.engine}"
        return f"{self.name} on {self.device}{engine}, {self.precision}, {height}×{width}"

    def mask(
        self,
        image: AnyImage,
        *,
        detail: Detail = "whole",
        flip: bool = False,
        overlap: float = 0.25,
    ) -> np.ndarray:
        """The mask of one image, uint8 `(H, W)` of its own size, 255 = foreground.

        Where a file or a Pillow image is transparent, so is the mask.

        Args:
            image: A path, the bytes of an image file, a binary file object, a Pillow image, a uint8
                array `(H, W, 3)` in RGB, or a uint8 tensor `(3, H, W)`.
            detail: `whole` shrinks the image to the model's size, as in the papers. `blended`
                (InSPyReNet) adds details seen at high resolution. `tiles` reads overlapping parts
                at full resolution, without a view of the whole.
            flip: Average with the prediction for the mirrored image; twice the time.
            overlap: Share of a tile that it has in common with its neighbor.
        """
        return self.masks([image], detail=detail, flip=flip, overlap=overlap)[0]

    def masks(
        self,
        images: Iterable[AnyImage],
        *,
        detail: Detail = "whole",
        flip: bool = False,
        overlap: float = 0.25,
    ) -> list[np.ndarray]:
        """As `mask`, for several images, `batch_size` at a time; nothing for an empty list."""
        self._check(detail, overlap)
        opened = [read_any(image, as_seen) for image in as_list(images)]
        pixels = [image.pixels for image in opened]

        def read(some: list[np.ndarray]) -> list[Tensor]:
            return self._read(some, detail, overlap)

        logits = _with_mirrored(read, pixels) if flip else read(pixels)
        return [
            within(self.processor.postprocess(one, image.shape[:2]).cpu().numpy(), opacity)
            for one, (image, opacity) in zip(logits, opened, strict=True)
        ]

    def sharpen(
        self,
        image: AnyImage,
        mask: np.ndarray,
        window: Corners,
        *,
        overrule: bool = False,
        feather: int | None = None,
        levels: Levels | None = None,
    ) -> np.ndarray:
        """A mask whose window is read again, from near; outside the window nothing changes.

        The network sees the window at the image's own resolution where it is no larger than the
        network's input, with what surrounds it, and else at as many of its pixels as fit. What it
        says is joined to the mask as `window.join_window` says: details are taken, contradictions
        are not. A new array is returned.

        Args:
            image: As `mask` takes it.
            mask: uint8 `(H, W)` of the image's size, from `mask` or from this.
            window: x0, y0, x1, y1 in pixels of the image, the last ones included; what lies outside
                the image is cut off.
            overrule: Take the second reading even where it contradicts the mask.
            feather: Width in pixels in which it fades in; None for an eighth of the shorter side.
            levels: What `levels` says of the image, where that is known already.

        Raises:
            UserError: A window without area or outside the image, a mask of another size, or a
                model that works by clicks.
        """
        self.refuse_clicks()
        pixels, opacity = read_any(image, as_seen)
        size = (pixels.shape[0], pixels.shape[1])
        if mask.dtype != np.uint8 or mask.shape != size:
            raise UserError(
                f"a mask of this image is a uint8 array {size}, not {mask.dtype} {mask.shape}"
            )
        box = box_of_corners(window, size, "window")
        if feather is not None and feather < 0:
            raise UserError(f"feather is {feather}; it is a count of pixels, from 0")
        if levels is None:
            levels = self._levels(pixels)
        area = area_to_read(box, size, self.processor.size)
        (logits,) = self.logits([crop(pixels, area)], self._maximum(pixels))
        seen = self.processor.postprocess(logits, area.size, levels).cpu().numpy()
        step = (size[0] / self.processor.size[0], size[1] / self.processor.size[1])
        reading = crop(seen, box.relative_to(area))
        joined = join_window(mask, reading, box, step=step, feather=feather, overrule=overrule)
        return within(joined, opacity)

    def levels(self, image: AnyImage) -> Levels | None:
        """Between which values this model stretches the mask of an image; None where it does not.

        `sharpen` needs it and finds it out itself, by reading the whole image once more; who calls
        that repeatedly for one image asks once.
        """
        self.refuse_clicks()
        return self._levels(read_any(image, as_seen).pixels)

    @property
    def clicks(self) -> Clicks | None:
        """What `predict` needs, see `InteractiveSegmenter.clicks`; None where the model works
        without clicks, through `mask`.
        """
        return None if self._interactive is None else self._interactive.clicks

    @property
    def prompts(self) -> Prompts | None:
        """How clicks become what the network sees; None where it works without."""
        return None if self._interactive is None else self._interactive.prompts

    def set_image(self, image: AnyImage) -> None:
        """Read the image, as `mask` takes it, whose objects are pointed at from now on."""
        self._guided().set_image(image)

    def predict(
        self,
        points: Points | None = None,
        labels: Labels | None = None,
        box: Corners | None = None,
    ) -> np.ndarray:
        """The mask of the object pointed at, see `InteractiveSegmenter.predict`.

        Raises:
            UserError: No image yet, a model without clicks, or clicks that cannot be meant.
        """
        guided = self._guided()
        return self._or_advice(lambda: guided.predict(points, labels, box))

    def logits(self, images: Sequence[np.ndarray], maximum: float | None = None) -> list[Tensor]:
        """The network's logits `(h, w)` at its own size, of uint8 images `(H, W, 3)`.

        Args:
            images: Of any sizes.
            maximum: Of the image that all of them are parts of, see `Processor.normalize`.
        """
        found: list[Tensor] = []
        at_once = 1 if self.processor.image_kernel == "whole" else self.batch_size
        for first in range(0, len(images), at_once):
            some = images[first : first + at_once]
            resized = np.stack([self.processor.resize_image(image) for image in some])
            found += self._forward(self._tensor(resized), maximum)[:, 0].unbind()
        return found

    def refuse_clicks(self) -> None:
        """Raise UserError where the model needs clicks, so that an image alone says nothing."""
        if self.inputs != ("image",):
            raise UserError(
                f"{self.name} needs {' and '.join(self.inputs)}, not an image alone: it is guided "
                "by clicks. Point at objects with Segmenter.set_image and predict "
                "(docs/interactive.md), or choose a model that works without"
            )

    def _guided(self) -> InteractiveSegmenter:
        if self._interactive is None:
            raise UserError(
                f"{self.name} works without clicks: call mask(image); set_image and predict are "
                f"for {guided_by_clicks()}"
            )
        return self._interactive

    def _check(self, detail: str, overlap: float) -> None:
        self.refuse_clicks()
        if detail not in DETAILS:
            raise UserError(f"detail {detail!r} is unknown; choose one of {', '.join(DETAILS)}")
        if detail == "blended" and self.engine != "torch":
            raise UserError("detail=blended runs at the image's own size: it needs engine=torch")
        if detail == "blended" and not self.network.blends:
            raise UserError(f"detail=blended is InSPyReNet's; {self.name} has whole and tiles")
        if detail == "tiles" and self.processor.image_kernel == "whole":
            raise UserError(
                f"{self.weights} makes whole masks; for detail=tiles export it with bare=true"
            )
        if not 0 <= overlap < 1:
            raise UserError(f"overlap is {overlap}; it is the share of a tile, from 0 to below 1")

    def _read(self, images: list[np.ndarray], detail: Detail, overlap: float) -> list[Tensor]:
        if detail == "blended":
            return [self._blended(image) for image in images]
        if detail == "tiles":
            return [self._tiled(image, overlap) for image in images]
        return self.logits(images)

    def _tiled(self, image: np.ndarray, overlap: float) -> Tensor:
        read = partial(self.logits, maximum=self._maximum(image))
        return tiled_logits(image, self.processor.size, overlap, self.batch_size, read)

    def _levels(self, image: np.ndarray) -> Levels | None:
        if STRETCH not in self.processor.restore_steps:
            return None
        return self.processor.levels(self.logits([image])[0], image.shape[:2])

    def _maximum(self, image: np.ndarray) -> float | None:
        """The image's, for its parts: a dark part must not become a bright one."""
        return float(image.max()) if self.processor.scale == "per_image_max" else None

    @torch.inference_mode()
    def _blended(self, image: np.ndarray) -> Tensor:
        return self._or_advice(
            lambda: blended_logits(
                self.network, self.processor, image, self._tensor, self._autocast, self.logits
            )
        )

    @torch.inference_mode()
    def _forward(self, batch: Tensor, maximum: float | None) -> Tensor:
        """Logits `(B, 1, h, w)` of a uint8 batch; one that does not fit is halved, and said so."""
        try:
            with self._autocast():
                return self.network(self.processor.normalize(batch, maximum)).masks[0].float()
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                raise UserError(self._advice()) from error
        torch.cuda.empty_cache()
        self.batch_size = -(-len(batch) // 2)
        log.warning("out of memory with %d at once; going on with %d", len(batch), self.batch_size)
        return torch.cat([self._forward(half, maximum) for half in batch.split(self.batch_size)])

    def _or_advice(self, run: Callable[[], Answer]) -> Answer:
        try:
            return run()
        except torch.OutOfMemoryError as error:
            raise UserError(self._advice()) from error

    def _advice(self) -> str:
        return (
            f"{self}: a single image does not fit into the memory of {self.device}; "
            "try precision=bf16, detail=whole, a smaller size=, or device=cpu"
        )

    def _tensor(self, images: np.ndarray) -> Tensor:
        """`(B, h, w, 3)` on the host to `(B, 3, h, w)` on the device, 8 bit."""
        return torch.tensor(images, device=self.device).permute(0, 3, 1, 2)

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision)


def load(
    weights: str | Path,
    device: str = "auto",
    *,
    model: str | DictConfig | None = None,
    size: int | Sequence[int] | None = None,
    preprocess: Mapping[str, Any] | None = None,
    precision: str = "fp32",
    batch_size: int = 4,
    engine: str | None = None,
) -> Segmenter:
    """A model that makes masks, from a checkpoint of ours, a released file, a registry's name, or
    an ONNX file.

    Args:
        weights: The file or the name.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        model: The model of conf/model; only for a file that neither says it itself nor has the
            name under which it was released.
        size: Another input size than the model's: one side, or (height, width).
        preprocess: How an ONNX file of others wants its image, see `Segmenter.from_checkpoint`.
        precision: `fp32`, or `bf16` and `fp16` by autocast.
        batch_size: Images or tiles that the network sees at once.
        engine: `torch`, `onnxruntime`, `openvino` or `auto`, see `Segmenter.use_engine`.

    Raises:
        UserError: No such file or device, or weights that do not fit the model.
    """
    return Segmenter.from_checkpoint(
        weights,
        model,
        device,
        size=size,
        preprocess=preprocess,
        precision=precision,
        batch_size=batch_size,
        engine=engine,
    )


def _device_of_file(network: Network, device: str, precision: str) -> str:
    """Where a network runs that is a file: nothing is computed elsewhere than was asked for."""
    asked = [f"device={device}"] * (device not in ("auto", "cpu"))
    asked += [f"precision={precision}"] * (precision != "fp32")
    if asked:
        raise UserError(
            f"{network.path}: an ONNX file runs on the CPU in the numbers that it holds; leave "
            f"{' and '.join(asked)} out, or give the checkpoint that it was exported from"
        )
    return "cpu"


def _with_mirrored(
    read: Callable[[list[np.ndarray]], list[Tensor]], images: list[np.ndarray]
) -> list[Tensor]:
    """Mean of the logits of images and of their mirror images, before any step of restoring."""
    mirrored = read([np.ascontiguousarray(image[:, ::-1]) for image in images])
    return [(a + b.flip(-1)) / 2 for a, b in zip(read(images), mirrored, strict=True)]
