"""Metrics of torchmetrics, named by a config, are scored beside finecut's own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics import Metric
from torchmetrics.classification import BinaryF1Score

from src import metrics
from src.errors import UserError
from src.metrics import SegmentationMetrics, describe, higher_is_better, score_image, use_foreign
from tests.metrics.numbered_pairs import make_pair

F1 = "torchmetrics.classification.BinaryF1Score"
DICE = {"dice": {"_target_": F1, "threshold": 0.25}}


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    yield
    use_foreign(None)


def dice(number: int) -> float:
    prediction, target = (torch.from_numpy(one) for one in make_pair(number))
    return float(BinaryF1Score(threshold=0.25)(prediction / 255, (target > 128).long()))


def test_an_image_has_the_value_that_torchmetrics_gives() -> None:
    use_foreign(DICE)
    for number in range(3):
        found = score_image(*make_pair(number), ["mae", "dice"])
        assert found["dice"] == pytest.approx(dice(number))
        assert found["mae"] == score_image(*make_pair(number), ["mae"])["mae"]


def test_a_data_set_has_the_mean_over_its_images() -> None:
    use_foreign(DICE)
    scores = SegmentationMetrics(["dice"])
    for number in range(3):
        scores.update(*([one] for one in make_pair(number)))
    assert scores.compute()["dice"] == pytest.approx(np.mean([dice(n) for n in range(3)]))


@pytest.mark.slow
def test_processes_know_it_too() -> None:
    use_foreign(DICE)
    scores = SegmentationMetrics(["dice"], workers=1)
    scores.update(*([one] for one in make_pair(0)))
    assert scores.compute()["dice"] == pytest.approx(dice(0))
    metrics.discard_pool(1)


def test_the_protocol_says_class_arguments_and_versions() -> None:
    use_foreign(DICE | {"error": {"_target_": "torchmetrics.MeanAbsoluteError"}})
    said = describe("dice")
    for part in (
        "dice/1: ",
        f"{F1}(threshold=0.25)",
        "torchmetrics ",
        f"torch {torch.__version__}",
    ):
        assert part.partition("+")[0] in said
    assert higher_is_better("dice")
    assert said.endswith("higher is better")
    assert not higher_is_better("error")
    assert describe("error").endswith("lower is better")


def test_a_class_that_takes_floats_alone_gets_a_target_of_floats() -> None:
    use_foreign({"ssim": {"_target_": "torchmetrics.image.StructuralSimilarityIndexMeasure"}})
    _, target = make_pair(0)
    assert score_image(target, target, ["ssim"])["ssim"] == pytest.approx(1)


class Pair(Metric):
    """Gives two numbers."""

    higher_is_better = True

    def update(self, prediction: torch.Tensor, target: torch.Tensor) -> None:
        self.seen = (prediction.mean(), target.float().mean())

    def compute(self) -> Any:
        return torch.stack(self.seen)


class Said(Pair):
    """Gives a word."""

    def compute(self) -> Any:
        return "good"


@pytest.mark.parametrize(
    ("name", "node", "complaint"),
    [
        ("mae", {"_target_": F1}, "mae: finecut has a metric mae"),
        ("Odd name", {"_target_": F1}, "cannot be called"),
        ("x", {"threshold": 0.5}, "x: give _target_"),
        ("x", {"_target_": "os.system"}, "os.system may not be built"),
        ("x", {"_target_": "torchmetrics.NoSuch"}, "there is no torchmetrics.NoSuch"),
        ("x", {"_target_": "torchmetrics.functional.dice"}, "there is no"),
        ("x", {"_target_": "torch.nn.Linear"}, "no class that derives from torchmetrics.Metric"),
        (
            "x",
            {"_target_": "torchmetrics.functional.mean_absolute_error"},
            "no class that derives from torchmetrics.Metric",
        ),
        ("x", {"_target_": F1, "odd": 1}, "odd"),
        ("x", {"_target_": "torchmetrics.text.BLEUScore"}, "BLEUScore takes no pair of maps"),
        (
            "x",
            {"_target_": "torchmetrics.classification.BinaryConfusionMatrix"},
            "higher_is_better is None",
        ),
    ],
)
def test_what_cannot_be_used_is_named(name: str, node: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        use_foreign({name: node})


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Pair, r"Pair gives Tensor of shape \(2,\) and not one"),
        (Said, "Said gives str and not one"),
    ],
)
def test_a_metric_that_gives_no_single_number_is_named_before_anything_is_scored(
    kind: type[Metric], complaint: str
) -> None:
    from src.metrics._foreign import ForeignMetric

    with pytest.raises(UserError, match=f"metrics.extra.odd: {complaint}"):
        ForeignMetric("odd", kind())


def test_a_config_names_all_of_them_anew() -> None:
    use_foreign(DICE)
    use_foreign(None)
    with pytest.raises(UserError, match="no metric 'dice'"):
        describe("dice")
