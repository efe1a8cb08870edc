"""Criteria on logits and features: the papers' values, in fp32, with gradients at the ends."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.losses.terms import BinaryCrossEntropy, ChannelKL

SHAPE = (2, 1, 48, 64)


def random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_cross_entropy_is_the_authors_on_probabilities() -> None:
    probabilities, mask = random(SHAPE), random(SHAPE, 1)
    expected = F.binary_cross_entropy(probabilities, mask)
    assert torch.isclose(BinaryCrossEntropy()(torch.logit(probabilities), mask), expected)


def test_gradient_flows_where_a_probability_rounds_to_one() -> None:
    logits = torch.full(SHAPE, 200.0, requires_grad=True)
    BinaryCrossEntropy()(logits, torch.zeros(SHAPE)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().min() > 0


def test_a_certain_mistake_is_finite() -> None:
    logits = torch.tensor([1e4, -1e4]).view(1, 1, 1, 2)
    assert BinaryCrossEntropy()(logits, torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)) == 1e4
    assert BinaryCrossEntropy()(logits, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)) == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.float16])
def test_masks_of_any_kind(dtype: torch.dtype) -> None:
    mask = (random(SHAPE, 1) > 0.5).to(dtype)
    assert BinaryCrossEntropy()(random(SHAPE), mask) > 0


def test_divergence_over_channels_is_averaged_over_all_elements() -> None:
    student, teacher = random((2, 5, 3, 4)), random((2, 5, 3, 4), 1)
    p, q = teacher.softmax(1).double(), student.softmax(1).double()
    expected = (p * (p / q).log()).mean()
    assert ChannelKL()(student, teacher).item() == pytest.approx(expected.item(), rel=1e-5)


def test_equal_features_are_no_distance_apart_whatever_their_height() -> None:
    features = random((2, 5, 3, 4))
    assert ChannelKL()(features, features) == pytest.approx(0, abs=1e-7)
    assert ChannelKL()(features + 7, features) == pytest.approx(0, abs=1e-6)
    assert ChannelKL()(features * 7, features) > 0.01


def test_the_divergence_has_a_side() -> None:
    one, other = random((1, 3, 2, 2)) * 5, random((1, 3, 2, 2), 1)
    assert ChannelKL()(one, other) != ChannelKL()(other, one)


@pytest.mark.parametrize("criterion", [BinaryCrossEntropy(), ChannelKL()])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32(criterion: nn.Module, dtype: torch.dtype) -> None:
    one, other = random((1, 4, 6, 6)).to(dtype), random((1, 4, 6, 6), 1).to(dtype)
    for autocast in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = criterion(one, other)
        assert found.dtype == torch.float32
        assert torch.isclose(found, criterion(one.float(), other.float()))
