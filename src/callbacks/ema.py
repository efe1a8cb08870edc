"""An exponential moving average of the weights, validated, tested and saved in their place."""

from lightning.pytorch.callbacks import EMAWeightAveraging


def ema(decay: float | None) -> EMAWeightAveraging | None:
    """Average with this decay a step; None: no averaging."""
    return None if decay is None else EMAWeightAveraging(decay=decay)
