"""A data set that needs no files: thin structures drawn over cluttered backgrounds."""

from src.datamodules.synthetic.compose import SyntheticImage, compose
from src.datamodules.synthetic.dataset import SyntheticDataModule, SyntheticDataset

__all__ = ["SyntheticDataModule", "SyntheticDataset", "SyntheticImage", "compose"]
