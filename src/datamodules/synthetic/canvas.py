"""Draws anti-aliased strokes and areas given in an object's own coordinates."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

# OpenCV takes fixed-point coordinates with this many fractional bits.
_SHIFT = 4
# Thinner strokes would break up into dots once a mask is thresholded.
_THINNEST = 1.25


@dataclass(frozen=True)
class Placement:
    """Where an object lies in an image, whatever the image's size.

    Args:
        x: Center, as a fraction of the image's width.
        y: Center, as a fraction of the image's height.
        reach: Half the object's extent, as a fraction of the image's shorter side.
        turn: Rotation in radians.
        squeeze: Width by height; the object seen from aside.
        shear: Slant.
    """

    x: float = 0.5
    y: float = 0.5
    reach: float = 0.4
    turn: float = 0.0
    squeeze: float = 1.0
    shear: float = 0.0


class Canvas:
    """Draws one object on a map of its own.

    Points are float arrays `(n, 2)` of x and y, in an object that spans [-1, 1] both ways, y
    downwards. Widths are in the same unit. At small sizes strokes stop shrinking at 1.25 pixels.

    Args:
        shape: Height and width of the map, in pixels.
        placement: Where [-1, 1] x [-1, 1] lies in it.
    """

    def __init__(self, shape: tuple[int, int], placement: Placement) -> None:
        height, width = shape
        self.shape = shape
        # Averaging 16 or 4 samples a pixel: an edge must be smooth at a small size and cheap at
        # a large one.
        self.samples = 4 if max(shape) <= 640 else 2
        self.canvas = np.zeros((height * self.samples, width * self.samples), np.uint8)
        cos, sin = np.cos(placement.turn), np.sin(placement.turn)
        lean = np.array([[placement.squeeze, placement.shear], [0.0, 1.0]])
        self.scale = placement.reach * min(shape) * self.samples
        self.matrix = self.scale * np.array([[cos, -sin], [sin, cos]]) @ lean
        self.center = self.samples * np.array([placement.x * width, placement.y * height])

    def stroke(
        self, lines: Iterable[np.ndarray], width: float, *, closed: bool = False, ink: bool = True
    ) -> None:
        """Draw polylines with round ends; without `ink`, cut them out of what is there."""
        samples = max(width * self.scale, _THINNEST * self.samples)
        # OpenCV covers thickness + 1 samples across where thickness is even, + 2 where it is odd.
        thickness = max(2 * round((samples - 1) / 2), 1)
        points = [self._place(line) for line in lines]
        value = 255 if ink else 0
        cv2.polylines(self.canvas, points, closed, value, thickness, cv2.LINE_8, shift=_SHIFT)

    def fill(self, areas: Iterable[np.ndarray], *, ink: bool = True) -> None:
        """Fill polygons, each on its own; without `ink`, cut them out of what is there."""
        for area in areas:
            points = [self._place(area)]
            cv2.fillPoly(self.canvas, points, 255 if ink else 0, cv2.LINE_8, shift=_SHIFT)

    def stamp(self, image: np.ndarray) -> None:
        """Add a uint8 map `(h, w)`, stretched over [-1, 1] across and centered."""
        height, width = image.shape
        corners = np.array([[0, 0], [width, 0], [0, height]], np.float32)
        local = (corners - np.array([width, height]) / 2) / (width / 2)
        target = (local @ self.matrix.T + self.center).astype(np.float32)
        warp = cv2.getAffineTransform(corners, target)
        size = self.canvas.shape[1], self.canvas.shape[0]
        stamped = cv2.warpAffine(image, warp, size, flags=cv2.INTER_LINEAR)
        cv2.max(self.canvas, stamped, dst=self.canvas)

    def coverage(self) -> np.ndarray:
        """How much of each pixel is covered: uint8 `(H, W)`, 255 = all of it."""
        covered: np.ndarray = self.canvas
        # Halving twice is nine times as fast in OpenCV as dividing by four.
        while covered.shape != self.shape:
            half = covered.shape[1] // 2, covered.shape[0] // 2
            covered = cv2.resize(covered, half, interpolation=cv2.INTER_AREA)
        return covered

    def _place(self, points: np.ndarray) -> np.ndarray:
        # Half a sample back: OpenCV's integer coordinates are centers of samples.
        placed = points @ self.matrix.T + self.center - 0.5
        return np.rint(placed * (1 << _SHIFT)).astype(np.int32)


def circle(x: float, y: float, radius: float, corners: int = 48) -> np.ndarray:
    """Points of a circle, `(corners, 2)`."""
    return ellipse(x, y, radius, radius, corners)


def ellipse(x: float, y: float, width: float, height: float, corners: int = 48) -> np.ndarray:
    """Points of an upright ellipse of the half axes `width` and `height`, `(corners, 2)`."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack([x + width * np.cos(angle), y + height * np.sin(angle)], axis=1)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The four corners of a rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def spokes(x: float, y: float, inner: float, outer: float, angles: np.ndarray) -> np.ndarray:
    """Straight lines from one circle to another around it, `(n, 2, 2)`."""
    direction = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    center = np.array([x, y])
    return np.stack([center + inner * direction, center + outer * direction], axis=1)


def path(*points: ArrayLike) -> np.ndarray:
    """A polyline through the given points."""
    return np.array(points, dtype=np.float64)
