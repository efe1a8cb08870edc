"""Objects to click on that need no files: several drawn ones in an image, void at their rims."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from src.datamodules.instance_sources import Instance
from src.datamodules.synthetic.backgrounds import background, noise, palette
from src.datamodules.synthetic.canvas import Canvas, Placement
from src.datamodules.synthetic.compose import STRUCTURES
from src.datamodules.synthetic.dataset import LEAST_SIDE, SPLITS, Split
from src.errors import UserError

# A pixel that an object covers by less than the one and more than the other belongs to no one
# for sure, as the rims that PASCAL's annotators leave out.
_COVERED, _TOUCHED = 192, 64


class Scene(NamedTuple):
    """An image of several objects.

    image: uint8 RGB `(H, W, 3)`.
    labels: uint8 `(H, W)`, 0 behind the objects, 1 … N on them.
    void: uint8 `(H, W)`, 255 at the objects' rims, which belong to no one.
    kinds: Names of the structures, of 1 … N.
    """

    image: np.ndarray
    labels: np.ndarray
    void: np.ndarray
    kinds: tuple[str, ...]


def draw_scene(rng: np.random.Generator, side: int, objects: int) -> Scene:
    """Draw objects side by side, slightly over one another, with about `side`² pixels."""
    aspect = float(np.exp(rng.uniform(0.0, 0.35)))
    shape = (round(side / aspect**0.5), round(side * aspect**0.5))
    colors = palette(rng, 4)
    image = background(rng, shape, colors)
    labels, void = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    kinds = []
    for label in range(1, objects + 1):
        structure = STRUCTURES[int(rng.integers(len(STRUCTURES)))]
        pen = Canvas(shape, _place(rng, label, objects, shape))
        structure(pen, rng)
        coverage = pen.coverage()
        image = _painted(rng, image, coverage)
        void[coverage >= _COVERED] = 0
        labels[coverage >= _COVERED] = label
        rim = (coverage > _TOUCHED) & (coverage < _COVERED)
        void[rim], labels[rim] = 255, 0
        kinds.append(structure.__name__)
    grain = rng.normal(0, 4, image.shape)
    return Scene(np.clip(image + grain, 0, 255).astype(np.uint8), labels, void, tuple(kinds))


class SyntheticInstances:
    """An object of a drawn image for each item; the same item always gives the same object.

    Args:
        root: Not used: nothing is read. Sources of files get the folder of the data sets here.
        split: Splits share no image.
        images: How many are drawn.
        objects: In each image.
        size: Images have about `size`² pixels.
        image_seed: Another one is another data set.

    Raises:
        UserError: A number that cannot be, or a split that does not exist.
    """

    def __init__(
        self,
        root: str | Path | None,
        split: Split,
        images: int,
        objects: int = 3,
        size: int = 256,
        image_seed: int = 0,
    ) -> None:
        if split not in SPLITS:
            raise UserError(
                f"data=synthetic_objects has no split {split!r}; it has {', '.join(SPLITS)}"
            )
        if min(images, objects) < 1 or size < LEAST_SIDE * objects or image_seed < 0:
            raise UserError(
                f"data=synthetic_objects: {images} images of {objects} objects at size {size} "
                f"from seed {image_seed}; give at least one of each, {LEAST_SIDE} pixels an object "
                "and a seed of 0 or more"
            )
        self.split, self.images, self.objects = split, images, objects
        self.size, self.image_seed = size, image_seed
        self.sets = (f"synthetic_objects-{split}",)

    @property
    def names(self) -> list[str]:
        return [self._name(item) for item in range(len(self))]

    def __len__(self) -> int:
        return self.images * self.objects

    def sample(self, item: int) -> Instance:
        image, index = divmod(item, self.objects)
        scene = self.scene(image)
        mask = np.where(scene.labels == index + 1, np.uint8(255), np.uint8(0))
        return Instance(scene.image, mask, scene.void, self._name(item), index)

    def scene(self, image: int) -> Scene:
        """An image with all of its objects.

        One in which an object is wholly covered is drawn again, from the next stream.
        """
        key = (SPLITS.index(self.split), image)
        for attempt in range(100):
            seed = np.random.SeedSequence(self.image_seed, spawn_key=(*key, attempt))
            scene = draw_scene(np.random.default_rng(seed), self.size, self.objects)
            if np.unique(scene.labels[scene.labels > 0]).size == self.objects:
                return scene
        raise UserError(
            f"data=synthetic_objects: {self.objects} objects do not fit beside one another at size "
            f"{self.size}; draw fewer, or larger images"
        )

    def _name(self, item: int) -> str:
        image, index = divmod(item, self.objects)
        return f"{self.split}_{image:05d}_{index + 1}"


def _place(rng: np.random.Generator, label: int, objects: int, shape: tuple[int, int]) -> Placement:
    """In a column of its own, as tall as a third to a half of the image."""
    width = shape[1] / objects / min(shape)
    return Placement(
        x=(label - 0.5) / objects + rng.uniform(-0.08, 0.08) / objects,
        y=rng.uniform(0.4, 0.6),
        reach=min(0.45, width * rng.uniform(0.5, 0.65)),
        turn=rng.normal(0, 0.3),
        squeeze=rng.choice([-1, 1]) * rng.uniform(0.75, 1.1),
    )


def _painted(rng: np.random.Generator, image: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """The image with an object of one uneven color in front."""
    color = palette(rng, 1, vivid=True)[0]
    texture = rng.uniform(5, 25) * noise(rng, coverage.shape, octaves=2)
    paint = np.clip(color + texture[..., None], 0, 255).astype(np.uint8)
    share = coverage.astype(np.float32) / 255
    return cv2.blendLinear(np.ascontiguousarray(paint), image, share, 1 - share)
