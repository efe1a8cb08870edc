"""A batch of one trains, where a channel has a single value too."""

import pytest
import torch
from torch import nn

from src.networks.blocks import PyramidPooling, allow_single_values


def test_a_single_value_is_normalised_by_running_statistics_which_stay() -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(torch.ones(1, 2, 1, 1))
    allow_single_values(norm)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    answered = norm(torch.ones(1, 2, 1, 1))
    torch.testing.assert_close(answered, norm.eval()(torch.ones(1, 2, 1, 1)))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_more_values_are_normalised_by_their_batch_as_ever() -> None:
    torch.manual_seed(0)
    values = torch.randn(2, 3, 4, 4)
    plain, ours = nn.BatchNorm2d(3), allow_single_values(nn.BatchNorm2d(3))
    torch.testing.assert_close(ours(values), plain(values), rtol=0, atol=0)
    assert torch.equal(ours.running_mean, plain.running_mean)


def test_pyramid_pooling_learns_from_one_image() -> None:
    pooling = allow_single_values(PyramidPooling(8, 8)).train()
    pooling(torch.randn(1, 8, 6, 6)).sum().backward()
    assert all(p.grad is not None for p in pooling.parameters())
    assert list(pooling.state_dict()) == list(PyramidPooling(8, 8).state_dict())
