"""Geometry: how an image becomes a network's input and its logits become an 8-bit mask."""

from .geometry import Geometry, NonFiniteError

__all__ = ["Geometry", "NonFiniteError"]
