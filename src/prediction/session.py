"""A conversation about one picture: clicks in, masks out, nothing computed twice."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from src.datamodules.clicks import Click, PointsError, add_click, box_points
from src.datamodules.prompts import InsideOutsidePoints, Prompts
from src.datamodules.raster import within
from src.errors import UserError
from src.geometry import Geometry
from src.geometry.crop import Box, box_in_crop, crop, points_in_crop

from .clicks import (
    Corners,
    Correction,
    Labels,
    Points,
    Target,
    read_extremes,
    read_inside_outside,
)
from .pictures import Picture, as_seen


class ClickSession:
    """Answers clicks on one picture after another, with a network that is guided by clicks.

    Crop, prompt and the way back are those of evaluation: `geometry.crop`, `datamodules.prompts`,
    `Geometry.restore_crop`. The crop of an object is cut and resized once, and a network that can
    refine encodes it once, for as long as box and first clicks stay the same.

    Args:
        network: Maps `(1, 3 + K, h, w)` to an `Output`. One with `encode(image_and_prompt)` and
            `decode(features, prompt)` takes corrections.
        geometry: The model's.
        prompts: The model's.
        name: Of the model, for messages.
        device: Where the network is.
        autocast: Makes the context that the network runs in.
    """

    def __init__(
        self,
        network: nn.Module,
        geometry: Geometry,
        prompts: Prompts,
        name: str,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self.network: Any = network
        self.geometry, self.prompts, self.name = geometry, prompts, name
        self.device, self.autocast = device, autocast
        self.refines = hasattr(network, "encode") and hasattr(network, "decode")
        self._picture: np.ndarray | None = None
        self._opacity: np.ndarray | None = None
        self._target: Target | None = None  # what `_box` to `_features` were made for
        self._box = Box(0, 0, 0, 0)
        self._crop = torch.empty(0)
        self._prompt = np.empty(0)
        self._features: Any = None

    def set_image(self, picture: Picture) -> None:
        """Read the picture that clicks are about from now on."""
        self._picture, self._opacity = as_seen(picture)
        self._target = None

    @torch.inference_mode()
    def predict(
        self,
        points: Points | None = None,
        labels: Labels | None = None,
        box: Corners | None = None,
    ) -> np.ndarray:
        """The mask of what the clicks point at, uint8 `(H, W)` of the picture's own size."""
        if self._picture is None:
            raise UserError("there is no picture yet: call set_image(picture) before predict")
        size = (self._picture.shape[0], self._picture.shape[1])
        target, corrections = self._read(points, labels, box, size)
        if target != self._target:
            self._aim(self._picture, target)
        with self.autocast():
            logits = self._answer(corrections)
        mask = self.geometry.restore_crop(logits[0, 0], self._box, size).numpy()
        return within(mask, self._opacity)

    def _read(
        self,
        points: Points | None,
        labels: Labels | None,
        box: Corners | None,
        size: tuple[int, int],
    ) -> tuple[Target, Sequence[Correction]]:
        if not isinstance(self.prompts, InsideOutsidePoints):
            return read_extremes(() if points is None else points, labels, box, size), ()
        target, corrections = read_inside_outside(points, labels, box, size)
        if corrections and not self.refines:
            raise PointsError(
                f"{self.name} takes a box and one point inside, not {len(corrections)} points "
                "more; iog_refine takes corrections"
            )
        return target, corrections

    def _aim(self, picture: np.ndarray, target: Target) -> None:
        """Cut the object out, draw its prompt and forget what was known of the one before."""
        self._target, self._features = None, None
        self._box = target.box.grown(self.prompts.relax)
        resized = self.geometry.resize_image(crop(picture, self._box))
        self._crop = torch.tensor(resized, device=self.device).permute(2, 0, 1)[None]
        self._prompt = self.prompts.heat(self._prompt_points(target), self.geometry.size)
        self._target = target

    def _prompt_points(self, target: Target) -> np.ndarray:
        size = self.geometry.size
        points = points_in_crop(target.points, self._box, size)
        if not isinstance(self.prompts, InsideOutsidePoints):
            return points
        tight = box_in_crop(target.box, self._box, size)
        return box_points((int(points[0, 0]), int(points[0, 1])), tight, size, self.prompts.margin)

    def _answer(self, corrections: Sequence[Correction]) -> Tensor:
        """Logits `(1, 1, h, w)` of the crop."""
        corrected = self._corrected(corrections)
        if self.refines:
            if self._features is None:
                self._features = self.network.encode(self._input())
            return self.network.decode(self._features, self._tensor(corrected)).masks[0]
        return self.network(self._input()).masks[0]

    def _input(self) -> Tensor:
        image = self.geometry.normalise(self._crop)
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
            ((column, row),) = points_in_crop([(x, y)], self._box, self.geometry.size).tolist()
            prompt = add_click(prompt, Click(column, row, inside))
        return prompt

    def _tensor(self, prompt: np.ndarray) -> Tensor:
        return torch.from_numpy(prompt)[None].to(self.device)
