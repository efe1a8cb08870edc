"""Processing: how an image becomes a network's input and its logits become an 8-bit mask.

What is used from outside is looked up when it is asked for: crops alone need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.processing.processor import NonFiniteError, Processor

__all__ = ["NonFiniteError", "Processor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("src.processing.processor"), name)
