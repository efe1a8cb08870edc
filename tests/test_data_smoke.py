"""Every released layout trains: a step, a validation and a test on its miniature, for real."""

from pathlib import Path

import pytest
import torch
from lightning import Trainer

from src.lit_modules.segmentation import SegmentationModule
from src.losses.criteria import BinaryCrossEntropy
from src.losses.terms import DeepSupervision
from src.networks.catalogue import create
from tests.datamodules.test_folder import MIXES, config, with_miniatures


# What execute.py leaves out as well: Lightning's remarks on our choice of hooks and on sets
# without validation.
@pytest.mark.filterwarnings("ignore:.*You have overridden `on_after_batch_transfer`")
@pytest.mark.filterwarnings("ignore:.*Total length of `list`")
@pytest.mark.parametrize("name", MIXES)
def test_trains_validates_and_tests(name: str, tmp_path: Path) -> None:
    data = with_miniatures(config(f"data={name}", "model.batch_size=2"), tmp_path, spelling=0)
    module = SegmentationModule(
        create("u2netp"),
        data.geometry,
        ["image"],
        {"sides": DeepSupervision(BinaryCrossEntropy(), [1] * 7)},
        torch.optim.Adam,
    )
    trainer = Trainer(
        accelerator="cpu",
        max_steps=1,
        limit_val_batches=1,
        limit_test_batches=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, data)
    assert torch.isfinite(trainer.callback_metrics["train/loss"])
    trainer.test(module, data, verbose=False)
    assert set(module.test_scores) == set(data.test_names)
    assert 0 <= trainer.callback_metrics[f"test/{data.test_names[0]}/mae"] <= 1
