"""Weights: released files and checkpoints, found, read as plain data, and loaded strictly."""

from typing import Any

__all__ = ["build", "load_official"]


def __getattr__(name: str) -> Any:
    # Looked up late: the registry alone is read without torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import loading

    return getattr(loading, name)
