"""Objects as samples for click-guided networks: crop, prompt, and the way back to the image.

A source (`instance_sources.py`) knows files; everything here is the same for all of them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from src.datamodules.augmentation import Augmentation
from src.datamodules.base import SegmentationDataModule
from src.datamodules.batch import SampleKey, planes
from src.datamodules.clicks import Prompts
from src.datamodules.instance_sources import Instance, InstanceSource
from src.datamodules.pairs import DataError
from src.datamodules.sources import require_root
from src.datamodules.wrappers import RehearsalMix
from src.errors import UserError
from src.hashing import bytes_hash
from src.models import guided_by_clicks
from src.processing import Processor
from src.processing.crop import EmptyMaskError, box_of_mask, crop
from src.processing.resize import resize

MakeSource = Callable[[str], InstanceSource]

FOREGROUND = 128  # of an 8-bit mask


def flip_rotate_scale() -> Augmentation:
    """DEXTR's and IOG's: horizontal flip, rotation by ±20°, scale 0.75 to 1.25, before the crop."""
    import albumentations as A  # after augment.py, which keeps it off the network

    return Augmentation(
        [
            A.HorizontalFlip(p=0.5),
            A.Affine(
                rotate=(-20, 20),
                scale=(0.75, 1.25),
                keep_ratio=True,
                interpolation=cv2.INTER_CUBIC,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                p=1.0,
            ),
        ]
    )


class InstanceDataset(Dataset[dict[str, Any]]):
    """Crops around the objects of a source, with the clicks that point at them.

    A sample holds uint8 `image` (3, h, w), `mask` and `void` (1, h, w), float32 `prompt`
    (K, h, w) in 0..255, all of the processor's size; `box` (4,), the crop in the image; `index` and
    `name`. In evaluation also `mask_full` and `void_full` (H, W), `category`, and where the source
    has first masks `start_mask_full` (H, W).

    A training sample is a function of (seed, epoch, item) alone, one for evaluation of the item.

    Args:
        source: Yields image, mask and void of an object.
        processor: Resizes crops to the network's input.
        prompts: The paper's clicks.
        augment: Applied to training images before the crop. Where it moves the object out of the
            image, the image stays as it is.
        seed: Of augmentation and clicks in training.
        evaluate: Yield what scoring needs, do not augment, click without jitter.
    """

    def __init__(
        self,
        source: InstanceSource,
        processor: Processor,
        prompts: Prompts,
        augment: Augmentation | None = None,
        seed: int = 0,
        evaluate: bool = False,
    ) -> None:
        self.source, self.processor, self.prompts = source, processor, prompts
        self.augment, self.seed, self.evaluate = augment, seed, evaluate

    @property
    def names(self) -> list[str]:
        """Of the objects, in order; result files call them so."""
        return self.source.names

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: int | SampleKey) -> dict[str, Any]:
        draw = key if isinstance(key, SampleKey) else SampleKey(key, epoch=0)
        instance = self.source.sample(draw.item)
        if self.evaluate:
            # Not the run's seed: every run is tested with the same clicks.
            sample = self._sample(instance, np.random.default_rng(draw.item), self.processor)
            sample["mask_full"] = torch.from_numpy(instance.mask)
            sample["void_full"] = torch.from_numpy(instance.void)
            if instance.start_mask is not None:
                sample["start_mask_full"] = torch.from_numpy(instance.start_mask)
            sample["category"] = instance.category
        else:
            seed = (self.seed, draw.epoch, draw.item)
            # Another stream than the augmentation's, which starts from the same numbers.
            rng = np.random.default_rng((*seed, 1))
            processor = self.processor.at(draw.size)
            sample = self._sample(self._moved(instance, seed), rng, processor)
        return {"index": draw.item, "name": instance.name, **sample}

    def _moved(self, instance: Instance, seed: tuple[int, int, int]) -> Instance:
        if self.augment is None:
            return instance
        maps = {"image": instance.image, "mask": instance.mask, "void": instance.void}
        moved = self.augment(maps, seed=seed)
        if not moved["mask"].any():
            return instance
        return instance._replace(image=moved["image"], mask=moved["mask"], void=moved["void"])

    def _sample(
        self, instance: Instance, rng: np.random.Generator, processor: Processor
    ) -> dict[str, Any]:
        try:
            box = box_of_mask(instance.mask, self.prompts.relax)
        except EmptyMaskError as error:
            raise EmptyMaskError(f"{instance.name}: {error}; set min_area=1 or more") from None
        image = processor.resize_image(crop(instance.image, box))
        mask = _resized_mask(crop(instance.mask, box), processor)
        void = processor.resize_mask(crop(instance.void, box))
        prompt = self.prompts.draw(mask >= FOREGROUND, rng, training=not self.evaluate)
        return {
            "image": planes(image),
            "mask": torch.from_numpy(mask)[None],
            "void": torch.from_numpy(void)[None],
            "prompt": torch.from_numpy(prompt),
            "box": torch.tensor(box),
        }


def _resized_mask(mask: np.ndarray, processor: Processor) -> np.ndarray:
    resized = processor.resize_mask(mask)
    if (resized >= FOREGROUND).any():
        return resized
    # A thin object fell between the samples of a shrinking kernel: keep what it touches.
    touched = resize(mask, processor.size, "area") > 0
    return touched.astype(np.uint8) * np.uint8(255)


class InstanceDataModule(SegmentationDataModule):
    """Objects for training, validation and test of click-guided networks.

    Sources are given as calls that make them of the root (`_partial_: true`), because listing the
    objects of a set takes time: `setup` makes those that its stage needs.

    Args:
        root: Folder where the sets lie.
        train: Makes the training source.
        val: Makes the validation source; None validates nothing.
        test: Makes the test sources, by name.
        processor: The model's.
        prompts: The model's.
        augment: The model's, for training samples.
        batch_size: Training objects per process and step.
        num_workers: Processes that read ahead; None for one per core, at most 8.
        seed: The run's.
        drop_last: Drop training's last batch where it is not full.
        eval_batch_size: Objects per batch in validation and test.
        on_error: See `SegmentationDataModule`.

    Raises:
        UserError: In `setup`, where there is no root or a source finds something wrong.
    """

    def __init__(
        self,
        root: str | None,
        train: MakeSource | None,
        val: MakeSource | None,
        test: Mapping[str, MakeSource] | None,
        processor: Processor,
        prompts: Prompts | None,
        augment: Augmentation | None = None,
        batch_size: int = 5,
        num_workers: int | None = None,
        seed: int = 0,
        drop_last: bool = True,
        eval_batch_size: int = 1,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            eval_batch_size=eval_batch_size,
            on_error=on_error,
        )
        self.root, self.train, self.val = root, train, val
        self.test = {name: make for name, make in (test or {}).items() if make is not None}
        self.processor, self.prompts, self.augment = processor, prompts, augment

    def setup(self, stage: str | None = None) -> None:
        """List the objects: for `fit` of all sets, so that the test cannot fail late."""
        wanted = {"train": self.train, "val": self.val} if stage != "test" else {}
        wanted |= {f"test/{name}": make for name, make in self.test.items()}
        sources = self._list({k: v for k, v in wanted.items() if v and k not in self._used()})
        if "train" in sources:
            self.train_set = InstanceDataset(
                sources["train"], self.processor, self._prompts(), self.augment, self.seed
            )
        if "val" in sources:
            self.val_set = self._evaluated(sources["val"])
        for name in self.test:
            if (use := f"test/{name}") in sources:
                self.test_sets[name] = self._evaluated(sources[use])

    def _list(self, makers: Mapping[str, MakeSource]) -> dict[str, InstanceSource]:
        """Make the sources of several uses; what is wrong with any of them is one error."""
        if makers:
            require_root(self.root)
            self._prompts()  # found missing before hours of reading
        sources: dict[str, InstanceSource] = {}
        problems: list[str] = []
        for use, make in makers.items():
            try:
                sources[use] = make(str(self.root))
            except DataError as error:
                problems += [f"{use}: {problem}" for problem in error.problems]
        if problems:
            failed = makers.keys() - sources.keys()
            lost = [name for name in self.test if f"test/{name}" in failed]
            advice = f"A test set can be left out: '~data.test.{lost[0]}'" if lost else ""
            raise DataError("data", problems, advice)
        return sources

    def _evaluated(self, source: InstanceSource) -> InstanceDataset:
        return InstanceDataset(source, self.processor, self._prompts(), evaluate=True)

    def fingerprint(self) -> dict[str, Any]:
        """Sets, counts and a hash of the objects' names, for every set in use."""
        return {
            use: {
                "sets": list(made.source.sets),
                "count": len(made),
                "sha256": bytes_hash("\n".join(made.names).encode()),
            }
            for use, made in self._used().items()
        }

    def files(self) -> dict[str, dict[str, Path]]:
        found = {use: getattr(made.source, "files", []) for use, made in self._used().items()}
        return {use: _by_relative_name(files) for use, files in found.items() if files}

    def _used(self) -> dict[str, InstanceDataset]:
        train = self.train_set.own if isinstance(self.train_set, RehearsalMix) else self.train_set
        named = {"train": train, "val": self.val_set}
        named |= {f"test/{name}": made for name, made in self.test_sets.items()}
        return {use: made for use, made in named.items() if isinstance(made, InstanceDataset)}

    def _prompts(self) -> Prompts:
        if self.prompts is None:
            raise UserError(f"these are objects to click on; choose model= of {guided_by_clicks()}")
        return self.prompts


def _by_relative_name(files: Sequence[Path]) -> dict[str, Path]:
    """Files by their paths below the folder that all of them are in."""
    common = os.path.commonpath([path.parent for path in files])
    return {path.relative_to(common).as_posix(): path for path in files}
