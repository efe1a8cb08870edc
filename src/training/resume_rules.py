"""What may change when a run is resumed, and why the rest may not: one table for code and docs.

A checkpoint holds weights, the optimizer's and the schedule's state, random states and the place
in the epoch. What none of these depends on may change; docs/resume.md shows the same table.
"""

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """Values that a key takes: the test, and the words for it."""

    holds: Callable[[Any], bool]
    allowed: str

    def or_null(self) -> "Kind":
        return Kind(lambda value: value is None or self.holds(value), f"{self.allowed}, or null")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _one_of(*choices: str) -> Kind:
    return Kind(lambda value: value in choices, ", ".join(choices))


COUNT = Kind(lambda value: _is_whole(value) and value >= 1, "a whole number from 1 on")
STEPS = Kind(lambda v: _is_whole(v) and (v >= 1 or v == -1), "a whole number from 1 on, or -1")
NATURAL = Kind(lambda value: _is_whole(value) and value >= 0, "a whole number from 0 on")
INTERVAL = Kind(
    lambda v: COUNT.holds(v) or (isinstance(v, float) and 0 < v <= 1),
    "a whole number of steps from 1 on, or a fraction of an epoch to 1.0",
)
POSITIVE = Kind(lambda value: _is_number(value) and value > 0, "a number above 0")
NUMBER = Kind(_is_number, "a number")
SWITCH = Kind(lambda value: isinstance(value, bool), "true or false")
TEXT = Kind(lambda value: isinstance(value, str) and value != "", "a text")
NULL = Kind(lambda value: value is None, "null")
ANY = Kind(lambda value: True, "anything")

# One value under several names, as conf/ takes much of a run from its model. A run reads the one on
# the right; a change of one is a change of all.
SAME: Mapping[str, str] = {
    "model.epochs": "trainer.max_epochs",
    "model.steps": "trainer.max_steps",
    "model.multiscale": "multiscale",
    "model.val_check_interval": "trainer.val_check_interval",
    "val_check_interval": "trainer.val_check_interval",
    "model.patience": "callbacks.early_stopping.patience",
    "model.stopping_threshold": "callbacks.early_stopping.threshold",
    "model.batch_size": "data.batch_size",
    "model.gradient_clip_val": "trainer.gradient_clip_val",
    "model.sync_batchnorm": "trainer.sync_batchnorm",
    "model.test_metrics": "metrics.test",
    "model.val_metrics": "metrics.val",
    "model.augment": "data.augment",
    "model.prompts": "data.prompts",
    "model.validate_on": "data.val_split",
    "model.monitor": "callbacks.best.monitor",
    "callbacks.early_stopping.monitor": "callbacks.best.monitor",
}

MAY_CHANGE: Mapping[str, Kind] = {
    "trainer.max_epochs": COUNT,
    "trainer.max_steps": STEPS,
    "trainer.max_time": TEXT.or_null(),
    "trainer.val_check_interval": INTERVAL.or_null(),
    "callbacks.early_stopping.patience": NATURAL.or_null(),
    "callbacks.early_stopping.threshold": NUMBER.or_null(),
    "trainer.accelerator": TEXT,
    "trainer.strategy": TEXT,
    "trainer.precision": _one_of("32-true", "16-mixed", "bf16-mixed"),
    "trainer.log_every_n_steps": COUNT,
    "trainer.num_sanity_val_steps": STEPS,
    "trainer.limit_test_batches": POSITIVE,
    "trainer.enable_model_summary": SWITCH,
    "trainer.deterministic": SWITCH,
    "trainer.benchmark": SWITCH,
    "trainer.detect_anomaly": SWITCH,
    "trainer.profiler": TEXT.or_null(),
    "activation_checkpointing": SWITCH,
    "compile": SWITCH,
    "data.root": TEXT.or_null(),
    "base.root": TEXT.or_null(),
    "data.num_workers": NATURAL.or_null(),
    "base.num_workers": NATURAL.or_null(),
    "data.eval_batch_size": COUNT,
    "base.eval_batch_size": COUNT,
    "data.on_error": _one_of("stop", "skip"),
    "base.on_error": _one_of("stop", "skip"),
    "data.cache": _one_of("none", "disk", "ram"),
    "base.cache": _one_of("none", "disk", "ram"),
    "data.shard_cache_gb": POSITIVE,
    "base.shard_cache_gb": POSITIVE,
    "data.*cache_dir": TEXT.or_null(),
    "base.*cache_dir": TEXT.or_null(),
    "callbacks.recent.minutes": POSITIVE,
    "callbacks.recent.steps": COUNT.or_null(),
    "callbacks.recent.keep": COUNT,
    "callbacks.gallery": NULL,
    "callbacks.gallery.count": COUNT,
    "callbacks.extremes": NULL,
    "callbacks.extremes.count": COUNT,
    "callbacks.results.baselines": SWITCH,
    "callbacks.progress": NULL,
    "logger": ANY,
    "logger.*": ANY,
    "test": SWITCH,
    "metrics.test": Kind(lambda v: isinstance(v, list) and len(v) > 0, "a list of metrics"),
    "metrics.workers": NATURAL,
    "metrics.clicks": NATURAL,
    "metrics.jitter_runs": NATURAL,
    "metrics.skeletons": ANY,
    "objective": TEXT,
    "published": TEXT.or_null(),
}

# These may change where the images of a step stay as many.
OF_A_STEP = (
    "data.batch_size",
    "trainer.accumulate_grad_batches",
    "trainer.devices",
    "trainer.num_nodes",
)

# Why not, by the first pattern that fits.
WHY_NOT: Mapping[str, str] = {
    "optimizer*": "the optimizer's state and its learning rates are the checkpoint's",
    "model.param_groups*": "the optimizer's state and its learning rates are the checkpoint's",
    "lr_scheduler*": "the learning rate follows the schedule that the run started with",
    "finetune*": "the optimizer's state and its learning rates are the checkpoint's",
    "model.losses*": "the optimizer's state belongs to the loss that it was made with",
    "model.teacher*": "the loss compares with the teacher that the run started with",
    "model.feature_supervision": "the optimizer's state belongs to the loss it was made with",
    "late_losses*": "the optimizer's state belongs to the loss that it was made with",
    "multiscale*": "the weights are being fitted to images of these sizes",
    "backgrounds*": "the images of the run are drawn with it",
    "model.size": "the weights are being fitted to images of that size",
    "model.processor*": "the weights are being fitted to images that are prepared so",
    "model*": "the checkpoint holds this model's weights",
    "seed": "the order of the images and all that is drawn by chance follow from it",
    "data.seed": "the order of the images and all that is drawn by chance follow from it",
    "data.test*": "another test set is scored by evaluate.py weights=…",
    "data*": "the place in the epoch and the scores so far are of the data that it started with",
    "base*": "the place in the epoch and the scores so far are of the data that it started with",
    "trainer.gradient_clip_val": "the optimizer's state belongs to gradients that are cut off so",
    "trainer.precision": "the checkpoint's weights have the precision that the run started with",
    "trainer.sync_batchnorm": "BatchNorm's statistics belong to the batches they are of",
    "trainer.limit_*": "the place in the epoch and the best score so far belong to it",
    "trainer.overfit_batches": "the place in the epoch belongs to it",
    "memory*": "what fits was measured when the run began",
    "callbacks.best*": "the best checkpoint so far was chosen by it",
    "callbacks.ema*": "the averaged weights in the checkpoint are made with it",
    "metrics.val": "the best checkpoint so far was chosen by these metrics",
    "weights": "the run's weights are its checkpoint's by now",
    "fit": "a run is resumed to train on; evaluate.py weights=… scores its checkpoint",
    "dry_run": "a dry run measures a run before it starts",
    "name": "the run's folder and page have it",
    "folder": "the run is where it is; move the folder itself",
    "hydra*": "resume= says which folder",
}
OTHERWISE = "the run is continued as it was started"


def kind_of(key: str) -> Kind | None:
    """The values that a key may change to; None where it may not change."""
    return next((kind for name, kind in MAY_CHANGE.items() if fnmatchcase(key, name)), None)


def why_not(key: str) -> str:
    """Why a key cannot change in a run that is under way."""
    return next((why for name, why in WHY_NOT.items() if fnmatchcase(key, name)), OTHERWISE)
