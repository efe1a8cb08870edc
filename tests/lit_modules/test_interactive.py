"""A test of click-guided networks counts clicks as a user of the network would give them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.datamodules.clicks import Click
from src.errors import CommandError
from src.evaluation.clicks import ObjectToClick, evaluate_clicks
from src.lit_modules.interactive import InteractiveModule
from src.lit_modules.refinement import RefinementModule
from src.metrics import ClickScores, CorrectionScores, SegmentationMetrics
from src.networks.network import Network, Output
from src.processing import Processor
from src.processing.crop import Box, points_in_crop
from tests.lit_modules.test_refinement import Painter

SIZE = 32
BOX = Box(4, 2, 67, 49)  # of the crop, in an image of 50 × 70


class Still(Network):
    """Answers the prompt as it is, and takes no further clicks."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Output:
        return Output([(x[:, 3:4] / 255 - 0.5) * self.scale], {})


def built(made: type[InteractiveModule], network: Network, kind: str, **options: Any) -> Any:
    processor = Processor(size=(SIZE, SIZE), scale="none", mean=(0, 0, 0), std=(1, 1, 1))
    identity = {"prompts": {"kind": kind}}
    lit: Any = made(
        network,
        processor,
        ["image", "prompt"],
        {},
        torch.optim.SGD,
        test_metrics=["iou"],
        identity=identity,
        **options,
    )
    lit.test_scores = nn.ModuleDict({"SET": SegmentationMetrics(["iou"])})
    if lit.clicks:
        scores = ClickScores(lit.start, lit.clicks, lit.jitter_runs)
        lit.click_scores = nn.ModuleDict({"SET": scores})
    if isinstance(lit, RefinementModule):
        lit.correction_scores = nn.ModuleDict({"SET": CorrectionScores(lit.test_clicks)})
    return lit.eval()


def batch(channels: int) -> dict[str, Any]:
    """Two objects in images of 50 × 70; the first prompt is the object's half."""
    targets = [torch.zeros(50, 70, dtype=torch.uint8) for _ in range(2)]
    targets[0][10:40, 20:60] = 255
    targets[1][15:30, 10:40] = 255
    void = [torch.zeros_like(target) for target in targets]
    void[1][15:30, 10:12] = 255
    prompt = torch.zeros(2, channels, SIZE, SIZE)
    prompt[:, 0, 8:16, 8:20] = 255
    return {
        "index": torch.tensor([5, 3]),
        "name": ["a:1", "b:1"],
        "image": torch.zeros(2, 3, SIZE, SIZE),
        "mask": torch.zeros(2, 1, SIZE, SIZE),
        "prompt": prompt,
        "mask_full": targets,
        "void_full": void,
        "box": torch.tensor([BOX, BOX]),
    }


def values_of(lit: Any) -> dict[str, float]:
    """As at the end of a test's epoch."""
    lit.tested_images["SET"] = lit.image_results("SET")
    values: dict[str, float] = lit.test_values("SET")
    return values


def scored(lit: Any, sample: dict[str, Any]) -> ClickScores:
    with torch.inference_mode():
        lit.test_step(sample, 0)
    scores: ClickScores = lit.click_scores["SET"]
    return scores


def test_a_network_without_corrections_keeps_its_first_mask() -> None:
    lit = built(InteractiveModule, Still(), "extreme_points", clicks=20)
    sample = batch(1)
    scores = scored(lit, sample)
    curves = scores.curves([str(i) for i in range(6)])
    assert curves.start == "prompt4"
    assert curves.ious.shape == (2, 17)
    assert (curves.ious == curves.ious[:, :1]).all()
    assert 0 < curves.ious[0, 0] < 0.8
    values = values_of(lit)
    assert values["noc90_prompt4"] == 20
    assert values["miou_5_prompt4"] == pytest.approx(values["iou"], abs=0.05)  # > 0.49 and > 0.5
    assert lit.protocol("noc90_prompt4").startswith("noc90_prompt4/1: ")


def test_corrections_of_the_field_s_user_reach_the_network_and_are_those_of_the_api() -> None:
    lit = built(RefinementModule, Painter(), "inside_outside", clicks=20, jitter_runs=1)
    sample = batch(2)
    scores = scored(lit, sample)
    assert lit.network.encoded == 1  # for all clicks of all users of the batch
    curves = scores.curves([str(i) for i in range(6)])
    assert list(curves.names) == ["3", "5"]
    assert curves.ious[:, -1].min() > curves.ious[:, 0].max()
    assert not np.array_equal(curves.ious, curves.jittered[:, 0])

    def predict(i: int, clicks: Any) -> np.ndarray:
        with torch.inference_mode():
            first = lit.first_pass(sample)
            logits = lit.corrector(first, sample, i)(clicks)
        whole = lit.processor.probabilities_of_crop(logits, BOX, (50, 70))
        return np.clip(whole, 0, 1)

    objects = [
        ObjectToClick(
            sample["name"][i],
            i,
            sample["mask_full"][i].numpy(),
            sample["void_full"][i].numpy(),
        )
        for i in (1, 0)
    ]
    alone = evaluate_clicks(predict, objects, start="prompt3", jitter_runs=1)
    np.testing.assert_array_equal(alone.ious, curves.ious)
    np.testing.assert_array_equal(alone.jittered, curves.jittered)


def test_a_click_outside_of_the_crop_changes_nothing() -> None:
    lit, sample = built(RefinementModule, Painter(), "inside_outside"), batch(2)
    with torch.inference_mode():
        first = lit.first_pass(sample)
        before = lit.corrector(first, sample, 0)([])
        outside = lit.corrector(first, sample, 0)([Click(0, 0, False)])
        inside = lit.corrector(first, sample, 0)([Click(60, 40, True)])
    assert torch.equal(before, outside)
    ((column, row),) = points_in_crop([(60, 40)], BOX, (SIZE, SIZE)).tolist()
    assert inside[row, column] > 0 > before[row, column]


def test_the_rows_of_objects_hold_their_own_clicks() -> None:
    lit = built(RefinementModule, Painter(), "inside_outside", clicks=20)
    scored(lit, batch(2))
    rows = lit.image_results("SET")
    assert [*rows] == [3, 5]
    mean = sum(row.values["noc85_prompt3"] for row in rows.values()) / 2
    assert values_of(lit)["noc85_prompt3"] == mean
    assert "iou_after_3" in values_of(lit)


def test_start_masks_that_no_network_takes_are_said_not_to_be_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lit, sample = built(InteractiveModule, Still(), "inside_outside", clicks=20), batch(1)
    scored(lit, sample)
    assert caplog.text == ""
    sample["start_mask_full"] = sample["mask_full"]
    scored(lit, sample)
    (record,) = caplog.records
    assert record.getMessage().startswith("SET: its start masks are not used: Still takes no mask")
    assert "noc90_prompt3" in record.getMessage()


def test_without_clicks_nothing_is_simulated() -> None:
    lit = built(InteractiveModule, Still(), "inside_outside")
    with torch.inference_mode():
        lit.test_step(batch(1), 0)
    assert [*values_of(lit)] == ["iou"]
    assert lit.click_curves({"SET": ["a"] * 6}) == {}


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (Still, {"clicks": 20, "jitter_runs": 5}, "takes no clicks behind its prompt"),
        (Still, {"clicks": 2}, "the prompt alone counts as 4 clicks; give 20"),
        (Painter, {"jitter_runs": 5}, r"needs metrics\.clicks=20"),
    ],
)
def test_clicks_that_cannot_be_given_are_refused_before_the_test(
    network: type[Network], options: dict[str, int], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        built(InteractiveModule, network(), "extreme_points", **options)
