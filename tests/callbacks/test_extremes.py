"""The best and the worst images of a test, whatever their order."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from src.callbacks.galleries import Extremes


def batch(name: str, error: int) -> tuple[Any, Any]:
    """An image whose map is off by `error` of 255 everywhere."""
    image = torch.zeros((3, 8, 12), dtype=torch.uint8)
    target = torch.zeros((8, 12), dtype=torch.uint8)
    said = {"name": [name], "image_uint8": [image], "mask_full": [target]}
    return said, {"predictions": [target + error]}


@pytest.mark.parametrize("order", [range(9), range(8, -1, -1), [4, 8, 0, 6, 2, 7, 1, 5, 3]])
def test_keeps_both_ends(order: Any, tmp_path: Path) -> None:
    datamodule = SimpleNamespace(test_names=["SOD"])
    trainer: Any = SimpleNamespace(datamodule=datamodule, global_rank=1)
    callback = Extremes(str(tmp_path), count=2, height=16)
    for i in order:
        said, outputs = batch(f"image{i}", 10 * i)
        callback.on_test_batch_end(trainer, None, outputs, said, i)  # type: ignore[arg-type]
    callback.on_test_end(trainer, None)  # type: ignore[arg-type]
    entries = json.loads((tmp_path / "SOD" / "1.json").read_text())
    assert [entry["name"] for entry in entries] == ["image0", "image1", "image7", "image8"]
    np.testing.assert_allclose([e["error"] for e in entries], np.array([0, 10, 70, 80]) / 255)
    assert all((tmp_path / "SOD" / entry["file"]).stat().st_size for entry in entries)
