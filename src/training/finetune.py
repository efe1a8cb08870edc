"""`recipe=finetune`: from which weights, beside which base data, and what they scored before."""

from typing import Any

from omegaconf import DictConfig

from src.datamodules.base import SegmentationDataModule
from src.errors import UserError
from src.instantiate import build


def require_start(cfg: DictConfig) -> None:
    """Refuse to fine-tune weights that nobody named."""
    if cfg.fit and cfg.get("finetune") is not None and cfg.weights is None:
        raise UserError(
            "recipe=finetune goes on from trained weights: weights=FILE, a checkpoint of ours or"
            " of the authors, or a name that `finecut models` lists"
        )


def base_data(cfg: DictConfig) -> SegmentationDataModule | None:
    """The data that the weights come from, set up; None where none is named.

    Raises UserError where something about it is wrong, saying that it is the base data.
    """
    if cfg.get("base") is None or not cfg.fit:
        return None
    try:
        base: SegmentationDataModule = build(cfg.base)
        base.setup("validate")
        if base.val_set is None:
            base.setup("test")
    except UserError as error:
        raise UserError(f"base data (set as base.…): {error}") from error
    return base


def mix(cfg: DictConfig, datamodule: SegmentationDataModule) -> dict[str, Any]:
    """Score the base data beside the new one and mix it in; answers its fingerprint."""
    if not cfg.fit or cfg.get("finetune") is None:
        return {}
    if datamodule.val_set is None:
        raise UserError(
            "recipe=finetune compares with the untouched weights on validation images, of which"
            " this data has none: set data.val_fraction=0.1, or data.val (for objects"
            " 'data.val=${data.test.objects}')"
        )
    base = base_data(cfg)
    if base is None:
        return {}
    datamodule.add_base(base, cfg.finetune.replay)
    found = base.fingerprint()
    if not cfg.finetune.replay:
        found.pop("train", None)
    return {f"base/{name}": entry for name, entry in found.items()}


def score_untouched(cfg: DictConfig, trainer: Any, module: Any, datamodule: Any) -> None:
    """Validate the weights as they came: what fine-tuning has to beat, at step 0 of every log."""
    if cfg.get("finetune") is not None:
        trainer.validate(module, datamodule, verbose=False)
