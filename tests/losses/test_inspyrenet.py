"""InSPyReNet's criteria and terms equal the authors' values and gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.losses.inspyrenet import PixelIoU, PyramidConsistency, PyramidSupervision, WeightedBCE
from src.networks.network import Output
from tests.golden_data import assert_golden, needs_shared, normal, uniform

ITEM = "10_losses"
COPIED = np.load(Path(__file__).parents[1] / "golden" / "inspyrenet.npz")
RTOL = 2e-6  # of the manifest


def golden_logits() -> Tensor:
    logits = normal("insp_logit", (2, 1, 48, 64), scale=3)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2] = 120, -120
    return logits


def golden_mask(kind: str) -> Tensor:
    if kind == "soft":
        return uniform("soft_gt", (2, 1, 48, 64))
    return torch.from_numpy(COPIED["gt_insp"]).float()


def golden_levels() -> list[Tensor]:
    return [
        normal(f"insp_d{i}", (2, 1, 48 >> i, 64 >> i), scale=3).requires_grad_() for i in range(4)
    ]


def whole_loss(levels: list[Tensor], mask: Tensor) -> Tensor:
    output, batch = Output(levels, {}), {"mask": mask}
    return PyramidSupervision()(output, batch) + PyramidConsistency()(output, batch)


@pytest.mark.parametrize("kind", ["binary", "soft"])
@pytest.mark.parametrize(("name", "criterion"), [("wbce", WeightedBCE()), ("iou", PixelIoU())])
def test_criteria_equal_the_authors(name: str, criterion: nn.Module, kind: str) -> None:
    found = criterion(golden_logits(), golden_mask(kind)).item()
    assert found == pytest.approx(COPIED[f"insp_{name}_{kind}"][0], rel=RTOL)


def test_the_whole_loss_equals_the_authors() -> None:
    levels = golden_levels()
    loss = whole_loss(levels, torch.from_numpy(COPIED["gt"]).float())
    loss.backward()
    assert loss.item() == pytest.approx(COPIED["insp_full"][0], rel=RTOL)
    for i in (2, 3):
        np.testing.assert_allclose(levels[i].grad, COPIED[f"insp_full_grad_d{i}"], atol=1e-6)


@needs_shared
def test_all_gradients_equal_the_authors() -> None:
    levels = golden_levels()
    whole_loss(levels, torch.from_numpy(COPIED["gt"]).float()).backward()
    for i, level in enumerate(levels):
        assert_golden(ITEM, f"insp_full_grad_d{i}", level.grad)


def small_levels() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(1, 1, 32 >> i, 40 >> i, dtype=torch.float64, generator=generator)
        for i in range(4)
    ]


def test_supervision_gradients_equal_finite_differences() -> None:
    fixed, mask = small_levels(), torch.rand(1, 1, 32, 40, dtype=torch.float64)
    coarse = [x.requires_grad_() for x in fixed[2:]]

    def loss(*coarse: Tensor) -> Tensor:
        return PyramidSupervision()(Output([*fixed[:2], *coarse], {}), {"mask": mask})

    assert torch.autograd.gradcheck(loss, coarse)


def test_consistency_gradients_equal_finite_differences_of_the_coarser_map() -> None:
    fixed = small_levels()
    coarsest = fixed[3].requires_grad_()

    def loss(coarsest: Tensor) -> Tensor:
        return PyramidConsistency(weight=1)(Output([*fixed[:3], coarsest], {}), {"mask": fixed[0]})

    assert torch.autograd.gradcheck(loss, (coarsest,))


def test_consistency_gives_the_finer_map_no_gradient() -> None:
    levels = [x.requires_grad_() for x in small_levels()[:2]]
    PyramidConsistency()(Output(levels, {}), {"mask": levels[0]}).backward()
    assert levels[0].grad is None
    assert levels[1].grad is not None


def test_a_true_pyramid_is_consistent() -> None:
    consistency = PyramidConsistency()
    levels = [torch.randn(1, 1, 33, 50)]
    while len(levels) < 4:
        levels.append(consistency.pyramid.reduce(levels[-1]))
    assert consistency(Output(levels, {}), {"mask": levels[0]}) == 0


def test_edges_weigh_more() -> None:
    mask = torch.zeros(1, 1, 64, 128)
    mask[..., 64:] = 1
    at_edge, far = torch.full_like(mask, -5), torch.full_like(mask, -5)
    at_edge[..., 60:64], far[..., 20:24] = 5, 5  # as many false pixels in both
    criterion = WeightedBCE()
    assert criterion(at_edge, mask) > criterion(far, mask)
    plain = WeightedBCE(edge_weight=0)
    torch.testing.assert_close(plain(at_edge, mask), plain(far, mask))


def test_saturated_logits_cost_100_at_most() -> None:
    mask = torch.zeros(1, 1, 40, 40)
    assert WeightedBCE(edge_weight=0)(torch.full_like(mask, 1e4), mask) == 100


def test_autocast_changes_nothing() -> None:
    levels = [x.float() for x in small_levels()]
    mask = torch.rand(1, 1, 32, 40)
    expected = whole_loss(levels, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(whole_loss(levels, mask), expected)
        half = whole_loss([x.bfloat16() for x in levels], mask)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=1e-2, atol=0)


def test_odd_sizes() -> None:
    levels = [torch.randn(1, 1, -(-33 // 2**i), -(-50 // 2**i)) for i in range(4)]
    assert whole_loss(levels, torch.ones(1, 1, 33, 50)).isfinite()
