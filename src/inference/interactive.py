"""Click-guided segmentation of one image: clicks in, masks out, nothing computed twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor
from typing_extensions import Self

from src.datamodules.clicks import (
    Click,
    InsideOutsidePoints,
    Kind,
    PointsError,
    Prompts,
    add_click,
    box_points,
    check_points,
)
from src.datamodules.raster import within
from src.errors import UserError
from src.inference import model_spec
from src.inference.devices import autocast, choose_device
from src.inference.image_input import AnyImage, as_seen, read_any
from src.models import guided_by_clicks
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network
from src.processing import Processor
from src.processing.crop import (
    Box,
    BoxError,
    box_in_crop,
    box_of_corners,
    box_of_points,
    crop,
    points_in_crop,
    with_area,
)

Points = Sequence[Sequence[float]] | np.ndarray
Labels = Sequence[int] | np.ndarray
Corners = Sequence[float] | np.ndarray  # x0, y0, x1, y1
Size = tuple[int, int]
Clicks = Kind | Literal["refine"]

EXTREMES = 4


class Correction(NamedTuple):
    """A further click, and whether it lies on the object."""

    x: float
    y: float
    inside: bool


class ClickedObject(NamedTuple):
    """The object that the first clicks point at.

    box: Tight around it.
    points: The extreme points, or the one inside it.
    """

    box: Box
    points: tuple[tuple[float, float], ...]


def read_extremes(
    points: Points, labels: Labels | None, box: Corners | None, size: Size
) -> ClickedObject:
    """DEXTR's clicks: four extreme points or more, whose box is the object's.

    Raises:
        PointsError: Too few, outside the image of `size` (height, width), or labelled 0.
        BoxError: All in one row or column, or a box was given.
    """
    if box is not None:
        raise BoxError(
            "this model takes no box; click the leftmost, rightmost, top and bottom point"
        )
    places = check_points(_array(points), size, needed=EXTREMES)
    if not _sides(labels, len(places)).all():
        raise PointsError("extreme points lie on the object: label all of them 1, or none")
    tight = box_of_points(np.rint(places)).clipped(size)
    return ClickedObject(with_area(tight), tuple((float(x), float(y)) for x, y in places))


def read_inside_outside(
    points: Points | None, labels: Labels | None, box: Corners | None, size: Size
) -> tuple[ClickedObject, list[Correction]]:
    """IOG's clicks: a box, or two opposite corners of it labelled 0, and a point inside.

    Without a point labelled 1 the center of the box counts as one. Everything behind the box and
    the first point labelled 1 is a correction.

    Raises:
        PointsError: Outside the image of `size` (height, width) or of the box, labelled anything
            but 0 and 1, or too few to make a box.
        BoxError: Without area, or outside the image.
    """
    places = check_points(_array(points), size, needed=0)
    sides = _sides(labels, len(places))
    order = list(range(len(places)))
    if box is not None:
        tight = box_of_corners(box, size)
    else:
        corners = [i for i in order if not sides[i]][:2]
        if len(corners) < 2:
            raise PointsError(
                "where is the object? Give box=(x0, y0, x1, y1) around it, or click two opposite "
                "corners of that box, labelled 0"
            )
        order = [i for i in order if i not in corners]
        tight = with_area(box_of_points(np.rint(places[corners])).clipped(size))
    inside = next((i for i in order if sides[i]), None)
    first = _center(tight) if inside is None else _within(places[inside], tight)
    further = [
        Correction(float(places[i, 0]), float(places[i, 1]), bool(sides[i]))
        for i in order
        if i != inside
    ]
    return ClickedObject(tight, (first,)), further


def _array(points: Points | None) -> np.ndarray:
    given = () if points is None else points
    if not len(given):
        return np.empty((0, 2))
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise PointsError(f"points are (x, y) each, not {given!r}") from None


def _sides(labels: Labels | None, count: int) -> np.ndarray:
    """Whether each point lies on the object: all of them where nothing is said."""
    if labels is None:
        return np.ones(count, bool)
    given = list(labels)
    if len(given) != count:
        raise PointsError(f"{count} points but {len(given)} labels; give one for each")
    if wrong := [label for label in given if label not in (0, 1)]:
        raise PointsError(f"labels are 1 on the object and 0 outside of it, not {wrong}")
    return np.array(given, dtype=bool)


def _center(box: Box) -> tuple[float, float]:
    return (box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2


def _within(point: np.ndarray, box: Box) -> tuple[float, float]:
    x, y = point.tolist()
    grown = box.grown(1)  # a click at the edge may round to either side
    if not (grown.x_min <= x <= grown.x_max and grown.y_min <= y <= grown.y_max):
        raise PointsError(f"the inside point ({x:g}, {y:g}) lies outside of the box {tuple(box)}")
    return x, y


class InteractiveSegmenter:
    """Answers clicks on one image after another, with a network that is guided by clicks.

    Crop, prompt and the way back are those of evaluation: `processor.crop`, `datamodules.prompts`,
    `Processor.postprocess_crop`. The crop of an object is cut and resized once, and a network that
    can refine encodes it once, for as long as box and first clicks stay the same.

    `load` makes one of a file of weights::

        segmenter = InteractiveSegmenter.load("iog-refine.pth")
        segmenter.set_image("photo.jpg")
        mask = segmenter.predict(points=[(320, 200)], box=(250, 120, 400, 310))

    Args:
        network: Maps `(1, 3 + K, h, w)` to an `Output`; one that `refines` takes corrections. Its
            norms are fused, so it cannot be trained on.
        processor: The model's pre- and post-processing.
        prompts: How clicks become the K maps of the prompt.
        name: Model name, for messages.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `fp32`, or `bf16` and `fp16` by autocast.

    Raises:
        UserError: No such device or precision.
    """

    def __init__(
        self,
        network: Network,
        processor: Processor,
        prompts: Prompts,
        *,
        name: str = "network",
        device: str | torch.device = "auto",
        precision: str = "fp32",
    ) -> None:
        self.device, self.precision = choose_device(device), precision
        autocast(self.device, precision)  # an unknown precision is an error now, not later
        self.network = fuse_conv_bn(network.eval()).to(self.device)
        self.processor, self.prompts, self.name = processor, prompts, name
        self._image: np.ndarray | None = None
        self._opacity: np.ndarray | None = None
        self._target: ClickedObject | None = None  # what `_box` to `_features` were made for
        self._box = Box(0, 0, 0, 0)
        self._crop = torch.empty(0)
        self._prompt = np.empty(0)
        self._features: Any = None

    @classmethod
    def load(
        cls,
        weights: str | Path,
        device: str = "auto",
        *,
        model: str | DictConfig | None = None,
        size: int | Sequence[int] | None = None,
        precision: str = "fp32",
    ) -> Self:
        """Load a checkpoint of ours, a released file, or a name of the registry.

        Args:
            weights: The file or the name.
            device: As for the class.
            model: The model of conf/model; only for a file that neither says it itself nor has
                the name under which it was released.
            size: Another input size than the model's.

        Raises:
            UserError: No such file or device, weights that do not fit the model, or a model that
                works without clicks.
        """
        network, spec, _ = model_spec.load(weights, model, size)
        if spec.prompts is None:
            raise UserError(
                f"{spec.name} works without clicks: use src.load(weights).mask(image); "
                f"InteractiveSegmenter is for {guided_by_clicks()}"
            )
        return cls(
            network,
            spec.processor,
            spec.prompts,
            name=spec.name,
            device=device,
            precision=precision,
        )

    @property
    def clicks(self) -> Clicks:
        """What `predict` needs: four `extreme_points` (DEXTR), a box and a point inside it
        (`inside_outside`, IOG), or the same and then any corrections (`refine`).
        """
        return "refine" if self.network.refines else self.prompts.kind

    def set_image(self, image: AnyImage) -> None:
        """Read the image that clicks are about from now on."""
        self._image, self._opacity = read_any(image, as_seen)
        self._target = None

    @torch.inference_mode()
    def predict(
        self,
        points: Points | None = None,
        labels: Labels | None = None,
        box: Corners | None = None,
    ) -> np.ndarray:
        """The mask of the object pointed at, uint8 `(H, W)` of the image's size, 255 = object.

        Any number of objects of one image, one call for each. Coordinates are pixels of the image,
        x to the right, y down, (0, 0) the center of the first pixel. docs/interactive.md shows
        what each model needs.

        Args:
            points: (x, y) each. DEXTR: four extreme points or more. IOG: one on the object, else
                the center of the box is taken. IOG-refine: that one and then any corrections.
            labels: 1 on the object, 0 outside of it; None for all on it. The first two points
                labelled 0 are opposite corners of the box where `box` is None.
            box: x0, y0, x1, y1 of a tight box around the object (IOG).

        Raises:
            UserError: No image yet, or clicks that cannot be meant.
        """
        if self._image is None:
            raise UserError("there is no image yet: call set_image(image) before predict")
        size = (self._image.shape[0], self._image.shape[1])
        target, corrections = self._read(points, labels, box, size)
        if target != self._target:
            self._aim(self._image, target)
        with autocast(self.device, self.precision):
            logits = self._answer(corrections)
        mask = self.processor.postprocess_crop(logits[0, 0], self._box, size).numpy()
        return within(mask, self._opacity)

    def _read(
        self,
        points: Points | None,
        labels: Labels | None,
        box: Corners | None,
        size: tuple[int, int],
    ) -> tuple[ClickedObject, Sequence[Correction]]:
        if not isinstance(self.prompts, InsideOutsidePoints):
            return read_extremes(() if points is None else points, labels, box, size), ()
        target, corrections = read_inside_outside(points, labels, box, size)
        if corrections and not self.network.refines:
            raise PointsError(
                f"{self.name} takes a box and one point inside, not {len(corrections)} points "
                "more; iog_refine takes corrections"
            )
        return target, corrections

    def _aim(self, image: np.ndarray, target: ClickedObject) -> None:
        """Cut the object out, draw its prompt and forget what was known of the one before."""
        self._target, self._features = None, None
        self._box = target.box.grown(self.prompts.relax)
        resized = self.processor.resize_image(crop(image, self._box))
        self._crop = torch.tensor(resized, device=self.device).permute(2, 0, 1)[None]
        self._prompt = self.prompts.heat(self._prompt_points(target), self.processor.size)
        self._target = target

    def _prompt_points(self, target: ClickedObject) -> np.ndarray:
        size = self.processor.size
        points = points_in_crop(target.points, self._box, size)
        if not isinstance(self.prompts, InsideOutsidePoints):
            return points
        tight = box_in_crop(target.box, self._box, size)
        return box_points((int(points[0, 0]), int(points[0, 1])), tight, size, self.prompts.margin)

    def _answer(self, corrections: Sequence[Correction]) -> Tensor:
        """Logits `(1, 1, h, w)` of the crop."""
        corrected = self._corrected(corrections)
        if self.network.refines:
            if self._features is None:
                self._features = self.network.encode(self._input())
            return self.network.decode(self._features, self._tensor(corrected)).masks[0]
        return self.network(self._input()).masks[0]

    def _input(self) -> Tensor:
        image = self.processor.normalize(self._crop)
        return torch.cat([image, self._tensor(self._prompt)], dim=1)

    def _corrected(self, corrections: Sequence[Correction]) -> np.ndarray:
        """The prompt with the further clicks in it."""
        prompt = self._prompt
        for x, y, inside in corrections:
            if not (
                self._box.x_min <= x <= self._box.x_max and self._box.y_min <= y <= self._box.y_max
            ):
                raise PointsError(
                    f"the click ({x:g}, {y:g}) lies outside of {tuple(self._box)}, the part of the "
                    "picture that is looked at; give a larger box"
                )
            ((column, row),) = points_in_crop([(x, y)], self._box, self.processor.size).tolist()
            prompt = add_click(prompt, Click(column, row, inside))
        return prompt

    def _tensor(self, prompt: np.ndarray) -> Tensor:
        return torch.from_numpy(prompt)[None].to(self.device)
