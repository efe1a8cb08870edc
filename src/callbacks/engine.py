"""A checkpoint scored in another engine than PyTorch: `finecut evaluate weights=… engine=…`."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from src.engines.runtimes import versions
from src.engines.selection import in_engine
from src.results.provenance import write


class ScoreInEngine(Callback):
    """Runs the tested network in an engine, from the first batch of a test to the last.

    What was used is written into the run's provenance.

    Args:
        engine: `onnxruntime`, `openvino` or `auto`.

    Raises:
        UserError: Not installed, or not for this network, device or precision.
    """

    def __init__(self, engine: str) -> None:
        self.engine = engine

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # By now the module has put a copy with fused norms in the network's place, for the test.
        module: Any = pl_module
        precision = {"32": "fp32", "bf": "bf16", "16": "fp16"}.get(str(trainer.precision)[:2])
        used, module.network = in_engine(
            module.network,
            module.processor,
            self.engine,
            name=module.identity.get("model", "the network"),
            device=module.device,
            precision=precision or str(trainer.precision),
        )
        if trainer.is_global_zero:
            write(Path(trainer.default_root_dir), engine=f"{used} {versions()[used]}")
