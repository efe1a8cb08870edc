"""The drawn data set: the same images everywhere, splits apart, samples as the borders say."""

from itertools import product

import numpy as np
import pytest
import torch
from hydra import compose as compose_config
from hydra import initialize
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.datamodules.batch import SampleKey
from src.datamodules.synthetic import SyntheticDataModule, SyntheticDataset
from src.datamodules.synthetic.dataset import SPLITS
from src.errors import UserError
from src.processing import Processor

PROCESSOR = Processor(size=(48, 64))


def dataset(split: str = "train", seed: int = 0, **options) -> SyntheticDataset:
    return SyntheticDataset(6, split, seed, PROCESSOR, **options)


def data_module(num_workers: int = 0, **options) -> SyntheticDataModule:
    lengths = {"train": 6, "val": 2, "test": 3}
    return SyntheticDataModule(
        PROCESSOR, lengths=lengths, batch_size=2, num_workers=num_workers, **options
    )


def noisy(sample, seed):
    """Stands for a model's augmentation: visible, and a function of its seed."""
    shift = np.random.default_rng(list(seed)).integers(1, 256, dtype=np.uint8)
    return {"image": sample["image"] + shift, "mask": sample["mask"][:, ::-1]}


def test_a_training_sample_holds_the_batch_keys_at_the_geometrys_size():
    sample = dataset()[SampleKey(4, epoch=1)]
    assert set(sample) == {"index", "name", "image", "mask"}
    assert sample["index"] == 4
    assert sample["name"].startswith("train_00004_")
    assert sample["image"].shape == (3, 48, 64)
    assert sample["mask"].shape == (1, 48, 64)
    assert sample["image"].dtype == sample["mask"].dtype == torch.uint8


def test_evaluation_adds_the_mask_as_drawn_in_varying_aspects():
    samples = [dataset(size=100, evaluation=True)[i] for i in range(6)]
    shapes = [tuple(sample["mask_full"].shape) for sample in samples]
    assert len(set(shapes)) > 1
    for sample, (height, width) in zip(samples, shapes, strict=True):
        assert abs(height * width - 100**2) < 300
        assert 0.65 < width / height < 1.5
        resized = PROCESSOR.resize_mask(sample["mask_full"].numpy())
        assert np.array_equal(sample["mask"][0], resized)


def test_augmentation_depends_on_seed_epoch_and_item_only_and_spares_evaluation():
    train = dataset(augment=noisy)
    assert torch.equal(train[SampleKey(2, 3)]["image"], train[SampleKey(2, 3)]["image"])
    assert not torch.equal(train[SampleKey(2, 3)]["image"], train[SampleKey(2, 4)]["image"])
    assert torch.equal(train[2]["image"], train[SampleKey(2, 0)]["image"])
    assert torch.equal(train[2]["mask"], dataset()[2]["mask"].flip(-1))
    plain, spared = dataset(evaluation=True), dataset(evaluation=True, augment=noisy)
    assert torch.equal(plain[2]["image"], spared[2]["image"])


def test_no_two_pictures_of_any_split_or_seed_share_a_random_stream():
    streams = [
        tuple(SyntheticDataset(40, split, seed, PROCESSOR).seed_of(item).generate_state(4))
        # 2**32 and the small ones differ only in the second word of the seed.
        for split, seed, item in product(SPLITS, (0, 1, 2, 2**32, 2**32 + 1), range(40))
    ]
    assert len(set(streams)) == len(streams)


def test_splits_and_seeds_give_other_pictures():
    sets = [dataset(split, seed) for split, seed in product(SPLITS, (0, 1))]
    digests = {images.image(i).image.tobytes() for images in sets for i in range(6)}
    assert len(digests) == 6 * len(sets)


def test_drawing_leaves_the_global_random_state_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    torch_before = torch.get_rng_state()
    dataset()[0]
    assert np.array_equal(before, np.random.get_state()[1])
    assert torch.equal(torch_before, torch.get_rng_state())


def test_batches_do_not_depend_on_the_number_of_workers():
    def batches(workers):
        loader = data_module(workers, augment=noisy).train_dataloader()
        return [(batch["name"], batch["image"], batch["mask"]) for batch in loader]

    alone, shared = batches(0), batches(2)
    assert len(alone) == 3
    for (names, images, masks), (others, same_images, same_masks) in zip(
        alone, shared, strict=True
    ):
        assert names == others
        assert torch.equal(images, same_images)
        assert torch.equal(masks, same_masks)


def test_the_data_module_offers_three_splits():
    data = data_module(name="drawn")
    assert data.test_names == ["drawn"]
    assert len(data.train_dataloader()) == 3
    (val,) = data.val_dataloader()
    names = [name for batch in val for name in batch["name"]]
    assert [name[:9] for name in names] == ["val_00000", "val_00001"]
    (test,) = data.test_dataloader()
    assert all(len(batch["mask_full"]) == 1 for batch in test)
    assert len(test) == 3


def test_val_split_train_validates_on_the_training_pictures_unaugmented():
    data = data_module(val_split="train", augment=noisy)
    assert len(data.val_set) == 6
    sample = data.val_set[1]
    assert sample["name"].startswith("train_00001")
    assert torch.equal(sample["image"], dataset()[1]["image"])
    assert "mask_full" in sample


def test_the_fingerprint_changes_with_the_seed_and_not_with_the_workers():
    fingerprint = data_module().fingerprint()
    assert set(fingerprint) == {"train", "val", "synthetic"}
    assert fingerprint["train"]["count"] == 6
    assert fingerprint == data_module(num_workers=2).fingerprint()
    assert fingerprint != data_module(image_seed=1).fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "trian"}, "no split 'trian'"),
        ({"length": 0}, "length 0"),
        ({"seed": -1}, "seed -1"),
        ({"size": 8}, "32 pixels or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(change, message):
    arguments = {"length": 1, "split": "val", "seed": 0, "processor": PROCESSOR} | change
    with pytest.raises(UserError, match=message) as caught:
        SyntheticDataset(**arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_val_split_is_refused():
    with pytest.raises(UserError, match="choose val or train"):
        data_module(val_split="test")


def test_an_index_outside_of_the_set_ends_iteration():
    with pytest.raises(IndexError, match="picture 6 of 6"):
        dataset()[6]
    with pytest.raises(IndexError):
        dataset()[-1]


def test_the_yaml_builds_it_from_the_models_settings():
    with initialize(version_base=None, config_path="../../../conf"):
        cfg = compose_config("data/synthetic", ["+seed=5"])
    processor = {"_target_": "src.processing.Processor", "size": 64}
    OmegaConf.set_struct(cfg, False)
    cfg.model = {"processor": processor, "augment": None, "batch_size": 2}
    data = instantiate(cfg.data, _convert_="all")
    assert data.train_set.augment_seed == data.seed == 5
    assert data.train_set.seed == 0  # every run sees the same images
    assert data.batch_size == 2
    assert data.train_set.processor == Processor(size=(64, 64))
    assert [len(data.train_set), len(data.val_set), len(data.test_sets["synthetic"])] == [
        400,
        50,
        100,
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_names_are_known_without_drawing(split: str):
    images = dataset(split, seed=3, evaluation=True)
    assert images.names == [images[item]["name"] for item in range(len(images))]
