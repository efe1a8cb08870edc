"""Writes the table of a test, with the baselines beside it where they were asked for."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.metrics.protocol import describe as describe_protocol
from src.runs import provenance, results

from .baselines import score_baselines


class ResultWriter(Callback):
    """Turns the test's scores into `results.json`, `per_image.csv` and `results.md`.

    Args:
        folder: Of the run.
        method: What the table calls this run.
        baselines: Score an Otsu threshold and the mean training mask in the same table.
    """

    def __init__(self, folder: str, method: str, baselines: bool = False) -> None:
        self.folder, self.method, self.baselines = Path(folder), method, baselines

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tables = {name: self._values(scores) for name, scores in pl_module.test_scores.items()}  # type: ignore[union-attr,operator]
        rows = self._per_image(trainer, pl_module)
        if not trainer.is_global_zero:
            return
        counts = {name: sum(row["set"] == name for row in rows) for name in tables}
        results.write_results(self.folder, tables)
        results.write_per_image(self.folder, rows)
        table = [(self.method, name, counts[name], values) for name, values in tables.items()]
        if self.baselines:
            size = pl_module.geometry.size
            table += score_baselines(trainer.datamodule, size, pl_module.test_metrics)  # type: ignore[attr-defined,arg-type]
        metrics = list(next(iter(tables.values()), {}))
        protocol = {metric: describe_protocol(metric) for metric in metrics}
        note = "\n".join(f"- {metric}: {text}" for metric, text in protocol.items())
        (self.folder / "results.md").write_text(results.markdown(table, note))
        provenance.write(self.folder, protocol=protocol, images=counts)
        print(results.markdown(table))

    def _values(self, scores: Any) -> dict[str, float]:
        return {name: float(value) for name, value in scores.compute().items()}

    def _per_image(self, trainer: Trainer, pl_module: LightningModule) -> list[dict[str, Any]]:
        sets = trainer.datamodule.test_sets  # type: ignore[attr-defined]
        return [
            {"set": name, "name": sets[name].names[int(row["index"])], **_without_index(row)}
            for name, scores in pl_module.test_scores.items()  # type: ignore[union-attr,operator]
            for row in scores.per_image()
        ]


def _without_index(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "index"}
