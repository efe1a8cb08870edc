"""Metrics of torchmetrics, or of any class that derives from its `Metric`, named by a config.

`metrics.extra` of a command holds them by name:

    extra:
      dice: {_target_: torchmetrics.classification.BinaryF1Score, threshold: 0.5}

A name then stands in `metrics.test` or `metrics.val` beside finecut's own. Such a metric is updated
with one image at a time, computed and reset; a data set's number is the mean over its images, so
that it has a row per image, is resumed, and does not depend on the number of processes, as ours.
"""

import pkgutil
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import UserError
from src.metrics._maps import FOREGROUND_ABOVE, Gray
from src.metrics._record import (
    FOREGROUND,
    LOWER_IS_BETTER,
    UNSTRETCHED,
    MetricRecord,
    records,
    replace_foreign,
)
from src.targets import TARGET, check_targets

if TYPE_CHECKING:  # torch takes seconds to import, and is needed by these metrics alone
    import torch
    from torchmetrics import Metric

    from src.metrics._image import ScoredPair

KEY = "metrics.extra"
_definitions: dict[str, dict[str, Any]] = {}


def use_foreign(extra: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Make these the foreign metrics of this process, and of those that score for it.

    Args:
        extra: By name, `_target_` and the arguments of the class, plain values.

    Raises:
        UserError: A metric that cannot be used, named with the reason: a name of finecut's, no
            class of torchmetrics', wrong arguments, no single number for a pair of maps.
    """
    given = {name: dict(node) for name, node in (extra or {}).items()}
    replace_foreign([_record(name, node) for name, node in given.items()])
    _definitions.clear()
    _definitions.update(given)


def foreign_metrics() -> dict[str, dict[str, Any]]:
    """What `use_foreign` was given last."""
    return dict(_definitions)


class ForeignMetric:
    """Computes a torchmetrics `Metric` of one pair of maps.

    The prediction is float32 in [0, 1], the target 0 and 1, both `(1, 1, H, W)` on the CPU. The
    target is int64; float32 where the class refuses integers.

    Args:
        name: Under which the config has it.
        metric: A new object of the class.
    """

    def __init__(self, name: str, metric: "Metric") -> None:
        import torch

        self.key, self.metric = f"{KEY}.{name}", metric
        # What other processes have seen is joined by finecut, image by image.
        metric.distributed_available_fn = lambda: False
        self._kind = torch.int64
        refusal = self._refusal()
        if refusal is not None:
            self._kind = torch.float32
            if self._refusal() is not None:
                raise UserError(f"{self.key}: {refusal}")

    def __call__(self, pair: "ScoredPair") -> float:
        return float(self._computed(pair.prediction, pair.target))

    def _refusal(self) -> str | None:
        """Why the metric gives no number for an example; None if it gives one."""
        target = np.zeros((64, 64), np.uint8)
        target[16:48, 16:48] = 255
        prediction = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
        kind = type(self.metric).__name__
        try:
            value = self._computed(prediction, target)
        except Exception as error:  # whatever a foreign class raises
            return f"{kind} takes no pair of maps (1, 1, H, W): {str(error).strip()}"
        if getattr(value, "numel", lambda: 0)() != 1:
            shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
            return f"{kind} gives {type(value).__name__}{shape} and not one number"
        return None

    def _computed(self, prediction: Gray, target: Gray) -> "torch.Tensor":
        import torch

        self.metric.reset()
        values = torch.from_numpy(prediction.astype(np.float32) / 255)
        truth = torch.from_numpy(target > FOREGROUND_ABOVE).to(self._kind)
        self.metric.update(values[None, None], truth[None, None])
        value: torch.Tensor = self.metric.compute()
        return value


def _record(name: str, node: dict[str, Any]) -> MetricRecord:
    key = f"{KEY}.{name}"
    if name in records():
        raise UserError(f"{key}: finecut has a metric {name}; choose another name")
    target = node.get(TARGET)
    if not isinstance(target, str):
        raise UserError(f"{key}: give {TARGET}, the class of a torchmetrics.Metric")
    arguments = {k: v for k, v in node.items() if k != TARGET}
    metric = _built(key, target, arguments)
    higher_is_better = metric.higher_is_better
    direction = "higher is better" if higher_is_better else LOWER_IS_BETTER
    if higher_is_better is None:
        raise UserError(
            f"{key}: {target}.higher_is_better is None, so that no table can rank by it"
        )
    said = ", ".join(f"{k}={v!r}" for k, v in sorted(arguments.items()))
    return MetricRecord(
        name=name,
        prediction=f"{UNSTRETCHED}, a float of (1, 1, H, W)",
        target=f"{FOREGROUND}, as 0 and 1",
        score=f"{target}({said}), {_versions(target)}",
        reporting=f"mean over images; {direction}",
        of_image=ForeignMetric(name, metric),
        higher_is_better=higher_is_better,
    )


def _built(key: str, target: str, arguments: dict[str, Any]) -> "Metric":
    from torchmetrics import Metric

    from src.instantiate import build

    check_targets({TARGET: target}, key)
    try:
        named = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{key}: there is no {target} ({error})") from None
    if not (isinstance(named, type) and issubclass(named, Metric)):
        raise UserError(f"{key}: {target} is no class that derives from torchmetrics.Metric")
    try:
        metric: Metric = build({TARGET: target, **arguments})
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    except Exception as error:  # a package that the class needs, for example
        raise UserError(f"{key}: {target}: {error.__cause__ or error}") from None
    return metric


def _versions(target: str) -> str:
    """The versions that the number depends on, as far as packages have one."""
    said = []
    for package in dict.fromkeys((target.partition(".")[0], "torchmetrics", "torch")):
        try:
            said.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # a module of the user's own
            continue
    return ", ".join(said)
