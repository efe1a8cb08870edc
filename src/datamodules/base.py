"""The data module of any data sets that yield samples of a `Batch`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning import LightningDataModule
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset

from src.datamodules.loaders import (
    ResumableLoader,
    evaluation_loader,
    require_batch,
    resolve_workers,
)
from src.datamodules.samplers import TrainSampler, Windows
from src.datamodules.wrappers import FallbackDataset, RehearsalMix
from src.errors import CommandError, UserError
from src.instantiate import build
from src.settings.multiscale import Multiscale


class SegmentationDataModule(LightningDataModule):
    """Loaders over data sets: training batches resume in mid-epoch, evaluation never repeats.

    The trainer must have `use_distributed_sampler=False`, because the samplers here already
    divide the images among processes.

    Args:
        train: Answers `train[SampleKey]`, a function of the draw and the set's seed alone.
        val: Answers `val[int]` with samples that have `mask_full`; None validates nothing.
        test: Sets by name, like `val`; each with `names`, those of its images in order.
        batch_size: Training images per process and step.
        num_workers: Processes that read ahead; None for one per core, at most 8.
        seed: Seed of the order in training.
        drop_last: Drop training's last batch where it is not full.
        eval_batch_size: Images per batch in validation and test.
        on_error: At a training sample that cannot be read, `stop` with its name, or `skip` it:
            another takes its place, see `substitutes.py`. Evaluation always stops.
    """

    # More processes than test images leave some processes without any.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        train: Dataset[Any] | None = None,
        val: Dataset[Any] | None = None,
        test: Mapping[str, Dataset[Any]] | None = None,
        batch_size: int = 8,
        num_workers: int | None = None,
        seed: int = 0,
        drop_last: bool = True,
        eval_batch_size: int = 1,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        super().__init__()
        check_choice("on_error", on_error, ("stop", "skip"))
        self.train_set, self.val_set = train, val
        self.base: SegmentationDataModule | None = None
        self.base_set: Dataset[Any] | None = None
        self.test_sets: dict[str, Dataset[Any]] = dict(test or {})
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.num_workers, self.seed, self.drop_last = num_workers, seed, drop_last
        self.on_error = on_error
        # What `build_data` varies: the sizes of training batches, and images behind foregrounds.
        self.multiscale: Multiscale | None = None
        self.backgrounds: dict[str, Path] = {}

    @property
    def test_names(self) -> list[str]:
        """Names of the test sets, in the order of the loaders."""
        return list(self.test_sets)

    def image_names(self, test_set: str) -> Sequence[str]:
        """What the images of a test set are called, by their index.

        Raises:
            UserError: The data set does not say, or not of each image.
        """
        dataset = self.test_sets[test_set]
        names = getattr(dataset, "names", None)
        if names is None or len(names) != len(dataset):  # type: ignore[arg-type]
            raise UserError(
                f"the test set {test_set} has no `names`, one for each image in its order, which "
                f"result files call them by: {type(dataset).__name__} has to have them"
            )
        return list(names)

    @property
    def validation_sets(self) -> dict[str, Dataset[Any]]:
        """What is scored in validation, in the order of the loaders: `val`, then `base`."""
        named = {"val": self.val_set, "base": self.base_set}
        return {name: dataset for name, dataset in named.items() if dataset is not None}

    def add_base(self, base: "SegmentationDataModule", share: float) -> None:
        """Score the data that weights come from in each validation, and mix it into training.

        Both data modules are set up. What is scored of `base` are its validation images, or its
        first test set where it has none.

        Args:
            base: Data of the same kind, made for the same model.
            share: Of the training images of an epoch that are from `base`; 0 only scores.

        Raises:
            UserError: There is nothing to score or to mix, or samples that cannot share a batch.
        """
        self.base_set = base.val_set or next(iter(base.test_sets.values()), None)
        if self.base_set is None:
            raise UserError("the base data has nothing to score: set base.val_fraction or base.val")
        self.base = base
        if share == 0:
            return
        if base.train_set is None or self.train_set is None:
            raise UserError(
                "finetune.replay mixes training images of the base data in, of which there are"
                " none: set base.train, or finetune.replay=0"
            )
        if self.train_windows() is not None or base.train_windows() is not None:
            raise CommandError(
                "finetune.replay mixes images of all of both sets, and shuffle_window has some"
                " shards of one at a time: leave one of them out"
            )
        self.train_set = RehearsalMix(self.train_set, base.train_set, share, self.seed)

    def require_batch(self, processes: int) -> None:
        """Refuse, before anything is computed, training images that fill no batch.

        Raises:
            UserError: They are fewer than one batch of each process.
        """
        if self.train_set is not None:
            images = len(self.train_set)  # type: ignore[arg-type]
            require_batch(images, processes, self.batch_size, self.drop_last)

    def train_dataloader(self) -> ResumableLoader:
        if self.train_set is None:
            raise UserError(
                "this data has no training set; choose another data=… or set data.train"
            )
        rank, world = self._place()
        weights, windows = self.train_weights(), self.train_windows()
        if isinstance(self.train_set, RehearsalMix):
            weights = self.train_set.weights(weights)
        sampler = TrainSampler(
            len(self.train_set),  # type: ignore[arg-type]
            self.seed,
            rank,
            world,
            self.drop_last,
            weights,
            fixed=self.trainer is not None and self.trainer.overfit_batches > 0,  # type: ignore[attr-defined]
            windows=windows,
        )
        workers = self._workers()
        readable = self.train_set
        if self.on_error == "skip":
            readable = FallbackDataset(self.train_set, self.seed)
        return ResumableLoader(
            readable, sampler, self.batch_size, workers, self.drop_last, self.multiscale
        )

    def val_dataloader(self) -> list[DataLoader[Any]]:
        return [self._evaluate(each, persistent=True) for each in self.validation_sets.values()]

    def test_dataloader(self) -> list[DataLoader[Any]]:
        if not self.test_sets:
            raise UserError("this data has no test set; choose another data=… or set data.test")
        return [self._evaluate(dataset) for dataset in self.test_sets.values()]

    def train_weights(self) -> np.ndarray | None:
        """Chances of the training images, None for equal ones; for subclasses that weigh them."""
        return None

    def train_windows(self) -> Windows | None:
        """How the training images are shuffled some shards at a time; None: all of them."""
        return None

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the data, for the run's provenance; here the sizes of the sets."""
        tests = {f"test/{name}": dataset for name, dataset in self.test_sets.items()}
        named = {"train": self.train_set, "val": self.val_set, **tests}
        return {name: {"count": len(s)} for name, s in named.items() if s is not None}  # type: ignore[arg-type]

    def files(self) -> dict[str, dict[str, Path]]:
        """The files of every set in use, by names that hold wherever the data lies.

        Sets have the names of `fingerprint`; those that are drawn are left out.
        """
        return {}

    def _evaluate(self, dataset: Dataset[Any], persistent: bool = False) -> DataLoader[Any]:
        rank, world = self._place()
        workers = self._workers()
        return evaluation_loader(dataset, self.eval_batch_size, workers, rank, world, persistent)

    def _place(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _workers(self) -> int:
        processes = self.trainer.world_size if self.trainer else 1
        return resolve_workers(self.num_workers, processes)


def build_data(cfg: DictConfig) -> SegmentationDataModule:
    """The data module of a command's config, its training varied as the top-level keys say.

    Args:
        cfg: Has `data`, and optionally `multiscale` and `backgrounds`.

    Raises:
        UserError: A value that is refused, or background images that cannot be used.
    """
    backgrounds = cfg.get("backgrounds")
    if backgrounds is None or not backgrounds.share:
        datamodule: SegmentationDataModule = build(cfg.data)
    else:
        # albumentations takes a second to import; a test needs none of it
        from src.datamodules.backgrounds import NewBackgrounds, background_images

        if "augment" not in cfg.data:
            raise CommandError(
                "backgrounds.share: this data is not augmented, so that its backgrounds stay;"
                " choose another data=…"
            )
        folder = backgrounds.images
        images = [] if folder is None else background_images(folder)
        varied = NewBackgrounds(build(cfg.data.augment), backgrounds.share, images)
        datamodule = build(cfg.data, augment=varied)
        if folder is not None:
            top = Path(folder).expanduser()
            datamodule.backgrounds = {p.relative_to(top).as_posix(): p for p in images}
    if cfg.get("multiscale") is not None:
        datamodule.multiscale = Multiscale.parse(cfg.multiscale)
    return datamodule


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that a key of `data` does not know.

    Raises:
        UserError: With the values that it knows.
    """
    if value not in choices:
        raise UserError(f"data.{key} is {value!r}; choose one of {', '.join(choices)}")
