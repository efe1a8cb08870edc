"""Files that turn out damaged in the middle of an epoch: stop with their name, or go on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from src.datamodules.batch import SampleKey
from src.datamodules.images import ImageError
from src.datamodules.loaders import ResumableLoader
from src.datamodules.samplers import TrainSampler
from src.datamodules.wrappers import FallbackDataset
from src.errors import UserError
from tests.datamodules.miniatures import write_set
from tests.datamodules.test_image_mask_folder import assert_same, own

pytestmark = pytest.mark.filterwarnings("ignore:.*will create . worker processes")


class Numbers(torch.utils.data.Dataset[dict[str, Any]]):
    """Ten samples, some of which cannot be read."""

    def __init__(self, damaged: set[int]) -> None:
        self.damaged = damaged

    def __len__(self) -> int:
        return 10

    def __getitem__(self, draw: SampleKey) -> dict[str, Any]:
        if draw.item in self.damaged:
            raise ImageError(f"{draw.item}.jpg: damaged")
        return {"index": draw.item, "name": str(draw.item)}


def epochs(dataset: FallbackDataset, workers: int) -> list[list[int]]:
    sampler = TrainSampler(10, seed=3)
    loader = ResumableLoader(dataset, sampler, batch_size=5, num_workers=workers)
    seen = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        seen += [batch["index"].tolist() for batch in loader]
    return seen


def test_substitutes_depend_on_the_draw_alone(caplog: pytest.LogCaptureFixture) -> None:
    alone, helped = (FallbackDataset(Numbers({2, 7}), seed=3) for _ in range(2))
    with caplog.at_level("WARNING"):
        batches = epochs(alone, workers=0)

    assert batches == epochs(helped, workers=2)
    assert all(len(batch) == 5 and not {2, 7} & set(batch) for batch in batches)
    assert alone.replaced == helped.replaced == 4
    assert "skipped 2.jpg: damaged; " in caplog.text
    assert "4 unreadable training samples replaced by others since the start (epoch 1)" in (
        caplog.text
    )


def test_another_epoch_brings_another_substitute() -> None:
    dataset = FallbackDataset(Numbers({2}), seed=3)
    assert len({dataset[SampleKey(2, epoch)]["index"] for epoch in range(20)}) > 3


def test_a_lost_disk_is_not_replaced_for_ever() -> None:
    with pytest.raises(UserError, match=r"4\.jpg: damaged; nor could 20 others be read"):
        FallbackDataset(Numbers(set(range(10))), seed=3)[SampleKey(4, 0)]


def cut(root: Path, name: str) -> Path:
    """Truncate an image after its header, as a full disk or a broken copy does."""
    path = root / "images" / f"{name}.jpg"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_set(tmp_path / "images", tmp_path / "masks", 8)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 1])
def test_training_stops_with_the_name_alone(root: Path, workers: int) -> None:
    data = own(root, val_fraction=0, num_workers=workers)
    data.setup("fit")
    path = cut(root, "img_003")
    with pytest.raises(ImageError) as raised:
        list(data.train_dataloader())
    assert str(raised.value).startswith(f"{path}: damaged (")
    assert "Traceback" not in str(raised.value)


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_training_goes_on_without_the_image(root: Path, cache: str) -> None:
    path = cut(root, "img_003")
    changes = {"val_fraction": 0, "on_error": "skip", "cache": cache}
    runs = []
    for workers in (0, 1):
        data = own(root, num_workers=workers, **changes)
        data.setup("fit")
        runs.append(list(data.train_dataloader()))

    names = [name for batch in runs[0] for name in batch["name"]]
    assert len(names) == 8
    assert path.stem not in names
    assert_same(*runs)


def test_a_cache_made_by_skipping_is_not_one_made_without(root: Path) -> None:
    cut(root, "img_003")
    own(root, val_fraction=0, on_error="skip", cache="disk").setup("fit")
    with pytest.raises(UserError, match="img_003"):
        own(root, val_fraction=0, cache="disk").setup("fit")


def test_evaluation_never_skips(root: Path) -> None:
    data = own(root, val_fraction=0.4, on_error="skip")
    data.setup("fit")
    assert data.pairs["val"]
    path = cut(root, data.pairs["val"][0].name)
    with pytest.raises(ImageError, match=str(path)):
        list(data.val_dataloader()[0])


def test_faulty_files_to_score_are_never_left_out(root: Path) -> None:
    write_set(root / "test" / "images", root / "test" / "masks", 3)
    (root / "test" / "images" / "img_001.jpg").write_bytes(b"")
    (root / "images" / "img_002.jpg").write_bytes(b"")
    sources = {"images": f"{root}/test/images", "masks": f"{root}/test/masks"}
    for part in ("val", "test"):
        data = own(root, on_error="skip", **{part: sources})
        with pytest.raises(UserError, match=r"test/images/img_001\.jpg: empty") as raised:
            data.setup("fit")
        assert "img_002" not in str(raised.value)
