"""Geometry: how an image becomes a network's input and its logits become an 8-bit mask."""

from src.processing.processor import Geometry, NonFiniteError

__all__ = ["Geometry", "NonFiniteError"]
