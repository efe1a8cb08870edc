"""Drawn images as training, validation and test sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from src.datamodules.base import SegmentationDataModule
from src.datamodules.batch import SampleKey, planes
from src.datamodules.synthetic.compose import SyntheticImage, compose, kind_of
from src.errors import UserError
from src.hashing import bytes_hash
from src.processing import Processor

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Augment = Callable[[Mapping[str, np.ndarray], Sequence[int]], Mapping[str, np.ndarray]]

# Below this a scene's parts merge into one another.
LEAST_SIDE = 32


class SyntheticDataset(Dataset[dict[str, Any]]):
    """Pictures that are drawn when asked for; the same index always gives the same scene.

    A sample holds uint8 `image` (3, h, w) and `mask` (1, h, w) at the processor's size, `index` and
    `name`; in evaluation also `mask_full`, the mask (H, W) at the size at which it was drawn.

    Args:
        length: How many images there are.
        split: Splits draw from random streams of their own and share no image.
        seed: Another seed gives another data set.
        processor: Resizes the drawn image to the network's input.
        augment: Called with a sample and the seed (seed, epoch, item); see `augment.py`.
        size: Images are drawn with about `size`² pixels, in aspect ratios from 0.7 to 1.4.
            None takes the longer side of the processor.
        evaluation: Yield `mask_full` and do not augment.
        augment_seed: Of the augmentation; None takes `seed`.

    Raises:
        UserError: A length, seed or size that cannot be, or a split that does not exist.
    """

    def __init__(
        self,
        length: int,
        split: Split,
        seed: int,
        processor: Processor,
        augment: Augment | None = None,
        size: int | None = None,
        evaluation: bool = False,
        augment_seed: int | None = None,
    ) -> None:
        if split not in SPLITS:
            raise UserError(f"data=synthetic has no split {split!r}; it has {', '.join(SPLITS)}")
        if length < 1 or seed < 0:
            raise UserError(
                f"data=synthetic: {split} has length {length} and seed {seed}; "
                "give at least one image and a seed of 0 or more"
            )
        self.size = max(processor.size) if size is None else size
        if self.size < LEAST_SIDE:
            raise UserError(
                f"data=synthetic draws images of {LEAST_SIDE} pixels or more a side, not "
                f"{self.size}; raise model.size or data.size"
            )
        self.length, self.split, self.seed = length, split, seed
        self.processor, self.augment, self.evaluation = processor, augment, evaluation
        self.augment_seed = seed if augment_seed is None else augment_seed

    def __len__(self) -> int:
        return self.length

    @property
    def names(self) -> list[str]:
        """Of the images, in order."""
        streams = (np.random.default_rng(self.seed_of(item)) for item in range(self.length))
        return [self._name(item, kind_of(stream)) for item, stream in enumerate(streams)]

    def __getitem__(self, key: int | SampleKey) -> dict[str, Any]:
        item, epoch, size = key if isinstance(key, SampleKey) else SampleKey(key, epoch=0)
        image, processor = self.image(item), self.processor.at(size)
        sample: Mapping[str, np.ndarray] = {
            "image": processor.resize_image(image.image),
            "mask": processor.resize_mask(image.mask),
        }
        if self.augment is not None and not self.evaluation:
            sample = self.augment(sample, (self.augment_seed, epoch, item))
        batch = {
            "index": item,
            "name": self._name(item, image.kind),
            "image": planes(sample["image"]),
            "mask": torch.from_numpy(np.ascontiguousarray(sample["mask"])[None]),
        }
        if self.evaluation:
            batch["mask_full"] = torch.from_numpy(image.mask)
        return batch

    def _name(self, item: int, kind: str) -> str:
        return f"{self.split}_{item:05d}_{kind}"

    def image(self, item: int) -> SyntheticImage:
        """Picture number `item` as it was drawn, before the processor resizes it.

        Raises:
            IndexError: Outside of [0, length).
        """
        if not 0 <= item < self.length:
            raise IndexError(f"picture {item} of {self.length}")
        return compose(np.random.default_rng(self.seed_of(item)), self.size)

    def digest(self) -> str:
        """Changes when the first image's pixels do: by seed, size, code or OpenCV's version."""
        image, mask, _ = self.image(0)
        return bytes_hash(image.tobytes() + mask.tobytes())[:12]

    def seed_of(self, item: int) -> np.random.SeedSequence:
        """The seed of one image's random stream; no two (seed, split, item) share one."""
        return np.random.SeedSequence(self.seed, spawn_key=(SPLITS.index(self.split), item))


class SyntheticDataModule(SegmentationDataModule):
    """Training, validation and test sets of drawn images.

    Args:
        processor: The model's.
        augment: The model's pipeline for training, None for none.
        lengths: Images in `train`, `val` and `test`.
        size: See `SyntheticDataset`.
        name: Name of the test set in tables.
        val_split: `train` validates on the training images, not augmented.
        batch_size: Training images per process and step.
        num_workers: Processes that draw ahead; None for one per core, at most 8.
        seed: The run's: of the images' order and augmentation.
        image_seed: Of the images, the same in every run, so that runs can be compared.
        drop_last: Drop training's last batch where it is not full.
        eval_batch_size: Images per batch in validation and test.
    """

    def __init__(
        self,
        processor: Processor,
        augment: Augment | None = None,
        lengths: Mapping[str, int] | None = None,
        size: int | None = None,
        name: str = "synthetic",
        val_split: Literal["val", "train"] = "val",
        batch_size: int = 8,
        num_workers: int | None = None,
        seed: int = 0,
        image_seed: int = 0,
        drop_last: bool = True,
        eval_batch_size: int = 1,
    ) -> None:
        counts = {"train": 400, "val": 50, "test": 100} | dict(lengths or {})
        if val_split not in ("val", "train"):
            raise UserError(f"data.val_split is {val_split!r}; choose val or train")

        def images(split: Split, evaluation: bool = True) -> SyntheticDataset:
            return SyntheticDataset(
                counts[split], split, image_seed, processor, augment, size, evaluation, seed
            )

        super().__init__(
            train=images("train", evaluation=False),
            val=images(val_split),
            test={name: images("test")},
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            eval_batch_size=eval_batch_size,
        )

    def fingerprint(self) -> dict[str, Any]:
        """Sizes of the sets and a digest of each one's first image."""
        sets = {"train": self.train_set, "val": self.val_set, **self.test_sets}
        return {
            name: {"count": len(images), "size": images.size, "digest": images.digest()}
            for name, images in sets.items()
            if isinstance(images, SyntheticDataset)
        }
