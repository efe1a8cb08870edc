"""Residual U-blocks: sizes, and activations computed twice with the same result."""

import pytest
import torch

from src.networks.rsu import rsu
from src.weights.loading import create


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


@pytest.mark.parametrize("name", ["isnet", "u2net", "u2netp"])
@pytest.mark.parametrize(("half", "band"), [(torch.bfloat16, 0.03), (torch.float16, 0.005)])
def test_half_precision_stays_near_fp32(name: str, half: torch.dtype, band: float) -> None:
    """Largest difference of the prediction, as a probability, under autocast."""
    torch.manual_seed(0)
    network, x = create(name).eval(), torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        exact = network(x).masks[0].sigmoid()
        with torch.autocast("cpu", dtype=half):
            rough = network(x).masks[0].float().sigmoid()
    assert (exact - rough).abs().max() < band


def test_compiles_without_graph_breaks_and_runs_channels_last() -> None:
    torch.manual_seed(0)
    network, x = create("u2netp").eval(), torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = network(x).masks[0]
        compiled = torch.compile(network, fullgraph=True, backend="eager")(x).masks[0]
        last = network.to(memory_format=torch.channels_last)
        reordered = last(x.contiguous(memory_format=torch.channels_last)).masks[0]
    assert torch.allclose(compiled, expected, atol=1e-5)
    assert torch.allclose(reordered, expected, atol=1e-4)
