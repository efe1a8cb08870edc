"""BiRefNet's criteria and losses equal its authors' numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.losses.birefnet import (
    AbsoluteError,
    GradientSupervision,
    RegionIoU,
    StructuralDissimilarity,
)
from src.losses.terms import BinaryCrossEntropy, DeepSupervision, Late
from src.networks.network import Output
from tests.golden_data import arrays, assert_golden, manifest, needs_shared, normal, uniform

ITEM = "21_birefnet_losses"
SHAPE = (3, 1, 40, 56)
CRITERIA = {
    "bce": BinaryCrossEntropy(),
    "iou": RegionIoU(),
    "ssim": StructuralDissimilarity(),
    "mae": AbsoluteError(),
}
WEIGHTS: dict[str, dict[str, float]] = {
    "dis": {"bce": 30, "iou": 0.5, "ssim": 10},
    "general": {"bce": 30, "iou": 0.5, "ssim": 10, "mae": 100},
    "matting": {"bce": 30, "ssim": 10, "mae": 100},
}
LATE = {"bce": 0, "iou": 0.5, "mae": 0.9, "ssim": 1}


def targets() -> dict[str, Tensor]:
    return {
        "binary": torch.from_numpy(arrays(ITEM)["gt"]).float(),
        "soft": uniform("loss_soft", SHAPE),
        "background": torch.zeros(SHAPE),
        "foreground": torch.ones(SHAPE),
    }


def maps(requires_grad: bool = False) -> list[Tensor]:
    """Logits of the prediction and of stages 2, 3 and 4."""
    sizes = {"m1": (40, 56), "m2": (20, 28), "m3": (20, 28), "m4": (10, 14)}
    found = [normal(f"loss_{name}", (3, 1, *size), scale=2.0) for name, size in sizes.items()]
    return [one.requires_grad_(requires_grad) for one in found]


def close(ours: Tensor, name: str) -> None:
    theirs = torch.tensor(float(manifest()[ITEM]["values"][name]))
    torch.testing.assert_close(ours.detach(), theirs, rtol=1e-5, atol=1e-6)


@needs_shared
@pytest.mark.parametrize("target", ["binary", "soft", "background", "foreground"])
@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_equal_the_authors(name: str, target: str) -> None:
    logits = normal("loss_logit", SHAPE, scale=3.0)
    close(CRITERIA[name](logits, targets()[target]), f"{name}_{target}")


def pixel_loss(task: str, late_epochs: int = 0) -> list[nn.Module]:
    """The terms of a task, at the beginning of that many late epochs."""
    terms: list[nn.Module] = []
    for name, weight in WEIGHTS[task].items():
        term = Late(DeepSupervision(CRITERIA[name], [weight] * 4, "mask"), LATE[name], late_epochs)
        term.begin_epoch(99, 100)
        terms.append(term)
    return terms


@needs_shared
@pytest.mark.parametrize(
    ("task", "late", "name"),
    [
        ("dis", 0, "pix_dis"),
        ("general", 0, "pix_general"),
        ("matting", 0, "pix_matting"),
        ("dis", 1, "pix_dis_finetune_1"),
        ("general", 3, "pix_general_finetune_3"),
    ],
)
def test_pixel_losses_equal_the_authors_in_early_and_late_epochs(
    task: str, late: int, name: str
) -> None:
    logits = maps(requires_grad=True)
    target = targets()["soft" if task == "matting" else "binary"]
    batch: Any = {"mask": target}
    loss = sum(term(Output(logits, {}), batch) for term in pixel_loss(task, late))
    assert isinstance(loss, Tensor)
    close(loss, name)
    if name == "pix_general":
        loss.backward()
        for i, one in enumerate(logits, 1):
            assert one.grad is not None
            assert_golden(ITEM, f"pix_general_grad_m{i}", one.grad)


@needs_shared
def test_gradients_flow_into_the_target_of_the_gradient_loss() -> None:
    seen = normal("gdt_pred", (3, 1, 10, 14)).requires_grad_()
    mask = normal("gdt_m", (3, 1, 10, 14), scale=2.0).requires_grad_()
    image = normal("gdt_map", SHAPE, scale=0.5)
    loss = GradientSupervision()(_of_stages(seen, mask, image), _batch()) / 3
    close(loss, "gdt")
    loss.backward()
    assert seen.grad is not None
    assert mask.grad is not None
    assert_golden(ITEM, "gdt_grad_pred", seen.grad)
    assert_golden(ITEM, "gdt_grad_m", mask.grad)


def _of_stages(seen: Tensor, mask: Tensor, laplacian: Tensor) -> Output:
    """An output in which all stages are alike."""
    names = ("gradients2", "gradients3", "gradients4")
    return Output([mask] * 4, {**dict.fromkeys(names, seen), "laplacian": laplacian})


def _batch() -> Batch:
    batch: Any = {"mask": torch.zeros(SHAPE)}
    return batch


def test_a_late_term_is_weighed_by_the_epoch_alone() -> None:
    term = Late(DeepSupervision(AbsoluteError(), [1]), factor=0.5, epochs=2)
    output, batch = Output([torch.zeros(1, 1, 4, 4)], {}), _batch()
    batch["mask"] = torch.ones(1, 1, 4, 4)
    seen = []
    for epoch in (0, 7, 8, 9, 7):
        term.begin_epoch(epoch, 10)
        seen.append(float(term(output, batch)))
    assert seen == [0.5, 0.5, 0.25, 0.125, 0.5]


def test_a_term_that_is_switched_off_late_is_not_computed() -> None:
    term = Late(DeepSupervision(AbsoluteError(), [1]), factor=0, epochs=1)
    term.begin_epoch(4, 5)
    assert float(term(Output([torch.full((1, 1, 2, 2), torch.nan)], {}), _batch())) == 0


def test_late_epochs_need_a_last_one() -> None:
    term = Late(AbsoluteError(), factor=0.5, epochs=2)
    with pytest.raises(ValueError, match=r"model\.epochs"):
        term.begin_epoch(0, -1)


def test_an_unknown_place_of_comparison_is_refused() -> None:
    with pytest.raises(ValueError, match="map or mask"):
        DeepSupervision(AbsoluteError(), [1], "image")  # type: ignore[arg-type]
