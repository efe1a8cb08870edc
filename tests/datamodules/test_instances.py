"""Objects become samples: crop, clicks, void, augmentation, and the way back."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from lightning import LightningDataModule

from src.datamodules.batch import SampleKey, collate
from src.datamodules.clicks import ExtremePoints, InsideOutsidePoints, Prompts
from src.datamodules.instance_sources import Instance
from src.datamodules.instances import (
    InstanceDataModule,
    InstanceDataset,
    flip_rotate_scale,
)
from src.errors import UserError
from src.processing import Processor
from src.processing.crop import Box, EmptyMaskError, paste_back

DEXTR = Processor(128, image_kernel="opencv_cubic", mask_kernel="nearest", scale="none")
IOG = Processor(128, scale="none")
PAPERS = [(DEXTR, ExtremePoints()), (IOG, InsideOutsidePoints())]


class Discs:
    """A disc per item, some at the image's border, with a ring of void around it."""

    def __init__(self, centers: Sequence[tuple[int, int]] = ((60, 50), (3, 4), (118, 90))) -> None:
        self.centers = centers

    sets = ("discs",)

    @property
    def names(self) -> list[str]:
        return [f"disc{i}" for i in range(len(self))]

    def __len__(self) -> int:
        return len(self.centers)

    def sample(self, item: int) -> Instance:
        y, x = np.mgrid[:100, :120]
        distance = np.hypot(x - self.centers[item][0], y - self.centers[item][1])
        mask = (distance <= 15).astype(np.uint8) * np.uint8(255)
        void = ((distance > 15) & (distance <= 17)).astype(np.uint8) * np.uint8(255)
        image = np.stack([mask, 255 - mask, void], axis=2)
        return Instance(image, mask, void, self.names[item], item + 1)


@pytest.mark.parametrize(("processor", "prompts"), PAPERS)
@pytest.mark.parametrize("item", range(3))
def test_an_evaluation_sample(processor: Processor, prompts: Prompts, item: int) -> None:
    dataset = InstanceDataset(Discs(), processor, prompts, evaluate=True)

    sample = dataset[item]

    channels = 1 if isinstance(prompts, ExtremePoints) else 2
    assert {key: sample[key].shape for key in ("image", "mask", "void", "prompt")} == {
        "image": (3, 128, 128),
        "mask": (1, 128, 128),
        "void": (1, 128, 128),
        "prompt": (channels, 128, 128),
    }
    assert all(sample[key].dtype == torch.uint8 for key in ("image", "mask", "void", "mask_full"))
    assert sample["prompt"].dtype == torch.float32
    assert sample["name"] == dataset.names[item] == f"disc{item}"
    assert sample["category"] == item + 1
    # The image's first channel is the mask, so both crops must show the object in one place.
    agreeing = (sample["image"][0] >= 128) == (sample["mask"][0] >= 128)
    assert agreeing.float().mean() > 0.98
    first = sample["prompt"][0]
    on_object = first[sample["mask"][0] >= 128]
    assert on_object.max() == first.max() == 255


@pytest.mark.parametrize(("processor", "prompts"), PAPERS)
@pytest.mark.parametrize("item", range(3))
def test_a_perfect_crop_pastes_back_to_the_object(
    processor: Processor, prompts: Prompts, item: int
) -> None:
    sample = InstanceDataset(Discs(), processor, prompts, evaluate=True)[item]
    target = sample["mask_full"].numpy() >= 128
    box = Box(*sample["box"].tolist())
    relax = prompts.relax if isinstance(prompts, ExtremePoints) else 0
    perfect = (sample["mask"][0].numpy() >= 128).astype(np.float32)

    pasted = paste_back(perfect, box, target.shape, relax) > 0.5

    assert (pasted & target).sum() / (pasted | target).sum() > 0.95


@pytest.mark.parametrize(("processor", "prompts"), PAPERS)
def test_training_samples_depend_on_seed_epoch_and_item_alone(
    processor: Processor, prompts: Prompts
) -> None:
    def made(seed: int, draw: SampleKey) -> dict:
        return InstanceDataset(Discs(), processor, prompts, flip_rotate_scale(), seed)[draw]

    sample = made(1, SampleKey(0, 3))
    assert set(sample) == {"index", "name", "image", "mask", "void", "prompt", "box"}
    again = made(1, SampleKey(0, 3))
    assert all(torch.equal(sample[key], again[key]) for key in ("image", "mask", "prompt", "box"))
    for other in (made(2, SampleKey(0, 3)), made(1, SampleKey(0, 4))):
        assert not torch.equal(sample["image"], other["image"])


def test_image_mask_and_void_move_together() -> None:
    dataset = InstanceDataset(Discs(), DEXTR, ExtremePoints(), flip_rotate_scale())
    for epoch in range(8):
        sample = dataset[SampleKey(0, epoch)]
        for channel, key in ((0, "mask"), (2, "void")):
            agreeing = (sample["image"][channel] >= 128) == (sample[key][0] >= 128)
            assert agreeing.float().mean() > 0.95
        assert set(sample["mask"].unique().tolist()) == {0, 255}


def test_extreme_points_move_in_training_only() -> None:
    training = InstanceDataset(Discs(), DEXTR, ExtremePoints())
    testing = InstanceDataset(Discs(), DEXTR, ExtremePoints(), evaluate=True)
    drawn = [training[SampleKey(0, epoch)]["prompt"] for epoch in range(4)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])
    assert torch.equal(testing[0]["prompt"], testing[SampleKey(0, 9)]["prompt"])


def test_an_object_moved_out_of_the_image_stays_where_it_was() -> None:
    class Corner(Discs):
        def sample(self, item: int) -> Instance:
            instance = super().sample(item)
            mask = np.zeros_like(instance.mask)
            mask[0, 0] = 255
            return instance._replace(mask=mask)

    dataset = InstanceDataset(Corner(), DEXTR, ExtremePoints(), flip_rotate_scale())
    boxes = [dataset[SampleKey(0, epoch)]["box"].tolist() for epoch in range(30)]
    assert [-50, -50, 50, 50] in boxes


def test_a_thin_object_does_not_vanish() -> None:
    class Wire(Discs):
        def sample(self, item: int) -> Instance:
            mask = np.zeros((900, 900), np.uint8)
            mask[3, 5] = mask[897, 893] = 255
            image = np.zeros((900, 900, 3), np.uint8)
            return Instance(image, mask, np.zeros_like(mask), "wire", 0)

    sample = InstanceDataset(Wire(), DEXTR, ExtremePoints(), evaluate=True)[0]
    assert sample["mask"].max() == 255


def test_an_object_without_pixels_is_named() -> None:
    class Nothing(Discs):
        def sample(self, item: int) -> Instance:
            instance = super().sample(item)
            return instance._replace(mask=np.zeros_like(instance.mask))

    with pytest.raises(EmptyMaskError, match=r"disc1: .*no foreground.*min_area"):
        InstanceDataset(Nothing(), DEXTR, ExtremePoints())[1]


def test_the_data_module_batches_objects_of_images_of_any_size() -> None:
    module = InstanceDataModule(
        root="here",
        train=lambda root: Discs(),
        val=lambda root: Discs(),
        test={"discs": lambda root: Discs(), "two": lambda root: Discs([(20, 20), (40, 40)])},
        processor=IOG,
        prompts=InsideOutsidePoints(),
        augment=flip_rotate_scale(),
        batch_size=2,
        eval_batch_size=2,
        num_workers=0,
    )
    assert isinstance(module, LightningDataModule)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert batch["image"].shape == (2, 3, 128, 128)
    assert batch["prompt"].shape == (2, 2, 128, 128)
    assert batch["box"].shape == (2, 4)
    first, second = (next(iter(loader)) for loader in module.test_dataloader())
    assert first["category"].tolist() == [1, 2]
    assert [mask.shape for mask in second["mask_full"]] == [(100, 120)] * 2
    assert module.test_names == ["discs", "two"]
    train = module.fingerprint()["train"]
    assert (train["sets"], train["count"], len(train["sha256"])) == (["discs"], 3, 64)
    assert collate([module.val_set[0]])["void_full"][0].max() == 255


def test_testing_alone_lists_no_training_objects() -> None:
    module = InstanceDataModule(
        root="here",
        train=lambda root: pytest.fail("listed"),
        val=None,
        test={"discs": lambda root: Discs()},
        processor=DEXTR,
        prompts=ExtremePoints(),
    )
    module.setup("test")
    assert len(module.test_sets["discs"]) == 3


def test_a_root_must_be_given() -> None:
    module = InstanceDataModule(
        root=None,
        train=lambda root: Discs(),
        val=None,
        test=None,
        processor=DEXTR,
        prompts=ExtremePoints(),
    )
    with pytest.raises(UserError, match=r"data\.root=DIR"):
        module.setup("fit")
