"""Processing: how an image becomes a network's input and its logits become an 8-bit mask."""

from src.processing.processor import NonFiniteError, Processor

__all__ = ["NonFiniteError", "Processor"]
