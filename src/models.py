"""The models of conf/model: their names, and what each is composed to.

A model's yaml is the one place that says which network it has and with which arguments; a released
checkpoint names its model in `weights/registry.yaml`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from src.errors import UserError
from src.instantiate import build
from src.paths import CONF

# What else models are called, after the backbones by which their authors tell them apart.
OTHER_NAMES = {"birefnet_swin_l": "birefnet", "birefnet_swin_t": "birefnet_lite"}


def names() -> list[str]:
    """Of the models."""
    files = (CONF / "model").glob("*.yaml")
    return sorted(path.stem for path in files if not path.stem.startswith("base"))


def composed(model: str) -> DictConfig:
    """The `model` group of conf/model/<model>.yaml; `OTHER_NAMES` are names too.

    Raises:
        UserError: There is none; the message lists the models.
    """
    model = OTHER_NAMES.get(model, model)
    if model not in names():
        raise UserError(f"no model is called {model!r}; choose one of {', '.join(names())}")
    with own_hydra(), initialize_config_dir(str(CONF), version_base=None):
        group: DictConfig = compose(overrides=[f"+model={model}"]).model
        return group


def build_untrained(network: Mapping[str, Any] | DictConfig, **arguments: Any) -> Any:
    """The network of a config node with random weights, those of ImageNet neither.

    Args:
        network: `_target_` and the constructor's arguments.
        arguments: In place of the node's.
    """
    without = {"pretrained": False} if "pretrained" in network else {}
    return build(network, **{**without, **arguments})


def guided_by_clicks() -> str:
    """The names of the models that take clicks, for a message that sends to one of them."""
    return ", ".join(name for name in names() if "prompt" in composed(name).inputs)


@contextmanager
def own_hydra() -> Iterator[None]:
    """Hydra allows one composing program at a time: step outside of it."""
    instance = GlobalHydra.instance()
    outer, instance.hydra = instance.hydra, None
    try:
        yield
    finally:
        # Not of `instance`: Hydra puts a copy in its place when composing is done.
        GlobalHydra.instance().hydra = outer
