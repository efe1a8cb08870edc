"""Masks for one's own images: the Python API, folders, videos and what is made of a mask."""

from src.inference.segmenter import Segmenter

__all__ = ["Segmenter"]
