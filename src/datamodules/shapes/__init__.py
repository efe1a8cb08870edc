"""A data set that needs no files: thin structures drawn over cluttered backgrounds."""

from .compose import Picture, compose
from .dataset import ShapesDataModule, ShapesDataset

__all__ = ["Picture", "ShapesDataModule", "ShapesDataset", "compose"]
