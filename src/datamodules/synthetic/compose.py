"""Puts a structure in front of a background: light, shadow, similar colors, blur and grain."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from src.datamodules.synthetic import structures
from src.datamodules.synthetic.backgrounds import background, blend, brighten, noise, palette, ramp
from src.datamodules.synthetic.canvas import Canvas, Placement

Structure = Callable[[Canvas, np.random.Generator], None]

STRUCTURES: tuple[Structure, ...] = (
    structures.wheel,
    structures.bicycle,
    structures.fence,
    structures.racket,
    structures.net,
    structures.chain,
    structures.tower,
    structures.chair,
    structures.plate,
    structures.gear,
    structures.coil,
    structures.text,
    structures.tree,
    structures.fern,
    structures.head,
    structures.insect,
    structures.dandelion,
)

# Backgrounds and paint are made at most at this size and enlarged: they are out of focus or
# smooth, and a large image then costs little more than its sharp parts.
_SOFT_SIDE = 288
# Tones this far apart (in RGB) are hard to tell apart and still can be told.
_LEAST_CONTRAST = 65.0
# Subjects tend to be more colorful than what is behind them; the other scenes are the hard ones.
_VIVID_SHARE = 0.65


class SyntheticImage(NamedTuple):
    """One drawn scene.

    image: uint8 RGB `(H, W, 3)`.
    mask: uint8 `(H, W)`, how much of each pixel the object covers.
    kind: Name of the structure.
    """

    image: np.ndarray
    mask: np.ndarray
    kind: str


def compose(rng: np.random.Generator, side: int) -> SyntheticImage:
    """Draw the scene of a random stream, with about `side`² pixels and its own aspect ratio.

    The scene is the same at every size; only the grain of the sensor and the thinnest strokes
    are as fine as the pixels allow.
    """
    layout, drawing, behind, paint, light, lens = rng.spawn(6)
    aspect, structure = _subject(layout)
    shape = _shape(aspect, side)
    soft = _shape(shape[1] / shape[0], min(side, _SOFT_SIDE))
    pen = Canvas(shape, _foreground_place(layout))
    structure(pen, drawing)
    mask = pen.coverage()

    scenery, color = _scenery(behind, soft)
    image = cv2.resize(scenery, shape[::-1], interpolation=cv2.INTER_LINEAR)
    image = _cast_shadow(light, image, mask)
    surface = _surface(paint, soft, shape, color)
    surface = _round_edges(light, surface, mask)
    image = _over(surface, image, mask)
    image = _illuminate(light, image)
    return SyntheticImage(_photograph(lens, image), mask, structure.__name__)


def kind_of(rng: np.random.Generator) -> str:
    """The name of the structure that `compose` draws from a random stream, without drawing it."""
    return _subject(rng.spawn(6)[0])[1].__name__


def _subject(layout: np.random.Generator) -> tuple[float, Structure]:
    """The scene's aspect ratio and the structure in it, drawn in this order."""
    aspect = float(np.exp(layout.uniform(-0.35, 0.35)))
    return aspect, STRUCTURES[int(layout.integers(len(STRUCTURES)))]


def _shape(aspect: float, side: int) -> tuple[int, int]:
    return max(8, round(side / aspect**0.5)), max(8, round(side * aspect**0.5))


def _foreground_place(rng: np.random.Generator) -> Placement:
    return Placement(
        x=0.5 + rng.uniform(-0.06, 0.06),
        y=0.5 + rng.uniform(-0.06, 0.06),
        reach=rng.uniform(0.38, 0.5),
        turn=rng.normal(0, 0.2),
        squeeze=rng.choice([-1, 1]) * rng.uniform(0.75, 1.1),
        shear=rng.normal(0, 0.12),
    )


def _scenery(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A background with small structures in it, out of focus, and its average color."""
    colors = palette(rng, 4)
    image = background(rng, shape, colors)
    for _ in range(int(rng.integers(0, 4))):
        image = _add_distractor(rng, image, colors)
    blur = rng.uniform(0.003, 0.014) * min(shape)
    image = cv2.GaussianBlur(image, (0, 0), blur)
    return image, np.array(cv2.mean(image)[:3])


def _add_distractor(rng: np.random.Generator, image: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """What the field's images have behind their subject: more thin things, smaller and aside."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.08, 0.17)
    place = Placement(
        x=0.5 + 0.45 * np.cos(angle),
        y=0.5 + 0.45 * np.sin(angle),
        reach=reach,
        turn=rng.uniform(-np.pi, np.pi),
    )
    height, width = image.shape[:2]
    pen = Canvas((height, width), place)
    STRUCTURES[int(rng.integers(len(STRUCTURES)))](pen, rng)
    color = colors[int(rng.integers(len(colors)))] + rng.normal(0, 30)
    paint = np.empty_like(image)
    paint[:] = np.clip(color, 0, 255).astype(np.uint8)
    return _over(paint, image, pen.coverage())


def _over(front: np.ndarray, back: np.ndarray, mask: np.ndarray) -> np.ndarray:
    share = mask.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(front, back, share, 1 - share)


def _surface(
    rng: np.random.Generator,
    soft: tuple[int, int],
    shape: tuple[int, int],
    behind: np.ndarray,
) -> np.ndarray:
    """The object's paint, uint8 `(H, W, 3)`: two tones, often close to those behind."""
    first = _contrasting(rng, behind)
    second = first + rng.uniform(-50, 50) + rng.normal(0, 12, 3)
    paint = blend(ramp(rng, soft) + 0.3 * noise(rng, soft), np.stack([first, second]))
    paint = brighten(paint, rng.uniform(0, 18) * noise(rng, soft, first=24, octaves=3))
    return cv2.resize(paint, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _contrasting(rng: np.random.Generator, behind: np.ndarray) -> np.ndarray:
    """A color away from `behind`, if only in hue, and in most scenes a more vivid one."""
    candidates = palette(rng, 24, vivid=rng.random() < _VIVID_SHARE)
    distance = np.linalg.norm(candidates - behind, axis=1)
    allowed = candidates[distance >= _LEAST_CONTRAST]
    if len(allowed) == 0:
        return candidates[int(distance.argmax())]
    return allowed[0]


def _cast_shadow(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Darken the background beside the object, softly."""
    strength, angle = rng.uniform(0, 0.65), rng.uniform(0, 2 * np.pi)
    distance, softness = rng.uniform(0.01, 0.08), rng.uniform(0.005, 0.03)
    height, width = mask.shape
    # A quarter of the size is enough for what will be blurred.
    small = cv2.resize(mask, (width // 4 + 1, height // 4 + 1), interpolation=cv2.INTER_AREA)
    side = min(small.shape)
    shift = distance * side * np.array([np.cos(angle), np.sin(angle)])
    warp = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    small = cv2.warpAffine(small, warp, small.shape[::-1])
    small = cv2.GaussianBlur(small, (0, 0), softness * side)
    light = cv2.convertScaleAbs(small, alpha=-strength, beta=255)
    return _shade(image, cv2.resize(light, (width, height)))


def _round_edges(rng: np.random.Generator, surface: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Brighten edges towards the light and darken the others, as on round bars."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    sigma = max(0.8, 0.004 * min(mask.shape))
    height = cv2.GaussianBlur(mask, (0, 0), sigma)
    x = cv2.Sobel(height, cv2.CV_16S, 1, 0, ksize=1)
    y = cv2.Sobel(height, cv2.CV_16S, 0, 1, ksize=1)
    gain = strength * sigma
    slope = cv2.addWeighted(x, gain * np.cos(angle), y, gain * np.sin(angle), 0)
    return brighten(surface, slope)


def _illuminate(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Uneven light over everything, so that no brightness means foreground."""
    small = (64, 64)
    slope = ramp(rng, small) - 0.5
    light = 0.8 + rng.uniform(0, 0.5) * slope + rng.uniform(0, 0.25) * noise(rng, small, octaves=2)
    light = np.clip(light * 255, 90, 255).astype(np.uint8)
    size = image.shape[1], image.shape[0]
    return _shade(image, cv2.resize(light, size, interpolation=cv2.INTER_LINEAR))


def _shade(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    return cv2.multiply(image, cv2.merge([light] * 3), scale=1 / 255)


def _photograph(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Lens blur and sensor noise."""
    blur = rng.uniform(0, 0.0025) * min(image.shape[:2])
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    tile = rng.standard_normal((128, 128, 3), np.float32) * rng.uniform(1, 8)
    rows, columns = (-(-side // 128) for side in image.shape[:2])
    grain = np.tile(np.rint(tile).astype(np.int8), (rows, columns, 1))
    return cv2.add(image, grain[: image.shape[0], : image.shape[1]], dtype=cv2.CV_8U)
