"""Training batches of many sizes: each is the batch that a training at its size alone has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule

from src.datamodules.augmentation import isnet, u2net
from src.datamodules.batch import SampleKey
from src.datamodules.clicks import InsideOutsidePoints
from src.datamodules.image_mask_folder import FolderDataModule
from src.datamodules.instances import InstanceDataset
from src.datamodules.samplers import TrainBatches, TrainSampler
from src.datamodules.synthetic.dataset import SyntheticDataModule
from src.datamodules.wrappers import FallbackDataset, RehearsalMix
from src.errors import UserError
from src.processing import Processor
from src.settings.multiscale import Multiscale
from tests.datamodules.miniatures import write_set
from tests.datamodules.test_instances import Discs

SIZES = Multiscale.parse([[64, 96], 32, 64])
FIXED = Processor(48)


def sizes_of(rank: int, world: int, epoch: int = 0, skipped: int = 0) -> list[Any]:
    sampler = TrainSampler(24, seed=7, rank=rank, world=world)
    sampler.set_epoch(epoch)
    sampler.skip(2 * skipped)
    return [[key.size for key in batch] for batch in TrainBatches(sampler, 2, True, SIZES)]


def test_a_batch_has_one_size_on_every_process() -> None:
    first, second = sizes_of(0, 2), sizes_of(1, 2)
    assert first == second
    assert all(len(set(batch)) == 1 for batch in first)
    assert len({batch[0] for batch in first}) > 1
    assert sizes_of(0, 1, epoch=1) != sizes_of(0, 1, epoch=0)


def test_a_resume_in_mid_epoch_draws_the_sizes_that_would_have_come() -> None:
    for done in range(12):
        assert sizes_of(0, 1, skipped=done) == sizes_of(0, 1)[done:]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    write_set(root / "images", root / "masks", 6)
    return root


def folder(root: Path, processor: Processor, **more: Any) -> FolderDataModule:
    sources = {"images": "images", "masks": "masks"}
    data = FolderDataModule(
        str(root), sources, sources, None, processor, isnet(), 2, 0, cache_dir=f"{root}/c", **more
    )
    data.setup("validate")
    return data


def drawn(processor: Processor) -> SyntheticDataModule:
    return SyntheticDataModule(processor, u2net(), {"train": 4, "val": 2, "test": 1}, 64)


@pytest.mark.parametrize("kind", ["folder", "synthetic"])
def test_a_batch_is_the_one_of_a_training_at_its_size(kind: str, files: Path) -> None:
    def data(processor: Processor) -> LightningDataModule:
        return folder(files, processor) if kind == "folder" else drawn(processor)

    varied: Any = data(FIXED)
    varied.batch_size, varied.multiscale = 2, SIZES
    seen = set()
    for number, batch in enumerate(varied.train_dataloader()):
        size = SIZES.draw(0, 0, number)
        alone: Any = data(Processor(size))
        alone.batch_size = 2
        same = list(alone.train_dataloader())[number]
        assert batch["name"] == same["name"]
        assert torch.equal(batch["image"], same["image"])
        assert torch.equal(batch["mask"], same["mask"])
        seen.add(size)
    assert len(seen) > 1
    assert {tuple(one["image"].shape[2:]) for one in varied.val_dataloader()[0]} == {(48, 48)}


def test_crops_and_their_clicks_have_the_batchs_size() -> None:
    processor = Processor(128, scale="none")
    dataset = InstanceDataset(Discs(), processor, InsideOutsidePoints())
    alone = InstanceDataset(Discs(), processor.at((64, 96)), InsideOutsidePoints())
    sample, same = dataset[SampleKey(0, 1, (64, 96))], alone[SampleKey(0, 1)]
    for key in ("image", "mask", "void", "prompt"):
        assert sample[key].shape[1:] == (64, 96)
        assert torch.equal(sample[key], same[key])


def test_samples_in_the_place_of_others_have_their_size() -> None:
    class Half:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, key: SampleKey) -> dict[str, Any]:
            if key.item % 2:
                raise UserError("broken")
            pixels = torch.zeros(3, *(key.size or (8, 8)))
            return {"index": key.item, "name": str(key.item), "image": pixels}

    key = SampleKey(1, 0, (32, 64))
    replaced = FallbackDataset(Half(), seed=0)[key]  # type: ignore[arg-type]
    assert replaced["image"].shape[1:] == (32, 64)
    mix = RehearsalMix(FallbackDataset(Half(), 0), FallbackDataset(Half(), 0), 0.5)  # type: ignore[arg-type]
    assert mix[SampleKey(5, 0, (32, 64))]["image"].shape[1:] == (32, 64)


def test_a_cache_serves_its_own_size_alone(files: Path) -> None:
    data = folder(files, FIXED, cache="disk")
    dataset: Any = data.train_set
    image, mask = dataset.resized(0, (64, 32))
    assert image.shape == (64, 32, 3)
    assert mask.shape == (64, 32)
    assert np.array_equal(dataset.resized(0)[0], dataset.cache[0][0])
