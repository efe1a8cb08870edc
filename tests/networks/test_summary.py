"""The table of costs agrees with the networks."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from src.errors import CommandError
from src.networks.deformable import DeformableConv
from src.networks.summary import FLOPS, NetworkCost, activation_bytes, main, markdown, summarize


def test_the_input_is_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["u2netp"]) == 0
    assert "| u2netp | 320² | 1.13 M |" in capsys.readouterr().out
    assert summarize("dextr", 64, passes=1).parameters == pytest.approx(48.8e6, rel=2e-3)


def test_an_unknown_model_is_named_beside_the_known() -> None:
    with pytest.raises(CommandError, match="no model is called 'u3net'; choose of birefnet, "):
        main(["u3net"])


def test_counts_parameters_and_work() -> None:
    small, large = summarize("u2netp", 64, passes=1), summarize("u2netp", 128, passes=1)
    assert small.parameters == 1_131_181
    assert large.macs == pytest.approx(4 * small.macs, rel=0.02)
    assert large.activations == pytest.approx(4 * small.activations, rel=0.1)
    wide = NetworkCost("wide", (64, 96), 0, 0, 0, 0)
    assert "| u2netp | 64² | 1.13 M |" in markdown([small, wide])
    assert "| wide | 64 × 96 |" in markdown([small, wide])


def test_deformable_convolutions_count_as_plain_ones() -> None:
    def macs(network: nn.Module) -> int:
        with FlopCounterMode(display=False, custom_mapping=FLOPS) as counter:
            network.to("meta")(torch.rand(1, 4, 6, 5, device="meta"))
        return counter.get_total_flops() // 2

    deformable = DeformableConv(4, 8, 3)
    plain = [deformable.offset, deformable.modulation, deformable.conv]
    assert macs(deformable) == sum(macs(conv) for conv in plain) == 30 * 9 * 4 * (18 + 9 + 8)


def test_activations_are_what_backward_needs() -> None:
    # A convolution keeps its input, a ReLU its output.
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    image = torch.rand(1, 1, 10, 10, requires_grad=True)
    assert activation_bytes(network, image) == 4 * (100 + 200)
