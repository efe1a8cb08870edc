"""DEXTR's and IOG's losses equal the authors' values and have the right gradients."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.losses.interactive import (
    BalancedCrossEntropy,
    MapSupervision,
    RefinementSupervision,
    SummedCrossEntropy,
    iou,
    join_passes,
)
from src.networks.network import Output
from tests.golden_data import normal, uniform

SHAPE = (2, 1, 48, 64)
CRITERIA = {"dextr": BalancedCrossEntropy, "iog": SummedCrossEntropy}
SMALL = Path(__file__).parents[1] / "golden" / "interactive.npz"
AVERAGES = {"size1_batch1": "pixels", "size0_batch1": "batch", "size0_batch0": "none"}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """The authors' values, from item 10 of the golden numbers."""
    with np.load(SMALL) as stored:
        return dict(stored)


def inputs(golden: dict[str, np.ndarray], target: str) -> tuple[Tensor, Tensor, Tensor]:
    mask = torch.from_numpy(golden["loss_mask"]).float()
    if target == "soft":
        mask = uniform("ce_label", SHAPE)
    return normal("ce_logit", SHAPE, scale=3.0), mask, torch.from_numpy(golden["loss_void"]).float()


@pytest.mark.parametrize("paper", CRITERIA)
@pytest.mark.parametrize("target", ["bin", "soft"])
@pytest.mark.parametrize("with_void", [False, True])
@pytest.mark.parametrize("average", AVERAGES)
def test_equals_the_authors_value(
    golden: dict[str, np.ndarray], paper: str, target: str, with_void: bool, average: str
) -> None:
    logits, mask, void = inputs(golden, target)
    name = f"{paper}_{target}_{'void' if with_void else 'novoid'}_{average}"
    loss = CRITERIA[paper](AVERAGES[average])(logits, mask, void if with_void else None)
    assert loss.item() == pytest.approx(float(golden[f"loss_{name}"]), rel=2e-6)


@pytest.mark.parametrize("paper", CRITERIA)
@pytest.mark.parametrize("case", ["allbg", "allfg", "voidhalf"])
def test_equals_the_authors_value_at_the_edges(
    golden: dict[str, np.ndarray], paper: str, case: str
) -> None:
    logits, mask, _ = inputs(golden, "bin")
    void = torch.full(SHAPE, 0.5) if case == "voidhalf" else None
    if case != "voidhalf":
        mask = torch.full(SHAPE, float(case == "allfg"))
    loss = CRITERIA[paper]()(logits, mask, void)
    name = f"{paper}_bin_voidhalf" if case == "voidhalf" else f"{paper}_{case}"
    assert loss.item() == pytest.approx(float(golden[f"loss_{name}"]), rel=2e-6)


@pytest.mark.parametrize("criterion", CRITERIA.values())
def test_a_batch_of_void_costs_nothing(criterion: type[nn.Module]) -> None:
    logits = torch.randn(SHAPE, requires_grad=True)
    loss = criterion()(logits, (torch.rand(SHAPE) > 0.5).float(), torch.ones(SHAPE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


@pytest.mark.parametrize("criterion", CRITERIA.values())
@pytest.mark.parametrize("with_void", [False, True])
def test_gradient_equals_finite_differences(criterion: type[nn.Module], with_void: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 1, 3, 4)
    mask = torch.rand(shape, generator=generator).double()
    void = (torch.rand(shape, generator=generator) > 0.7).double() if with_void else None
    logits = 3 * torch.randn(shape, generator=generator).double()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: criterion()(x, mask, void), logits)


@pytest.mark.parametrize("criterion", CRITERIA.values())
def test_stays_in_fp32_and_finite(criterion: type[nn.Module]) -> None:
    logits = torch.full(SHAPE, 300.0, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.zeros(SHAPE)
    mask[0, 0, 0, 0] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = criterion()(logits, mask)
    loss.backward()
    assert loss.dtype is torch.float32
    assert math.isfinite(loss.item())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_an_unknown_average_names_the_choices() -> None:
    with pytest.raises(ValueError, match="batch, pixels, none"):
        SummedCrossEntropy("size")  # type: ignore[arg-type]


def maps(count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(count)]


def test_every_map_counts_once() -> None:
    masks, mask, void = maps(5), (maps(1, 7)[0] > 0).float(), (maps(1, 8)[0] > 1).float()
    term, criterion = MapSupervision(SummedCrossEntropy()), SummedCrossEntropy()
    batch = {"mask": mask, "void": void}
    expected = sum(criterion(logits, mask, void).item() for logits in masks)
    assert term(Output(masks, {}), batch).item() == pytest.approx(expected)
    without = sum(criterion(logits, mask).item() for logits in masks)
    assert term(Output(masks, {}), {"mask": mask}).item() == pytest.approx(without)


def both_passes() -> tuple[Output, Output, Tensor]:
    """The first image is solved by the first pass, the second is not."""
    first, second = Output(maps(5, 1), {}), Output(maps(5, 2), {"last": torch.zeros(1)})
    mask = (maps(1, 3)[0] > 0).float()
    first.masks[0][0] = 4 * (2 * mask[0] - 1)
    return first, second, mask


def test_a_solved_image_is_supervised_in_the_first_pass_alone() -> None:
    first, second, mask = both_passes()
    joined = join_passes([first, second])

    loss = RefinementSupervision()(joined, {"mask": mask})

    single = [
        [sum(SummedCrossEntropy()(m[i : i + 1], mask[i : i + 1]) for m in p.masks) for i in (0, 1)]
        for p in (first, second)
    ]
    expected = (single[0][0] + (single[0][1] + single[1][1]) / 2) / 2
    assert loss.item() == pytest.approx(expected.item())
    assert list(joined.features) == ["last"]


def test_one_pass_is_the_plain_loss() -> None:
    first, _, mask = both_passes()
    void = (maps(1, 8)[0] > 1).float()
    batch = {"mask": mask, "void": void}
    plain = MapSupervision(SummedCrossEntropy())(first, batch)
    assert RefinementSupervision()(first, batch).item() == pytest.approx(plain.item())


def test_the_authors_count_the_finest_coarse_map_twice() -> None:
    first, _, mask = both_passes()
    extra = SummedCrossEntropy()(first.masks[1], mask)
    once, twice = (RefinementSupervision(finest_twice=t)(first, {"mask": mask}) for t in (0, 1))
    assert (twice - once).item() == pytest.approx(extra.item(), rel=1e-5)


def test_half_a_pass_is_refused() -> None:
    with pytest.raises(ValueError, match="7 maps are no whole number of passes of 5"):
        RefinementSupervision()(Output(maps(7), {}), {"mask": torch.zeros(SHAPE)})


def test_iou_leaves_out_void_and_is_one_for_two_empty_maps() -> None:
    logits = torch.tensor([[1.0, 1, -1, -1], [-1, -1, -1, -1]]).view(2, 1, 1, 4)
    mask = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0]]).view(2, 1, 1, 4)
    assert iou(logits, mask).tolist() == pytest.approx([1 / 3, 1])
    void = torch.tensor([[0.0, 1, 0, 0], [0, 0, 0, 0]]).view(2, 1, 1, 4)
    assert iou(logits, mask, void).tolist() == pytest.approx([1 / 2, 1])
