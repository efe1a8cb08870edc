"""What every network returns."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """Predictions of one forward pass, before any sigmoid.

    masks: (B, 1, h, w) logits, finest first; `masks[0]` is the prediction.
    features: (B, C, h, w) maps by name, in the order of the stages, for losses that look inside.
    """

    masks: list[Tensor]
    features: dict[str, Tensor]
