"""A loss that is not finite stops the run before it reaches the weights."""

from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from src.callbacks.stopping import NonFiniteGuard, NonFiniteLossError


class Exploding(LightningModule):
    """A weight whose loss becomes NaN at the second batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def training_step(self, batch: dict, batch_idx: int) -> Tensor:
        return self.weight * (float("nan") if batch_idx == 1 else 1.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.25)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_stops_names_the_images_and_keeps_the_weights(tmp_path: Path, accumulate: int) -> None:
    samples = [{"name": f"image{i}", "image": torch.full((3,), i)} for i in range(6)]
    module = Exploding()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        accumulate_grad_batches=accumulate,
        callbacks=[NonFiniteGuard(str(tmp_path))],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with pytest.raises(NonFiniteLossError, match=r"image2, image3[\s\S]*lower learning rate"):
        trainer.fit(module, DataLoader(samples, batch_size=2))  # type: ignore[arg-type]

    assert torch.isfinite(module.weight)
    saved = torch.load(tmp_path / "non_finite_batch_rank0.pt", weights_only=True)
    assert saved["name"] == ["image2", "image3"]
    assert saved["image"].tolist() == [[2] * 3, [3] * 3]
