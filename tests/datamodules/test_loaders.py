"""Training continues at the exact batch, whatever was prefetched; evaluation repeats nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import Dataset

from src.datamodules.base import SegmentationDataModule
from src.datamodules.batch import SampleKey
from src.datamodules.loaders import ResumableLoader, evaluation_loader
from src.datamodules.samplers import TrainSampler
from src.errors import UserError

Seen = list[tuple[int, list[int]]]


class Labels(Dataset[dict[str, Any]]):
    """Samples that say which draw they are."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: int | SampleKey) -> dict[str, Any]:
        item, epoch = key[:2] if isinstance(key, SampleKey) else (key, -1)
        return {"index": item, "epoch": epoch, "image": torch.full((1, 1, 1), float(item))}


def loader(workers: int = 0, rank: int = 0, world: int = 1) -> ResumableLoader:
    sampler = TrainSampler(23, seed=3, rank=rank, world=world)
    return ResumableLoader(Labels(23), sampler, batch_size=4, num_workers=workers)


def items(batches: Any) -> list[list[int]]:
    return [batch["index"].tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_resumes_after_the_last_batch_received(workers: int) -> None:
    whole = loader()
    whole.order.set_epoch(2)
    expected = items(whole)

    stopped = loader(workers)
    stopped.order.set_epoch(2)
    iterator = iter(stopped)
    received = items(next(iterator) for _ in range(2))
    state = stopped.state_dict()
    assert state["batch"] == 2  # the workers are further ahead

    resumed = loader(workers)
    resumed.order.set_epoch(2)
    resumed.load_state_dict(state)
    assert len(resumed) == len(expected) == 5
    assert received + items(resumed) == expected
    assert items(resumed) == expected, "only the first pass after a resume is shortened"


def test_state_of_a_finished_epoch_does_not_shorten_the_next() -> None:
    finished = loader()
    items(finished)
    resumed = loader()
    resumed.load_state_dict(finished.state_dict())
    resumed.order.set_epoch(1)
    assert len(items(resumed)) == 5


def test_another_division_is_said(caplog: pytest.LogCaptureFixture) -> None:
    one = loader()
    next(iter(one))
    loader(world=2).load_state_dict(one.state_dict())
    assert "another division of the data" in caplog.text


def test_iterating_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    items(loader())
    assert torch.equal(before, torch.get_rng_state())


def test_batch_larger_than_the_set() -> None:
    with pytest.raises(UserError, match=r"3 training images on 1 process.*batch of 4.*batch_size"):
        ResumableLoader(Labels(3), TrainSampler(3, seed=0), batch_size=4)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_each_image_once(world: int) -> None:
    shards = [items(evaluation_loader(Labels(7), rank=r, world=world)) for r in range(world)]
    assert sorted(i for shard in shards for batch in shard for i in batch) == list(range(7))


class Recorder(LightningModule):
    """Notes the images of each step, so that runs can be compared."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: Seen = []

    def training_step(self, batch: Any) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch["index"].tolist()))
        if not self.trainer.overfit_batches:
            assert batch["epoch"].eq(self.current_epoch).all()
        return self.layer(batch["image"].flatten(1)).mean()

    def validation_step(self, batch: Any) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Stop(Callback):
    """Pulls the plug after a step, as a killed job does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise KeyError("killed")


def fit(folder: Path, workers: int, stop: int | None = None, **trainer_options: Any) -> Seen:
    module = Recorder()
    saving = ModelCheckpoint(
        folder, every_n_train_steps=2, save_last=True, save_on_train_epoch_end=False
    )
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[saving] if stop is None else [saving, Stop(stop)],
        use_distributed_sampler=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **trainer_options,
    )
    data = SegmentationDataModule(Labels(23), Labels(3), batch_size=4, num_workers=workers, seed=3)
    last = folder / "last.ckpt"
    try:
        trainer.fit(module, data, ckpt_path=last if last.exists() else None, weights_only=True)
    except KeyError:
        assert stop is not None
    return module.seen


@pytest.mark.filterwarnings("ignore:.*will create . worker processes")
@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [3, 5, 6, 9, 10, 11])
def test_a_killed_run_sees_the_same_batches(tmp_path: Path, workers: int, stop: int) -> None:
    whole = fit(tmp_path / "whole", 0)
    assert len(whole) == 15
    first = fit(tmp_path / "killed", workers, stop)
    saved = stop - stop % 2  # steps after the last checkpoint are lost and done again
    rest = fit(tmp_path / "killed", workers)
    assert first[:saved] + rest == whole


def test_overfitting_sees_one_batch_for_ever(tmp_path: Path) -> None:
    seen = fit(tmp_path, 0, overfit_batches=1)
    assert [items for _, items in seen] == [[0, 1, 2, 3]] * 3
