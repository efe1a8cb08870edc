"""Draws what training sees: `finecut preview model=dextr data=objects …`.

The samples come out of the training loader itself, resized, augmented and pointed at as the model's
file says.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from omegaconf import DictConfig

from src.atomic import atomic_write_image, encode_image
from src.errors import UserError
from src.settings.commands import PreviewSettings
from src.settings.parse import parse_part, require_data
from src.visualize import PROMPTS, VOID, captioned, framed, grid, tinted, with_outline

_COLUMNS = 4


def training_samples(data: Any, count: int, epoch: int = 0) -> Iterator[dict[str, Any]]:
    """The first samples of an epoch of training, one by one.

    Args:
        data: A data module that is not set up yet.
        count: How many; fewer where the set has fewer.
        epoch: Which one.

    Raises:
        UserError: There is nothing to train on, or something is wrong with it.
    """
    # Not "fit", which would want every test set to be there as well.
    data.setup("validate")
    loader = data.train_dataloader()
    loader.order.set_epoch(epoch)
    for batch in loader:
        for i in range(len(batch["name"])):
            if count <= 0:
                return
            count -= 1
            yield {key: batch[key][i] for key in batch}


def draw_sample(sample: dict[str, Any], tile: int) -> np.ndarray:
    """A sample as a tile, uint8 RGB: image, outline of the mask, void in blue, clicks as spots.

    Args:
        sample: uint8 `image` (3, h, w), `mask` (1, h, w), and where present `void` (1, h, w) and
            `prompt` (K, h, w) in 0..255.
        tile: Pixels of the longer side.
    """
    image = sample["image"].permute(1, 2, 0).numpy()
    height, width = image.shape[:2]
    scale = tile / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))

    def fit(values: np.ndarray) -> np.ndarray:
        return cv2.resize(values, size, interpolation=cv2.INTER_AREA)

    drawn = fit(image)
    if "void" in sample:
        drawn = tinted(drawn, fit(sample["void"][0].numpy()) * 0.6, VOID)
    for spots, color in zip(sample.get("prompt", ()), PROMPTS, strict=False):
        drawn = tinted(drawn, fit(spots.numpy().astype(np.float32)), color)
    drawn = with_outline(drawn, fit(sample["mask"][0].numpy()))
    return captioned(framed(drawn, tile), str(sample["name"]))


def preview(data: Any, count: int, epoch: int, tile: int) -> np.ndarray:
    """One image of the first samples of an epoch, uint8 RGB.

    Args:
        data: A data module that is not set up yet.
        count: Samples.
        epoch: Which one.
        tile: Pixels of a sample's longer side.

    Raises:
        UserError: There is nothing to train on, or a number is not positive.
    """
    if count < 1 or tile < 16:
        raise UserError(f"count is {count}, at least 1; tile is {tile}, at least 16")
    return grid(
        [draw_sample(sample, tile) for sample in training_samples(data, count, epoch)], _COLUMNS
    )


def main(cfg: DictConfig) -> int:
    """Draw as the config says; returns the exit code."""
    from src.datamodules.base import build_data  # torch, once the words are understood

    settings = parse_part(PreviewSettings, cfg)
    require_data(cfg)
    output = Path(settings.output)
    encode_image(output.suffix, np.zeros((1, 1, 3), np.uint8))  # a suffix that cannot be, now
    sheet = preview(build_data(cfg), settings.count, settings.epoch, settings.tile)
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_image(output, sheet)
    print(f"{output}: masks outlined in pink, clicks in green (outside: orange), void in blue")
    return 0
