"""Old data among the new: the share is kept, all of it comes by, and a resume changes nothing."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from src.datamodules.base import SegmentationDataModule
from src.datamodules.batch import SampleKey
from src.datamodules.wrappers import RehearsalMix
from src.errors import UserError


class Numbers(Dataset[dict[str, Any]]):
    """Samples that say which item and epoch they were asked for."""

    def __init__(self, length: int, first: int = 0, **more: Any) -> None:
        self.length, self.first, self.more = length, first, more

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: SampleKey) -> dict[str, Any]:
        image = torch.full((3, 4, 4), self.first + draw.item)
        return {
            "index": draw.item,
            "name": f"{draw.item}@{draw.epoch}",
            "image": image,
            **self.more,
        }


def shown(replay: RehearsalMix, epoch: int) -> list[int]:
    return [int(replay[SampleKey(i, epoch)]["image"][0, 0, 0]) for i in range(len(replay))]


def test_each_own_image_once_and_the_share_of_the_base() -> None:
    replay = RehearsalMix(Numbers(80), Numbers(500, first=1000), share=0.2)
    seen = shown(replay, epoch=0)
    assert seen[:80] == list(range(80))
    assert len(seen) == 100
    assert all(value >= 1000 for value in seen[80:])


def test_epochs_go_through_all_of_the_base() -> None:
    replay = RehearsalMix(Numbers(8), Numbers(10, first=1000), share=0.2)
    assert replay.places == 2
    seen = [value for epoch in range(5) for value in shown(replay, epoch)[8:]]
    assert sorted(seen) == list(range(1000, 1010))
    assert shown(replay, epoch=5) == shown(replay, epoch=0)  # and begins again


def test_samples_keep_their_place_and_tell_where_they_are_from() -> None:
    sample = RehearsalMix(Numbers(4), Numbers(4), share=0.5)[SampleKey(6, epoch=3)]
    assert sample["index"] == 6
    assert sample["name"].startswith("base/")
    assert sample["name"].endswith("@3")


def test_weights_of_the_own_images_leave_the_share_as_it_is() -> None:
    replay = RehearsalMix(Numbers(8), Numbers(10), share=0.2)
    assert replay.weights(None) is None
    weights = replay.weights(np.array([1.0] * 7 + [3.0]))
    assert weights is not None
    assert len(weights) == len(replay)
    assert weights[8:].sum() == pytest.approx(0.2)
    assert weights[7] == pytest.approx(3 * weights[0])


def test_images_and_objects_do_not_mix() -> None:
    with pytest.raises(UserError, match="objects with clicks cannot be mixed"):
        RehearsalMix(Numbers(4), Numbers(4, prompt=torch.zeros(1, 4, 4)), share=0.2)


def test_a_data_module_scores_and_mixes_its_base() -> None:
    data = SegmentationDataModule(Numbers(8), val=Numbers(3), num_workers=0, batch_size=5)
    data.add_base(SegmentationDataModule(Numbers(10), test={"old": Numbers(2)}), share=0.2)
    assert {name: len(each) for name, each in data.validation_sets.items()} == {"val": 3, "base": 2}  # type: ignore[arg-type]
    assert len(data.val_dataloader()) == 2
    names = [name for batch in data.train_dataloader() for name in batch["name"]]
    assert len(names) == 10
    assert sum(name.startswith("base/") for name in names) == 2


def test_a_share_of_nothing_trains_on_the_new_data_alone() -> None:
    new = Numbers(8)
    data = SegmentationDataModule(new)
    data.add_base(SegmentationDataModule(val=Numbers(2)), share=0)
    assert data.train_set is new


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (SegmentationDataModule(Numbers(4)), "nothing to score: set base.val_fraction"),
        (SegmentationDataModule(val=Numbers(4)), "set base.train, or finetune.replay=0"),
    ],
)
def test_what_the_base_lacks_is_said(base: SegmentationDataModule, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SegmentationDataModule(Numbers(8)).add_base(base, share=0.2)
