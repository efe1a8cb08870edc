"""An exponential moving average of the weights, validated, tested and saved in their place."""

from typing import Annotated

from annotated_types import Gt, Lt
from lightning.pytorch.callbacks import EMAWeightAveraging


def ema(decay: Annotated[float, Gt(0), Lt(1)] | None) -> EMAWeightAveraging | None:
    """Average with this decay a step; None: no averaging."""
    return None if decay is None else EMAWeightAveraging(decay=decay)
