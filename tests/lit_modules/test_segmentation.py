"""The training module: bytes become floats, losses stay in fp32, boxes are pasted back."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.lit_modules.segmentation import SegmentationModule
from src.losses.terms import BinaryCrossEntropy, DeepSupervision
from src.networks.network import Network, Output
from src.processing import Processor

PROCESSOR = Processor(size=(16, 16), mean=(0, 0, 0), std=(1, 1, 1))


class Tiny(Network):
    """One convolution as a network."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Output:
        return Output([self.head(x)], {})


def adam(parameters: Iterable[Any]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters)


def module(inputs: tuple[str, ...] = ("image",), channels: int = 3) -> SegmentationModule:
    sides = DeepSupervision(BinaryCrossEntropy(), [1])
    terms = {"side_outputs": sides, "off": None}
    return SegmentationModule(Tiny(channels), PROCESSOR, inputs, terms, adam)  # type: ignore[arg-type]


def batch(**more: Any) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator)
    mask = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    mask[:, :, 4:12] = 255
    names = ["first", "second"]
    return {"index": torch.arange(2), "name": names, "image": image, "mask": mask, **more}


def test_bytes_become_floats() -> None:
    floats = module().as_floats(batch(void=torch.full((2, 1, 16, 16), 255, dtype=torch.uint8)))  # type: ignore[arg-type]
    assert floats["image"].dtype == torch.float32
    assert floats["image"].max() <= 1
    assert floats["mask"].unique().tolist() == [0, 1]
    assert floats["void"].unique().tolist() == [1]


def test_a_term_that_is_off_is_left_out() -> None:
    assert list(module().losses) == ["side_outputs"]


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_losses_are_fp32_under_autocast(half: torch.dtype) -> None:
    lit = module()
    floats = lit.as_floats(batch())  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=half):
        output = lit(floats)
        loss = lit.losses["side_outputs"](output, floats)
    assert output.masks[0].dtype == half
    assert loss.dtype == torch.float32
    exact = lit.losses["side_outputs"](lit(floats), floats)
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)


def test_twenty_steps_in_bf16_follow_fp32() -> None:
    """Same seed, same data: the losses stay within 2 % of one another."""
    losses: dict[bool, list[float]] = {}
    for half in (False, True):
        torch.manual_seed(0)
        lit = module()
        floats = lit.as_floats(batch())  # type: ignore[arg-type]
        optimizer = torch.optim.Adam(lit.parameters(), lr=0.05)
        losses[half] = []
        for _ in range(20):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                loss = lit.losses["side_outputs"](lit(floats), floats)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[half].append(loss.item())
    assert losses[False][-1] < 0.95 * losses[False][0]
    assert losses[True] == pytest.approx(losses[False], rel=0.02)


def test_inputs_are_joined_in_order() -> None:
    lit = module(("image", "prompt"), channels=5)
    floats = lit.as_floats(batch(prompt=torch.full((2, 2, 16, 16), 255.0)))  # type: ignore[arg-type]
    assert lit(floats).masks[0].shape == (2, 1, 16, 16)


def test_crops_are_pasted_back_where_they_were() -> None:
    lit = module()
    logits = torch.full((1, 1, 16, 16), 20.0)
    full = {"mask_full": [torch.zeros(40, 60)], "box": torch.tensor([[10, 5, 29, 24]])}
    (mask,) = lit.restored(logits, full)  # type: ignore[arg-type]
    assert mask.shape == (40, 60)
    assert mask[5:25, 10:30].min() == 255
    assert mask.sum() == 255 * 20 * 20


def test_a_test_leaves_the_module_as_it_was() -> None:
    lit = module()
    lit.eval()
    trained, names = lit.network, list(lit.state_dict())
    datamodule = SimpleNamespace(test_sets={"one": [0]})
    lit._trainer = SimpleNamespace(datamodule=datamodule, limit_test_batches=1.0)  # type: ignore[assignment]
    for _ in range(2):
        lit.on_test_start()
        assert lit.network is not trained
        assert [name for name in lit.state_dict() if "_trained" in name] == []
        assert len(list(lit.network.parameters())) == len(list(lit.parameters()))
        lit.on_test_end()
        assert lit.network is trained
    assert [name for name in lit.state_dict() if name.startswith("network")] == names
