"""What fine-tuning gains on the new data and loses on the old, from the untouched weights on."""

import logging
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.metrics import higher_is_better
from src.results.table import markdown

log = logging.getLogger(__name__)

# What the base data may lose before it is said; small sets move by as much from step to step.
NOTICEABLE = 0.005

# A set's scores by its name, `val` or `base`.
Scored = dict[str, dict[str, float]]


class FineTuningReport(Callback):
    """Says after each validation how far both sets are from the untouched weights.

    Its rows are kept in the checkpoints, so that a resumed run has each of them once. `section` is
    the table of before and after, with which `ResultWriter` closes `results.md`.

    Args:
        monitor: What chooses the best checkpoint, `val/max_f`.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.rows: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # The checkpoint that is tested knows no rows that came after it.
        if len(state_dict["rows"]) > len(self.rows):
            self.rows = list(state_dict["rows"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        sets = trainer.datamodule.validation_sets  # type: ignore[attr-defined]
        self.counts = {name: len(dataset) for name, dataset in sets.items()}
        self.rows.append({"step": trainer.global_step, "scored": _scored(trainer, list(sets))})
        if trainer.is_global_zero:
            log.info("%s", self._line(self.rows[-1]))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            log.info("\n%s", self.section())

    def section(self) -> str:
        """The table of the untouched, best and last weights on each set, and what it means."""
        table = [
            (label, name, self.counts.get(name, 0), values)
            for label, scored in self._compared().items()
            for name, values in scored.items()
        ]
        return f"## Fine-tuning: before and after\n\n{markdown(table, self._verdict())}"

    def best(self) -> dict[str, Any]:
        """The row of the checkpoint that is tested: the best after step 0, the first of equals."""
        name, metric = self.monitor.split("/", 1)
        sign = 1 if higher_is_better(metric) else -1
        return max(self.rows[1:] or self.rows, key=lambda row: sign * row["scored"][name][metric])

    def _compared(self) -> dict[str, Scored]:
        before, best, last = self.rows[0], self.best(), self.rows[-1]
        change = {name: _minus(best["scored"][name], v) for name, v in before["scored"].items()}
        compared = {
            "untouched weights": before["scored"],
            f"best, step {best['step']}": best["scored"],
        }
        if last is not best:
            compared[f"last, step {last['step']}"] = last["scored"]
        return {**compared, "best − untouched": change}

    def _verdict(self) -> str:
        name, metric = self.monitor.split("/", 1)
        before, best = self.rows[0]["scored"], self.best()["scored"]
        lines = [
            f"- `{name}`: the new data's validation images; `base`: the base data's. The best is"
            f" chosen by {self.monitor}."
        ]
        if _gain(before, best, name, metric) <= 0:
            lines.append(
                "- **No validation beat the untouched weights on the new data**: go on using them;"
                " docs/finetune.md says what to try."
            )
        if "base" in best and (loss := -_gain(before, best, "base", metric)) > NOTICEABLE:
            lines.append(
                f"- **{metric} fell by {loss:.4f} on the base data**: a larger finetune.replay or a"
                " smaller finetune.lr_factor forgets less."
            )
        return "\n".join(lines)

    def _line(self, row: dict[str, Any]) -> str:
        before = self.rows[0]["scored"]
        parts = [
            f"{name} "
            + ", ".join(
                f"{metric} {value:.4f}" + _change(value - before[name][metric], row["step"])
                for metric, value in values.items()
            )
            for name, values in row["scored"].items()
        ]
        label = "untouched weights" if row is self.rows[0] else f"step {row['step']}"
        return f"{label}: {'; '.join(parts)}"


def _scored(trainer: Trainer, names: list[str]) -> Scored:
    scored: Scored = {name: {} for name in names}
    for key, value in trainer.callback_metrics.items():
        name, _, metric = key.partition("/")
        if name in scored:
            scored[name][metric] = float(value)
    return scored


def _minus(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {metric: value - before[metric] for metric, value in after.items()}


def _gain(before: Scored, after: Scored, name: str, metric: str) -> float:
    change = after[name][metric] - before[name][metric]
    return change if higher_is_better(metric) else -change


def _change(difference: float, step: int) -> str:
    return f" ({difference:+.4f})" if step else ""
