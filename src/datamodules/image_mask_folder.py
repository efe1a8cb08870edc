"""Data sets of image files beside mask files: DIS5K, DUTS, HRSOD and anyone's own folders."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.utils.data import Dataset

from src.cache import key_of_files
from src.datamodules.augmentation import Augmentation
from src.datamodules.base import SegmentationDataModule, check_choice
from src.datamodules.batch import SampleKey, planes
from src.datamodules.fetch_ahead import FetchAhead, fetch_ahead
from src.datamodules.file_facts import mask_faults, without_faults
from src.datamodules.images import read_image, read_mask
from src.datamodules.pairs import (
    DataError,
    ImageMaskPair,
    files_of,
    fingerprint,
    index_sets,
    join_sets,
    split_by_hash,
)
from src.datamodules.sample_cache import SampleCache, open_cache
from src.datamodules.samplers import HardExamples, Windows, shares_to_weights
from src.datamodules.shard_set import DEFAULT_CACHE_GB, ShardCache, require_room
from src.datamodules.shard_windows import (
    mode_faults,
    require_shuffled,
    shard_sets,
    windows_of,
)
from src.datamodules.sources import parse_sources, require_root
from src.errors import CommandError, UserError
from src.paths import cache_folder
from src.processing import Processor

log = logging.getLogger(__name__)


class ImageMaskDataset(Dataset[dict[str, Any]]):
    """Samples of image and mask files; a sample is a function of (seed, epoch, item) alone.

    Training samples are resized by the processor, then augmented: `image` (3, h, w) and `mask`
    (1, h, w), uint8, with `index` and `name`. Evaluation samples also carry `mask_full`, the mask
    (H, W) at full size.

    Args:
        pairs: The files.
        processor: Resizes images and masks.
        augment: Applied to training samples.
        seed: Of the augmentation.
        evaluate: Yield `mask_full`, and do not augment.
        reduced_decode: Decode large JPEGs at 1/2, 1/4 or 1/8 while that is not smaller than the
            network's input. Faster; the pixels are smoother than those of the papers.
        soft: The masks are mattes: their gray is alpha.
    """

    def __init__(
        self,
        pairs: Sequence[ImageMaskPair],
        processor: Processor,
        augment: Augmentation | None = None,
        seed: int = 0,
        evaluate: bool = False,
        reduced_decode: bool = False,
        soft: bool = False,
    ) -> None:
        self.cache: SampleCache | None = None
        self.ahead: FetchAhead | None = None
        self.pairs, self.processor, self.augment = list(pairs), processor, augment
        self.seed, self.evaluate = seed, evaluate
        self.reduced_decode, self.soft = reduced_decode, soft

    @property
    def names(self) -> list[str]:
        """Of the images, in order; result files call them so."""
        return [pair.name for pair in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int | SampleKey) -> dict[str, Any]:
        draw = key if isinstance(key, SampleKey) else SampleKey(key, epoch=0)
        labels = {"index": draw.item, "name": self.pairs[draw.item].name}
        if self.evaluate:
            image, mask = self._read(draw.item, self.processor)
            maps = {"image": image, "mask": self.processor.resize_mask(mask)}
            return {**labels, **_tensors(maps), "mask_full": torch.from_numpy(mask)}
        if self.ahead is not None:
            self.ahead.follow(draw)
        image, mask = self.resized(draw.item, draw.size)
        maps = {"image": image, "mask": mask}
        if self.augment is not None:
            maps = self.augment(maps, seed=(self.seed, draw.epoch, draw.item))
        return {**labels, **_tensors(maps)}

    def resized(
        self, item: int, size: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image (h, w, 3) and mask (h, w), uint8, before augmentation.

        Args:
            item: Which pair.
            size: Their height and width; None: the network's.
        """
        processor = self.processor.at(size)
        if (
            processor is self.processor
            and self.cache is not None
            and (cached := self.cache[item]) is not None
        ):
            return cached
        image, mask = self._read(item, processor)
        return image, processor.resize_mask(mask)

    def fill_cache(
        self,
        kind: Literal["disk", "ram"],
        folder: Path,
        workers: int,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        """Serve resized samples from a cache from now on, made first where there is none.

        With `skip` an image that cannot be read leaves a gap, which is an error only when drawn.
        """
        processor = self.processor
        settings = (
            processor.size,
            processor.image_kernel,
            processor.mask_kernel,
            self.reduced_decode,
        )
        key = key_of_files(files_of(self.pairs), *settings, on_error)
        self.cache = open_cache(self, processor.size, key, kind, folder, workers, on_error)

    def _read(self, item: int, processor: Processor) -> tuple[np.ndarray, np.ndarray]:
        """The resized image (h, w, 3), and the mask (H, W) at full size."""
        pair = self.pairs[item]
        image, mask = pair.contents()
        # The mask first: it is the smaller file, and more often the faulty one.
        levels = read_mask(pair.mask, soft=self.soft, content=mask)
        at_least = processor.size if self.reduced_decode else None
        return processor.resize_image(read_image(pair.image, at_least, image)), levels


def _tensors(maps: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    # Pillow's resize gives read-only arrays, which torch does not take.
    mask = np.require(maps["mask"], requirements=["C", "W"])
    return {"image": planes(maps["image"]), "mask": torch.from_numpy(mask)[None]}


class FolderDataModule(SegmentationDataModule):
    """Image and mask files for training, validation and test.

    Several training or validation sets are joined; images are then named `set/image`. Everything
    that can be wrong with the files is found in `setup`, before training, and raised at once.

    Args:
        root: Folder that the sources' paths start from.
        train: A source (see `sources.py`) or several by name.
        val: The same. Where there is none, a fixed share of the training images is held out.
        test: Sources by name.
        processor: The model's.
        augment: The model's, for training samples.
        batch_size: Training images per process and step.
        num_workers: Processes that read ahead; None for one per core, at most 8.
        seed: The run's.
        val_split: `val` validates on the validation images; `train` on the training images
            themselves, which the ground-truth encoder's stop rule asks for.
        val_fraction: Fraction of the training images held out where there is no `val`. The choice
            is by a hash of each name, so it is the same for every seed and on every machine, and
            adding images does not move the others.
        sampling_weights: Share of the draws for each training set by name, or `HardExamples`.
        on_error: `stop` with the list of faulty files, or `skip` those to train on with a warning
            each. What shows itself only in mid-epoch is replaced, see `SegmentationDataModule`.
        allow_empty: Accept training masks without any foreground.
        soft: The masks are mattes, whose gray is alpha: nothing takes it for an edge or cuts it.
        reduced_decode: See `ImageMaskDataset`.
        cache: Keep resized training samples on `disk` or in `ram`, see `cache.py`; not of shards.
        cache_dir: Folder of the cache and of remembered checks; None: see `cache_folder`.
        drop_last: Drop training's last batch where it is not full.
        eval_batch_size: Images per batch in validation and test.
        shuffle_window: How many shards of a training set are shuffled together; None: all images,
            as those of a folder.
        shard_cache_gb: Size of the folder in `cache_dir` that keeps shards from a URL, in
            gigabytes (10⁹ bytes).

    Raises:
        DataError: In `setup`, with everything that is wrong.
    """

    def __init__(
        self,
        root: str | None,
        train: Any,
        val: Any,
        test: Any,
        processor: Processor,
        augment: Augmentation | None = None,
        batch_size: int = 8,
        num_workers: int | None = None,
        seed: int = 0,
        val_split: Literal["val", "train"] = "val",
        val_fraction: float = 0.1,
        sampling_weights: Mapping[str, float] | HardExamples | None = None,
        on_error: Literal["stop", "skip"] = "stop",
        allow_empty: bool = False,
        reduced_decode: bool = False,
        cache: Literal["none", "disk", "ram"] = "none",
        cache_dir: str | None = None,
        drop_last: bool = True,
        eval_batch_size: int = 1,
        soft: bool = False,
        shuffle_window: Annotated[int, Ge(1)] | None = None,
        shard_cache_gb: Annotated[float, Gt(0)] = DEFAULT_CACHE_GB,
    ) -> None:
        super().__init__(
            batch_size=batch_size,
            num_workers=num_workers,
            seed=seed,
            drop_last=drop_last,
            eval_batch_size=eval_batch_size,
            on_error=on_error,
        )
        check_choice("val_split", val_split, ("val", "train"))
        check_choice("cache", cache, ("none", "disk", "ram"))
        if not 0 <= val_fraction < 1:
            raise UserError(f"data.val_fraction is {val_fraction}; it is at least 0 and below 1")
        self.root = root
        self.train = parse_sources(train, "train")
        self.val = parse_sources(val, "val")
        self.test = parse_sources(test, "test")
        self.processor, self.augment = processor, augment
        self.val_split, self.val_fraction = val_split, val_fraction
        self.sampling_weights = sampling_weights
        self.allow_empty, self.reduced_decode, self.soft = allow_empty, reduced_decode, soft
        self.cache, self.cache_dir = cache, cache_folder(cache_dir)
        self.shuffle_window, self.shard_cache_gb = shuffle_window, shard_cache_gb
        self.pairs: dict[str, list[ImageMaskPair]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Find and check the files: for `fit` of all sets, so that the test cannot fail late."""
        if stage == "fit" and not self.train:
            raise UserError(
                "no training set: data.train.images=DIR data.train.masks=DIR, or data.train.shards="
            )
        require_root(self.root, [*self.train.values(), *self.val.values(), *self.test.values()])
        problems: list[str] = []
        training: dict[str, list[ImageMaskPair]] = {}
        tests: dict[str, list[ImageMaskPair]] = {}
        lost: list[str] = []
        if stage != "test" and not self.pairs:
            training = self._find_training(problems)
        if stage in (None, "fit", "test") and not self.test_sets:
            tests = index_sets(self.root, self.test, "stop", problems)
            lost = [name for name in self.test if name not in tests]
        found = [*training.get("train", ()), *training.get("val", ())]
        problems += mode_faults(found, self.allow_empty, self.soft)
        for pairs in tests.values():
            problems += mode_faults(pairs, True, self.soft)
        if problems:
            advice = f"A test set can be left out: '~data.test.{lost[0]}'" if lost else ""
            raise DataError("data", problems, advice)
        self._set_up_shards(training.get("train", []), [found, *tests.values()])
        if training:
            self._set_up_training(training)
        for name, pairs in tests.items():
            self.test_sets[name] = self._evaluated(pairs)

    def train_weights(self) -> np.ndarray | None:
        pairs = self.pairs["train"]
        if isinstance(self.sampling_weights, HardExamples):
            return self.sampling_weights.weights([pair.name for pair in pairs])
        if self.sampling_weights:
            return shares_to_weights(self.sampling_weights, [pair.set for pair in pairs])
        return None

    def train_windows(self) -> Windows | None:
        return windows_of(self.pairs["train"], self.shuffle_window)

    def fingerprint(self) -> dict[str, Any]:
        """Sets, counts and a hash of the files' names and sizes, for every set in use."""
        return {use: fingerprint(pairs) for use, pairs in self._used().items()}

    def files(self) -> dict[str, dict[str, Path]]:
        return {use: self._files_of(pairs) for use, pairs in self._used().items()}

    def _files_of(self, pairs: Sequence[ImageMaskPair]) -> dict[str, Path]:
        # The index holds a hash of each shard.
        found = {
            f"index {number} of shards": shards.index_file(self.cache_dir)
            for number, shards in enumerate(shard_sets(pairs), start=1)
        }
        return found | {
            f"{kind} of {pair.name}": path
            for pair in pairs
            if pair.packed is None
            for kind, path in (("image", pair.image), ("mask", pair.mask))
        }

    def _used(self) -> dict[str, Sequence[ImageMaskPair]]:
        """The pairs of every set in use."""
        tests = {
            f"test/{name}": dataset.pairs
            for name, dataset in self.test_sets.items()
            if isinstance(dataset, ImageMaskDataset)
        }
        return {name: pairs for name, pairs in {**self.pairs, **tests}.items() if pairs}

    def _find_training(self, problems: list[str]) -> dict[str, list[ImageMaskPair]]:
        train = join_sets(index_sets(self.root, self.train, self.on_error, problems))
        val = join_sets(index_sets(self.root, self.val, "stop", problems))
        faults = mask_faults([*train, *val], self.cache_dir, self.allow_empty, self.soft)
        train = without_faults(train, faults, self.on_error, problems)
        val = without_faults(val, faults, "stop", problems)
        if not self.val:
            train, val = split_by_hash(train, self.val_fraction)
        return {"train": train, "val": val}

    def _set_up_training(self, pairs: dict[str, list[ImageMaskPair]]) -> None:
        self.pairs = pairs
        train, val = pairs["train"], pairs["val"]
        if train:
            self.train_set = ImageMaskDataset(
                *(train, self.processor, self.augment, self.seed),
                reduced_decode=self.reduced_decode,
                soft=self.soft,
            )
            self.train_set.ahead = fetch_ahead(train, self.shuffle_window, self.seed)
            if self.cache != "none":
                self.train_set.fill_cache(
                    self.cache, self.cache_dir, self._workers(), self.on_error
                )
        validated = train if self.val_split == "train" else val
        self.val_set = self._evaluated(validated) if validated else None

    def _set_up_shards(
        self, train: Sequence[ImageMaskPair], used: Sequence[Sequence[ImageMaskPair]]
    ) -> None:
        """Refuse what shards cannot do, before anything is fetched of those behind a URL."""
        sets = [shards for pairs in used for shards in shard_sets(pairs)]
        cache = ShardCache(self.cache_dir / "shards", int(self.shard_cache_gb * 1e9))
        for shards in sets:
            shards.cache = cache
        if any(shards.is_remote for shards in sets):
            require_room(sets, cache)
        require_shuffled(train, self.shuffle_window, cache.limit)
        of_train = shard_sets(train)
        if self.sampling_weights and windows_of(train, self.shuffle_window) is not None:
            raise CommandError(
                "data.sampling_weights draws from the whole set, and data.shuffle_window has some"
                " shards of it at a time: leave one of them out"
            )
        if of_train and self.cache != "none":
            raise CommandError(
                f"data.cache={self.cache} keeps resized samples of files, and data.train is read"
                " from shards: leave it out"
            )

    def _evaluated(self, pairs: list[ImageMaskPair]) -> ImageMaskDataset:
        return ImageMaskDataset(
            *(pairs, self.processor),
            evaluate=True,
            reduced_decode=self.reduced_decode,
            soft=self.soft,
        )
