"""What objects stand before: clouds, gradients, stripes, tiles and heaps of overlapping shapes."""

from collections.abc import Callable

import cv2
import numpy as np

from src.datamodules.synthetic.canvas import circle, rectangle

Shape = tuple[int, int]
Backdrop = Callable[[np.random.Generator, Shape, np.ndarray], np.ndarray]


def background(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    """A textured background, uint8 RGB `(h, w, 3)`.

    Args:
        rng: Its stream.
        shape: Height and width; the content depends on it only by scale.
        colors: At least three, `(n, 3)` in 0..255; they fill it.
    """
    kind = BACKDROPS[int(rng.integers(len(BACKDROPS)))]
    image = kind(rng, shape, colors)
    grain = noise(rng, shape, first=8, octaves=4, fall=rng.uniform(0.4, 0.9))
    return brighten(image, rng.uniform(5, 40) * grain)


def palette(rng: np.random.Generator, count: int, *, vivid: bool = False) -> np.ndarray:
    """Colors `(count, 3)` of neighboring hues and unlike brightness, as natural scenes have."""
    hue = (rng.uniform(0, 180) + rng.normal(0, 20, count)) % 180
    middle = rng.uniform(130, 220) if vivid else rng.uniform(5, 100)
    saturation = np.clip(middle + rng.normal(0, 20, count), 0, 255)
    value = rng.uniform(30, 235, count)
    hsv = np.stack([hue, saturation, value], axis=1)[None].astype(np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(np.float32)


def noise(
    rng: np.random.Generator, shape: Shape, first: int = 3, octaves: int = 5, fall: float = 0.6
) -> np.ndarray:
    """Smooth noise of several grain sizes: float32 `(h, w)`, mean about 0, deviation about 1/2.

    Args:
        rng: Its stream.
        shape: Height and width.
        first: Grid cells of the coarsest octave across the map.
        octaves: Each has cells half as large as the one before.
        fall: Strength of each octave by that of the one before.
    """
    total: np.ndarray = rng.standard_normal((first, first), np.float32)
    strength, energy = 1.0, 1.0
    # From coarse to fine on small grids: only the last enlargement has the size of the map.
    for octave in range(1, octaves):
        cells = first * 2**octave
        strength *= fall
        energy += strength**2
        total = cv2.resize(total, (cells, cells), interpolation=cv2.INTER_CUBIC)
        total = total + strength * rng.standard_normal((cells, cells), np.float32)
    total = cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total * np.float32(0.6 / np.sqrt(energy))


def ramp(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """A slope of random direction from 0 to 1, float32 `(h, w)`."""
    return _along(shape, rng.uniform(0, 2 * np.pi)) / np.float32(2) + np.float32(0.5)


def blend(weight: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Walk along a list of colors, `(n, 3)`, by a map: 0 is the first and 1 the last.

    Returns uint8 `(h, w, 3)`.
    """
    stops = np.linspace(0, 255, len(colors))
    table = np.stack([np.interp(np.arange(256), stops, channel) for channel in colors.T], axis=1)
    index = cv2.convertScaleAbs(np.clip(weight, 0, 1), alpha=255)
    return cv2.LUT(cv2.merge([index] * 3), np.clip(table, 0, 255)[None].astype(np.uint8))


def brighten(image: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Add a map `(h, w)` to all channels of a uint8 image, saturating."""
    levels = amount.astype(np.int16, copy=False)
    return cv2.add(image, cv2.merge([levels] * 3), dtype=cv2.CV_8U)


def _along(shape: Shape, angle: float) -> np.ndarray:
    """Each pixel's position along a direction, from -1 to 1 where the image is square."""
    y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    length = abs(np.cos(angle)) + abs(np.sin(angle))
    return (np.float32(np.cos(angle) / length) * x) + (np.float32(np.sin(angle) / length) * y)


def _clouds(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    return blend(0.5 + 0.45 * noise(rng, shape, fall=rng.uniform(0.4, 0.8)), colors)


def _gradient(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    return blend(ramp(rng, shape) + 0.12 * noise(rng, shape), colors)


def _stripes(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    phase = rng.uniform(8, 50) * _along(shape, rng.uniform(0, np.pi))
    wave = np.sin(phase + rng.uniform(0, 3) * noise(rng, shape, octaves=3))
    return blend(0.5 + rng.uniform(0.3, 2) * wave, colors[: int(rng.integers(2, 4))])


def _tiles(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(2, 8)
    u = pitch * (_along(shape, angle) + 2)
    v = pitch * rng.uniform(1, 2.5) * (_along(shape, angle + np.pi / 2) + 2)
    row = v.astype(np.int32)
    u = u + 0.5 * (row % 2)
    tone = rng.uniform(0, 1, (64, 128)).astype(np.float32)[row % 64, u.astype(np.int32) % 128]
    joint = np.minimum(u % 1, v % 1) < rng.uniform(0.03, 0.1)
    return np.where(joint[..., None], colors[0].astype(np.uint8), blend(tone, colors[1:]))


def _dead_leaves(rng: np.random.Generator, shape: Shape, colors: np.ndarray) -> np.ndarray:
    """Overlapping discs, boxes and sticks, the nearest last: the dead-leaves model."""
    image = np.empty((*shape, 3), np.uint8)
    image[:] = colors[0].astype(np.uint8)
    side = min(shape)
    count = int(rng.integers(80, 260))
    for place, size, turn, stretch, color, form in zip(
        rng.uniform(0, 1, (count, 2)),
        rng.uniform(0.02, 0.09, count) * side,
        rng.uniform(0, np.pi, count),
        rng.uniform(1, 5, count),
        colors[rng.integers(0, len(colors), count)] + rng.normal(0, 18, (count, 1)),
        rng.integers(0, 2, count),
        strict=True,
    ):
        outline = circle(0, 0, 1, 14) if form else rectangle(-1, -1, 1, 1)
        cos, sin = np.cos(turn), np.sin(turn)
        points = (outline * [stretch, 1]) @ np.array([[cos, sin], [-sin, cos]]) * size
        points += place * np.array([shape[1], shape[0]])
        cv2.fillConvexPoly(image, np.rint(points * 16).astype(np.int32), color.tolist(), shift=4)
    return image


BACKDROPS: tuple[Backdrop, ...] = (_clouds, _gradient, _stripes, _tiles, _dead_leaves, _dead_leaves)
