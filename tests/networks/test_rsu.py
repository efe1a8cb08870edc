"""Residual U-blocks: sizes, and activations computed twice with the same result."""

import pytest
import torch

from src.networks.catalogue import create
from src.networks.rsu import rsu


@pytest.mark.parametrize("height", [4, 5, 6, 7, None])
@pytest.mark.parametrize("size", [(64, 64), (33, 47), (5, 9)])
def test_blocks_keep_the_size(height: int | None, size: tuple[int, int]) -> None:
    block = rsu(3, 4, 8, height).eval()
    assert block(torch.rand(1, 3, *size)).shape == (1, 8, *size)


def test_checkpointing_changes_neither_gradients_nor_running_statistics() -> None:
    torch.manual_seed(0)
    x, states, gradients = torch.rand(2, 3, 64, 64), [], []
    network = create("u2netp")
    start = {key: value.clone() for key, value in network.state_dict().items()}
    for enable in (False, True):
        network.load_state_dict(start)
        network.zero_grad()
        network.set_grad_checkpointing(enable)
        network.train()
        network(x).masks[0].square().mean().backward()
        states.append({key: value.clone() for key, value in network.state_dict().items()})
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    assert all(torch.equal(states[0][key], states[1][key]) for key in start)
    assert all(
        (gradients[0][n] is None) == (gradients[1][n] is None)
        and (gradients[0][n] is None or torch.allclose(gradients[0][n], gradients[1][n], atol=1e-6))
        for n in gradients[0]
    )


def test_every_parameter_learns() -> None:
    network = create("u2netp")
    output = network(torch.rand(2, 3, 64, 64))
    torch.stack([mask.mean() for mask in output.masks]).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
