"""The models of conf/model, composed by name within a program that Hydra may run already."""

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from src.conf_path import CONF


def names() -> list[str]:
    """Of the models."""
    files = (CONF / "model").glob("*.yaml")
    return sorted(path.stem for path in files if not path.stem.startswith("base"))


def composed(model: str) -> DictConfig:
    """The `model` group of conf/model/<model>.yaml."""
    with _own_hydra(), initialize_config_dir(str(CONF), version_base=None):
        group: DictConfig = compose(overrides=[f"+model={model}"]).model
        return group


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra allows one composing program at a time: step outside of it."""
    instance = GlobalHydra.instance()
    outer, instance.hydra = instance.hydra, None
    try:
        yield
    finally:
        # Not of `instance`: Hydra puts a copy in its place when composing is done.
        GlobalHydra.instance().hydra = outer
