"""When fine-tuning mixes and scores, and when a run is left as it is."""

from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import Dataset

from src.datamodules.base import SegmentationDataModule
from src.errors import UserError
from src.training.finetune import base_data, mix, require_start, score_untouched


class Numbers(Dataset[dict[str, Any]]):
    """Samples of nothing but their number."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, draw: Any) -> dict[str, Any]:
        return {"index": 0}


class Base(SegmentationDataModule):
    """Base data with training and test images, and with validation images once it is asked."""

    def __init__(self, val: int = 0) -> None:
        super().__init__(Numbers(10))
        self.count, self.stages = val, [""]

    def setup(self, stage: str) -> None:
        self.stages.append(stage)
        if stage == "validate" and self.count:
            self.val_set = Numbers(self.count)
        if stage == "test":
            self.test_sets = {"old": Numbers(2)}


def config(replay: float = 0.2, **changes: Any) -> DictConfig:
    base = {"_target_": f"{__name__}.Base"}
    given = {"fit": True, "weights": "x", "base": base, "finetune": {"replay": replay}}
    return OmegaConf.create({**given, **changes})


def new(val: int | None = 3) -> SegmentationDataModule:
    return SegmentationDataModule(Numbers(8), val=Numbers(val) if val else None)


def test_a_start_is_needed_by_the_recipe_alone() -> None:
    with pytest.raises(UserError, match="weights=FILE"):
        require_start(config(weights=None))
    require_start(config())
    require_start(config(weights=None, finetune=None))
    require_start(config(weights=None, fit=False))


@pytest.mark.parametrize("changes", [{"fit": False}, {"base": None}])
def test_base_data_is_made_for_training_alone(changes: dict[str, Any]) -> None:
    assert base_data(config(**changes)) is None


@pytest.mark.parametrize(("val", "stages"), [(4, ["", "validate"]), (0, ["", "validate", "test"])])
def test_test_images_are_made_ready_where_there_is_no_validation(
    val: int, stages: list[str]
) -> None:
    found = base_data(config(base={"_target_": f"{__name__}.Base", "val": val}))
    assert isinstance(found, Base)
    assert found.stages == stages


@pytest.mark.parametrize("changes", [{"fit": False}, {"finetune": None}, {"base": None}])
def test_nothing_is_mixed_without_recipe_training_or_base(changes: dict[str, Any]) -> None:
    data = new()
    before = data.train_set
    assert mix(config(**changes), data) == {}
    assert data.train_set is before
    assert list(data.validation_sets) == ["val"]


def test_the_base_is_mixed_scored_and_fingerprinted() -> None:
    data = new()
    assert mix(config(), data) == {"base/train": {"count": 10}, "base/test/old": {"count": 2}}
    assert len(data.train_set) == 10  # type: ignore[arg-type]
    assert list(data.validation_sets) == ["val", "base"]


def test_a_base_that_is_only_scored_is_not_said_to_be_trained_on() -> None:
    data = new()
    before = data.train_set
    assert mix(config(replay=0), data) == {"base/test/old": {"count": 2}}
    assert data.train_set is before
    assert list(data.validation_sets) == ["val", "base"]


def test_there_is_nothing_to_beat_without_validation_images() -> None:
    with pytest.raises(UserError, match=r"set data\.val_fraction=0\.1, or data\.val"):
        mix(config(), new(val=None))


@pytest.mark.parametrize(("finetune", "validated"), [({"replay": 0}, 1), (None, 0)])
def test_weights_are_scored_untouched_by_the_recipe_alone(finetune: Any, validated: int) -> None:
    asked: list[Any] = []
    trainer = SimpleNamespace(validate=lambda *given, **options: asked.append((given, options)))
    score_untouched(config(finetune=finetune), trainer, "module", "data")
    assert asked == [(("module", "data"), {"verbose": False})] * validated
