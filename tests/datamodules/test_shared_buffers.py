"""Batches in memory that is used again are those that `collate` makes, and nobody loses one."""

import gc
import pickle
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from src.datamodules import shared_buffers
from src.datamodules.batch import collate
from src.datamodules.shared_buffers import SharedBuffers


class Samples(Dataset[dict[str, Any]]):
    """Samples with everything that a batch may hold, of a size that may grow with the item."""

    def __init__(self, growing: bool = True) -> None:
        self.growing = growing

    def __getitem__(self, item: int) -> dict[str, Any]:
        side = 3 + self.growing * (item // 4)
        return {
            "index": item,
            "name": f"{item}",
            "image": torch.full((3, side, side), item % 256, dtype=torch.uint8),
            "prompt": torch.full((1, side, 2), float(item)),
            "box": torch.arange(4) + item,
            "mask_full": torch.full((item % 3 + 1, 2), item, dtype=torch.uint8),
        }


def loader(buffers: Any, batches: int, workers: int, growing: bool = True) -> DataLoader[Any]:
    order = [range(4 * b, 4 * b + 4) for b in range(batches)]
    return DataLoader(
        Samples(growing),
        batch_sampler=order,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=buffers,
        persistent_workers=workers > 0,
    )


def assert_equal(found: Any, expected: Any) -> None:
    assert {*found} == {*expected}
    for key, value in expected.items():
        for a, b in zip(found[key], value, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def expected(batches: int) -> list[Any]:
    return [collate([Samples()[4 * b + i] for i in range(4)]) for b in range(batches)]


@pytest.mark.filterwarnings("ignore:.*will create . worker processes")
def test_batches_are_equal_in_every_epoch_and_may_be_kept() -> None:
    """All of them are kept: more than there are buffers, which nothing may overwrite."""
    buffers = SharedBuffers(2)
    batches = loader(buffers, 12, workers=2)
    kept = [batch for _ in range(2) for batch in batches]
    for found, wanted in zip(kept, expected(12) * 2, strict=True):
        assert_equal(found, wanted)
    assert buffers.in_use.all()
    mapped = {batch["image"].untyped_storage().data_ptr() for batch in kept[:4]}
    assert len(mapped) == 4


def test_a_buffer_is_used_again_when_its_last_tensor_is_gone() -> None:
    buffers = SharedBuffers(1)
    places = []
    for batch in loader(buffers, 12, workers=1, growing=False):
        view = batch["image"][1:, :1]
        places.append(view.untyped_storage().data_ptr())
        del batch
        assert buffers.in_use.any()  # by what was cut out of it
        view += 1  # its own memory: nobody else's batch changes
    del view
    gc.collect()
    assert not buffers.in_use.any()
    assert len({*places}) <= shared_buffers._BUFFERS


def test_without_workers_it_is_collate() -> None:
    for found, wanted in zip(loader(SharedBuffers(0), 2, workers=0), expected(2), strict=True):
        assert_equal(found, wanted)


@pytest.fixture
def in_worker() -> Iterator[None]:
    """As if this process were a loader's worker."""

    class Worker:
        id = 0

    with patch.object(shared_buffers, "get_worker_info", Worker):
        yield


@pytest.mark.usefixtures("in_worker")
def test_a_batch_that_never_arrives_costs_its_buffer_alone() -> None:
    buffers = SharedBuffers(1)
    sent = [buffers([Samples()[0]]) for _ in range(shared_buffers._BUFFERS)]
    assert isinstance(buffers([Samples()[0]]), dict), "as torch makes it, when no buffer is free"
    batch = buffers.receive(sent[0])  # type: ignore[arg-type]
    assert buffers.in_use.all()
    del batch
    assert buffers.in_use[0].tolist() == [0, 1, 1, 1]


@pytest.mark.usefixtures("in_worker")
def test_samples_that_do_not_fit_together_take_no_buffer() -> None:
    buffers = SharedBuffers(1)
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        buffers([Samples()[0], Samples()[8]])
    assert not buffers.in_use.any()


def test_a_spawned_worker_is_sent_no_buffers() -> None:
    buffers = SharedBuffers(1)
    buffers._made[0] = torch.zeros(9)
    assert buffers.__getstate__()["_made"] == {}
    assert pickle.loads(pickle.dumps(buffers)).key == buffers.key
