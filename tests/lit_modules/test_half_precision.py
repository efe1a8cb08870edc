"""Every model learns in bf16-mixed as it does in fp32."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.training.config import register
from src.training.execute import build_module

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(p.stem for p in (CONF / "model").glob("*.yaml") if not p.stem.startswith("base"))
# Those of another size than a model whose recipe they share.
OTHER_SIZES = {"birefnet_512", "birefnet_dynamic", "birefnet_hr", "birefnet_lite_2k"}
# All other models differ from one of these in size or processor, or have fewer parts.
FAMILIES = ["isnet", "isnet_gt_encoder", "u2netp", "inspyrenet_swinb", "dextr", "iog_refine"]
STEPS = 20
BAND = 0.15  # of the loss; seen: 0.0006 to 0.11
SIDE = 32
# U²-Net halves its maps five times more: at 32² its norms would see two pixels, and noise.
SIDES = {"u2netp": 64}

# What makes each family small, and learn something in so few steps.
CLICKS = ["model.network.backbone=resnet18", "optimizer.lr=1e-6"]
SMALL = {
    "isnet": ["model.network.width=4"],
    "u2net": ["model.network.small=true"],
    "inspyrenet": [
        "model.network.backbone=resnet18",
        "+model.network.depth=8",
        "optimizer.lr=1e-4",
    ],
    "dextr": CLICKS,
    "iog": CLICKS,
    "birefnet": ["model.network.backbone=resnet18"],
}


def small(name: str, *more: str) -> DictConfig:
    """The config of a model that trains in seconds."""
    register()
    family = SMALL[name.split("_")[0].removesuffix("p")]
    overrides = [f"model={name}", f"model.size={SIDES.get(name, SIDE)}", *family, *more]
    with initialize_config_dir(str(CONF), version_base=None):
        cfg = compose("train", overrides)
    if "pretrained" in cfg.model.network:
        cfg.model.network.pretrained = False  # no downloads in tests
    return cfg


def batch(inputs: list[str], prompts: int, side: int) -> dict[str, Any]:
    """A bright square on noise, as bytes."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 90, (2, 3, side, side), dtype=torch.uint8, generator=generator)
    mask = torch.zeros(2, 1, side, side, dtype=torch.uint8)
    mask[:, :, side // 4 : side * 3 // 4, side // 4 + 2 : side * 3 // 4 + 2] = 255
    image[mask.expand(-1, 3, -1, -1) > 0] += 150
    made = {"index": torch.arange(2), "name": ["a", "b"], "image": image, "mask": mask}
    if "prompt" in inputs:
        made["prompt"] = torch.zeros(2, prompts, side, side)
        made["prompt"][:, :, 15:18, 17:20] = 255
        made["void"] = torch.zeros_like(mask)
    return made


def losses(name: str, half: bool) -> list[float]:
    """The loss of each step on one batch, with the recipe's own optimizer."""
    torch.manual_seed(0)
    cfg = small(name)
    lit = build_module(cfg)
    optimizer = lit.make_optimizer()
    prompts = 1 if name.startswith("dextr") else 2
    floats = lit.as_floats(batch(list(cfg.model.inputs), prompts, cfg.model.size))
    seen = []
    for _ in range(STEPS):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            output = lit(floats)
            terms = [term(output, floats) for term in lit.losses.values()]
        loss = torch.stack(terms).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_twenty_steps_in_bf16_follow_fp32(name: str) -> None:
    """The loss falls, and in half precision no step's is further than the band from fp32's."""
    exact, half = losses(name, half=False), losses(name, half=True)
    assert exact[-1] < 0.9 * exact[0]
    assert half == pytest.approx(exact, rel=BAND)
