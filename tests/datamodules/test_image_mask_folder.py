"""The data files of `conf/data`, composed as a user composes them, on miniatures of each layout."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from src.datamodules.batch import SampleKey
from src.datamodules.image_mask_folder import FolderDataModule
from src.datamodules.pairs import DataError
from src.datamodules.samplers import HardExamples
from src.errors import UserError
from tests.datamodules.miniatures import write_set
from tests.golden_data import SHARED, needs_shared

CONF = Path(__file__).parents[2] / "conf"
# Of image and mask files; the others name the class that reads their objects.
SETS = [
    path.stem
    for path in sorted((CONF / "data" / "sets").glob("*.yaml"))
    if "_target_" not in OmegaConf.load(path)
]
MIXES = [
    "dis5k",
    "duts",
    "hrsod",
    "uhrsd",
    "duts+hrsod",
    "hrsod+uhrsd",
    "duts+hrsod+uhrsd",
    "plus_ultra",
    "cod",
]
PREFIXES = {"COD10K-CAM-*": "COD10K-CAM-1-Aquatic-", "[!C]*": "camourflage_"}
COUNT = 6


def config(*overrides: str) -> DictConfig:
    """What `python train.py model=u2netp …` composes, small."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", ["model=u2netp", "model.size=32", "data.num_workers=0", *overrides])


@cache
def own_config() -> DictConfig:
    return config("data=folder", "model.batch_size=2")


def build(cfg: DictConfig) -> FolderDataModule:
    data = instantiate(cfg.data, _convert_="all")
    assert isinstance(data, FolderDataModule)
    return data


def own(root: Path, **changes: Any) -> FolderDataModule:
    """`data=folder` on `images` and `masks` below a folder, with changes to its keys."""
    cfg = deepcopy(own_config())
    cfg.data.train = {"images": f"{root}/images", "masks": f"{root}/masks"}
    cfg.data.cache_dir = f"{root}/cache"
    for key, value in changes.items():
        cfg.data[key] = value
    return build(cfg)


def each_set(cfg: DictConfig) -> dict[str, Any]:
    return {
        name: source
        for split in ("train", "val", "test")
        for name, source in (cfg.data[split] or {}).items()
    }


def with_miniatures(cfg: DictConfig, root: Path, spelling: int) -> FolderDataModule:
    """Write every set of a config in one of its spellings, with few images."""
    for seed, source in enumerate(each_set(cfg).values()):
        source.count = COUNT
        place = min(spelling, len(source.images) - 1), min(spelling, len(source.masks) - 1)
        images, masks = root / source.images[place[0]], root / source.masks[place[1]]
        prefix = PREFIXES.get(source.get("names"), "img_")
        write_set(images, masks, COUNT, seed, prefix=prefix)
    cfg.data.root, cfg.data.cache_dir = str(root), str(root / "cache")
    return build(cfg)


@pytest.mark.parametrize("name", MIXES)
def test_released_layouts_load(name: str, tmp_path: Path) -> None:
    cfg = config(f"data={name}", "model.batch_size=2")
    data = with_miniatures(cfg, tmp_path, spelling=0)
    data.setup("fit")
    # Where no validation set is released every image trains, as in the papers.
    assert len(data.train_set) == len(cfg.data.train) * COUNT  # type: ignore[arg-type]
    assert (data.val_set is None) == (not cfg.data.val)
    assert data.val_set is None or len(data.val_set) == COUNT  # type: ignore[arg-type]
    assert data.test_names == list(cfg.data.test)
    assert data.fingerprint()["train"]["sets"] == sorted(cfg.data.train)

    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 3, 29, 29)  # U²-Net crops nine tenths
    assert batch["mask"].shape == (2, 1, 29, 29)
    assert batch["image"].dtype == batch["mask"].dtype == torch.uint8
    assert "mask_full" not in batch
    for loader in [*data.val_dataloader(), *data.test_dataloader()]:
        batch = next(iter(loader))
        assert batch["image"].shape == (1, 3, 32, 32)
        assert batch["mask_full"][0].shape[0] in (36, 37, 38)
        assert set(batch["mask_full"][0].unique().tolist()) == {0, 255}


@pytest.mark.parametrize("name", ["dis5k", "duts", "duts+hrsod+uhrsd", "cod"])
@pytest.mark.parametrize("spelling", [1, 2])
def test_mirrors_load(name: str, spelling: int, tmp_path: Path) -> None:
    data = with_miniatures(config(f"data={name}"), tmp_path, spelling)
    data.setup("test")
    assert len(data.test_sets) == len(data.test)


CAM, NON_CAM, CAMO = "COD10K-CAM-1-Aquatic-", "COD10K-NonCAM-6-Other-", "camourflage_"
BENCHMARKS = ("CHAMELEON", "CAMO", "COD10K", "NC4K")
# Folder of a set, and what the names in it begin with.
PACKINGS = {
    "SINet-V2's": [
        ("TrainValDataset/{Imgs,GT}", (CAMO, CAM)),
        *((f"TestDataset/{name}/{{Imgs,GT}}", (CAM,)) for name in BENCHMARKS),
    ],
    "BiRefNet's": [
        ("COD/TR-CAMO/{im,gt}", (CAMO,)),
        ("COD/TE-CAMO/{im,gt}", (CAMO,)),
        *(
            (f"COD/{name}/{{im,gt}}", (CAM,))
            for name in ("TR-COD10K", "TE-COD10K", "CHAMELEON", "NC4K")
        ),
    ],
    "COD10K's own": [
        ("COD10K-v3/Train/{Image,GT_Object}", (CAM, NON_CAM)),
        ("COD10K-v3/Test/{Image,GT_Object}", (CAM, NON_CAM)),
        ("COD/TR-CAMO/{im,gt}", (CAMO,)),
        *((f"{name}/{{Imgs,GT}}", (CAM,)) for name in ("CHAMELEON", "NC4K")),
        ("CAMO-TE/{Image,Mask}", (CAMO,)),
    ],
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_camouflaged_objects_are_found_in_every_packing(packing: str, tmp_path: Path) -> None:
    for place, prefixes in PACKINGS[packing]:
        parent, _, folders = place.partition("{")
        images, masks = (tmp_path / parent / name for name in folders.rstrip("}").split(","))
        for prefix in prefixes:
            write_set(images, masks, 2, prefix=prefix)
    cfg = config("data=cod", f"data.root={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}")
    for source in each_set(cfg).values():
        source.count = 2
    data = build(cfg)
    data.setup("fit")
    names = {"CAMO-TR": CAMO, "COD10K-TR": CAM}
    assert [pair.name for pair in data.pairs["train"]] == [
        f"{name}/{prefix}{i:03d}" for name, prefix in names.items() for i in range(2)
    ]
    assert data.test_names == ["CHAMELEON", "CAMO-TE", "COD10K-TE", "NC4K"]
    assert [len(made) for made in data.test_sets.values()] == [2] * 4  # type: ignore[arg-type]


def test_camouflaged_objects_have_their_released_counts() -> None:
    data = config("data=cod").data
    assert sum(source.count for source in data.train.values()) == 4040
    assert [source.count for source in data.test.values()] == [76, 250, 2026, 4121]


@pytest.mark.parametrize("name", SETS)
def test_every_set_knows_the_common_mirror(name: str) -> None:
    source = OmegaConf.load(CONF / "data" / "sets" / f"{name}.yaml")
    assert f"{name}/images" in source.images
    assert f"{name}/masks" in source.masks
    assert source.count > 0
    assert source.hint


def test_missing_sets_are_all_named(tmp_path: Path) -> None:
    data = build(config("data=dis5k", f"data.root={tmp_path}", f"data.cache_dir={tmp_path}"))
    with pytest.raises(DataError, match="6 problems") as error:
        data.setup("fit")
    message = str(error.value)
    assert f"DIS-TR: no folder {tmp_path}/DIS5K/DIS-TR/im (nor" in message
    assert "Get the set from https://xuebinqin.github.io/dis" in message
    assert "A test set can be left out: '~data.test.DIS-TE1'" in message


def test_unset_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINECUT_DATA", raising=False)
    with pytest.raises(UserError, match=r"data\.root is not set.*data\.root=DIR"):
        build(config("data=duts")).setup("fit")


def test_root_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FINECUT_DATA", str(tmp_path))
    assert build(config("data=duts")).root == str(tmp_path)


def test_sets_can_be_left_out() -> None:
    cfg = config("data=duts", "~data.test.HKU-IS", "data.test.SOD=null")
    assert list(build(cfg).test) == ["DUTS-TE", "DUT-OMRON", "ECSSD", "PASCAL-S"]


def test_own_photos(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 30)
    write_set(tmp_path / "more" / "im", tmp_path / "more" / "gt", 3)
    places = {"images": f"{tmp_path}/more/im", "masks": f"{tmp_path}/more/gt"}
    data = own(tmp_path, test=places)
    data.setup("fit")
    names = {pair.name for pairs in data.pairs.values() for pair in pairs}
    assert len(names) == 30
    assert 0 < len(data.pairs["val"]) < 10
    again = own(tmp_path, seed=5)
    again.setup("fit")
    assert again.pairs["val"] == data.pairs["val"], "the same photos for every seed"
    assert data.test_names == ["test"]
    data.setup("fit")
    data.setup("test")
    assert len(data.test_dataloader()) == 1


def test_own_photos_relative_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 4)
    monkeypatch.chdir(tmp_path)
    places = ["data.train.images=images", "data.train.masks=masks"]
    data = build(config("data=folder", "model.batch_size=2", *places))
    data.setup("fit")
    assert len(data.pairs["train"]) + len(data.pairs["val"]) == 4


def test_tables_of_pairs(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 4)
    rows = "".join(f"images/img_{i:03d}.jpg,masks/img_{i:03d}.png\n" for i in range(4))
    for name in ("train", "val"):
        (tmp_path / f"{name}.csv").write_text("image,mask\n" + rows)
    places = [f"data.{name}.csv={tmp_path}/{name}.csv" for name in ("train", "val")]
    data = build(config("data=csv", *places, f"data.cache_dir={tmp_path}"))
    data.setup("fit")
    assert len(data.pairs["train"]) == len(data.pairs["val"]) == 4


def test_nothing_to_train_or_test_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*images. Set data.root, or the folders"):
        build(config("data=folder", f"data.root={tmp_path}")).setup("fit")
    with pytest.raises(UserError, match=r"no training set: data\.train\.images=DIR"):
        build(config("data=folder", "data.train.images=null", "data.train.masks=null")).setup("fit")
    write_set(tmp_path / "images", tmp_path / "masks", 4)
    data = own(tmp_path)
    data.setup("fit")
    with pytest.raises(UserError, match="no test set"):
        data.test_dataloader()


def test_bad_choices_are_refused(tmp_path: Path) -> None:
    for change, message in (
        ({"cache": "disc"}, r"data\.cache is 'disc'; choose one of none, disk, ram"),
        ({"on_error": "ignore"}, r"data\.on_error is 'ignore'"),
        ({"val_split": "test"}, r"data\.val_split is 'test'"),
        ({"val_fraction": 1.5}, r"data\.val_fraction is 1\.5"),
    ):
        with pytest.raises(InstantiationException, match=message):
            own(tmp_path, **change)


def test_one_bit_masks_and_antialiased_masks_become_tensors(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 3)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)).convert("1").save(path)
    processor = {**own_config().data.processor, "mask_kernel": "pillow"}
    data = own(tmp_path, processor=processor, batch_size=1)
    data.setup("fit")
    for dataset in (data.train_set, data.val_set):
        sample = dataset[0]  # type: ignore[index]
        sample["mask"].add_(0)  # a read-only array would have warned before
        assert 0 < sample["mask"].float().mean() < 255


def test_all_bad_files_before_training(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 8)
    (tmp_path / "masks" / "img_000.png").unlink()
    (tmp_path / "images" / "img_001.jpg").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "masks" / "img_002.png"), np.zeros((38, 50), np.uint8))
    with pytest.raises(DataError) as error:
        own(tmp_path).setup("fit")
    assert str(error.value).startswith("data: 2 problems")
    (tmp_path / "masks" / "img_000.png").write_bytes(b"")
    data = own(tmp_path, on_error="skip")
    data.setup("fit")
    kept = {pair.name for pairs in data.pairs.values() for pair in pairs}
    assert kept == {f"img_{i:03d}" for i in range(3, 8)}


def test_batch_larger_than_the_set(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 4)
    data = own(tmp_path, batch_size=8)
    data.setup("fit")
    for asked in (data.train_dataloader, lambda: data.require_batch(1)):
        with pytest.raises(UserError, match=r"do not fill one batch of 8.*model\.batch_size"):
            asked()


def test_validating_on_the_training_images(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 20)
    data = own(tmp_path, val_split="train")
    data.setup("fit")
    assert data.val_set.pairs == data.train_set.pairs  # type: ignore[union-attr]
    assert data.val_set.evaluate  # type: ignore[union-attr]


def epoch(data: FolderDataModule, number: int = 0) -> list[Any]:
    loader = data.train_dataloader()
    loader.order.set_epoch(number)
    return list(loader)


def assert_same(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a["name"] == b["name"]
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["mask"], b["mask"])


@pytest.mark.parametrize("augment", ["isnet", "u2net", "inspyrenet"])
def test_workers_change_no_batch(tmp_path: Path, augment: str) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 10)
    pipeline = {"_target_": f"src.datamodules.augmentation.{augment}"}
    batches = []
    for workers in (0, 1, 2):
        data = own(tmp_path, augment=pipeline, num_workers=workers)
        data.setup("fit")
        batches.append(epoch(data, 3))
    assert_same(batches[0], batches[1])
    assert_same(batches[0], batches[2])
    assert not torch.equal(batches[0][0]["image"], epoch(data, 4)[0]["image"])


def test_a_sample_depends_on_its_draw_alone(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 10)
    data = own(tmp_path)
    data.setup("fit")
    dataset = data.train_set
    assert dataset is not None
    first = dataset[SampleKey(3, 1)]["image"]
    dataset[SampleKey(4, 1)]
    assert torch.equal(first, dataset[SampleKey(3, 1)]["image"])
    epochs = [dataset[SampleKey(3, number)]["image"] for number in range(6)]
    assert any(not torch.equal(epochs[0], other) for other in epochs[1:])


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_cached_batches_equal_uncached_ones(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.datamodules.sample_cache._SHARED_MEMORY", tmp_path)
    write_set(tmp_path / "images", tmp_path / "masks", 8)
    plain, cached = own(tmp_path), own(tmp_path, cache=kind)
    plain.setup("fit")
    cached.setup("fit")
    assert_same(epoch(plain), epoch(cached))
    monkeypatch.setattr("src.datamodules.image_mask_folder.read_image", None)
    assert_same(epoch(cached), epoch(cached))


def test_sets_are_mixed_by_share(tmp_path: Path) -> None:
    weights = "data.sampling_weights={DUTS-TR: 1, HRSOD-TR: 3}"
    cfg = config("data=duts+hrsod", weights, "data.val_fraction=0")
    data = with_miniatures(cfg, tmp_path, 0)
    data.setup("fit")
    assert data.val_dataloader() == []
    weights_of = data.train_weights()
    assert weights_of is not None
    np.testing.assert_allclose(weights_of, [1 / 6] * 6 + [3 / 6] * 6)
    assert data.pairs["train"][0].name == "DUTS-TR/img_000"


def test_hard_examples_by_config(tmp_path: Path) -> None:
    write_set(tmp_path / "images", tmp_path / "masks", 6)
    scores = "".join(f"img_{i:03d},{i / 10}\n" for i in range(6))
    (tmp_path / "scores.csv").write_text("name,mae\n" + scores)
    target = "src.datamodules.samplers.HardExamples"
    data = own(tmp_path, sampling_weights={"_target_": target, "csv": f"{tmp_path}/scores.csv"})
    data.setup("fit")
    assert isinstance(data.sampling_weights, HardExamples)
    weights = data.train_weights()
    assert weights is not None
    assert (np.diff(weights) > 0).all()


@needs_shared
def test_real_photographs(tmp_path: Path) -> None:
    root = SHARED / "data"
    places = [f"data.test.{kind}={root / 'AM2k' / kind}" for kind in ("images", "masks")]
    data = build(config("data=folder", *places, f"data.cache_dir={tmp_path}"))
    data.setup("test")
    batch = next(iter(data.test_dataloader()[0]))
    assert min(batch["mask_full"][0].shape) >= 1080
    assert 0 < batch["mask"].float().mean() < 255
