"""The simulated user clicks where the prediction is wrong; the backbone runs once."""

from typing import Any

import torch
from torch import Tensor, nn

from src.lit_modules.refinement import RefinementModule
from src.losses.interactive import RefinementSupervision
from src.networks.network import Network, Output
from src.processing import Processor

SIZE = 64


class Painter(Network):
    """Predicts what lies near the inside clicks, and counts how often its backbone runs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.encoded = 0

    def forward(self, x: Tensor) -> Output:
        return self.decode(self.encode(x), x[:, 3:])

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        self.encoded += 1
        return {"image": x[:, :3]}

    def decode(self, features: dict[str, Tensor], prompt: Tensor) -> Output:
        logits = (prompt[:, :1] - prompt[:, 1:]) / 255 * self.scale - 0.05
        return Output([logits] * 5, features)


def module(**options: Any) -> RefinementModule:
    processor = Processor(size=(SIZE, SIZE), scale="none", mean=(0, 0, 0), std=(1, 1, 1))
    losses = {"refinement": RefinementSupervision()}
    return RefinementModule(
        Painter(), processor, ["image", "prompt"], losses, torch.optim.SGD, **options
    )


def batch() -> dict[str, Any]:
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 20:44, 8:56] = 1
    return {
        "index": torch.tensor([3]),
        "name": ["object"],
        "image": torch.zeros(1, 3, SIZE, SIZE),
        "mask": mask,
        "prompt": torch.zeros(1, 2, SIZE, SIZE),
    }


def test_training_adds_one_click_on_the_object() -> None:
    lit = module().train()
    first, second = lit.passes(batch(), clicks=1)  # type: ignore[arg-type]
    assert lit.network.encoded == 1
    assert not (first.masks[0] > 0).any()
    painted = (second.masks[0] > 0)[0, 0].nonzero().float().mean(dim=0)
    assert torch.allclose(painted, torch.tensor([31.5, 31.5]), atol=12)  # deep inside the object
    assert (batch()["mask"][0, 0][(second.masks[0] > 0)[0, 0]] == 1).all()


def test_more_clicks_more_overlap() -> None:
    lit, sample = module(), batch()
    outputs = lit.passes(sample, clicks=3)  # type: ignore[arg-type]
    target = sample["mask"] > 0.5
    overlap = [int(((o.masks[0] > 0) & target).sum()) for o in outputs]
    assert overlap == sorted(overlap)
    assert overlap[-1] > overlap[0]
    assert lit.network.encoded == 1


def test_the_loss_reaches_the_network_through_both_passes() -> None:
    lit, sample = module().train(), batch()
    loss = lit.losses["refinement"](lit(sample), sample)
    loss.backward()
    assert lit.network.scale.grad is not None
    assert lit.network.scale.grad.abs() > 0
    assert len(lit(sample).masks) == 10
    assert len(lit.eval()(sample).masks) == 5
