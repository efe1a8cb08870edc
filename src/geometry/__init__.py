"""Geometry: how an image becomes a network's input and its logits become an 8-bit mask."""

from .geometry import Geometry

__all__ = ["Geometry"]
