"""Which network and geometry a checkpoint needs: its own word, a config of conf/model, a registry.

Nothing here downloads the ImageNet weights that training starts from.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from src.datamodules.prompts import Prompts, prompts_of
from src.errors import UserError
from src.geometry import Geometry
from src.networks.registry import find, resolve
from src.networks.weights import load_official
from src.runs.checkpoints import OUR_NETWORK, identity
from src.runs.models import composed, names


class Recipe(NamedTuple):
    """What is needed to run a model, apart from its weights."""

    name: str
    network: Mapping[str, Any]  # `_target_` and the constructor's arguments
    geometry: Geometry
    inputs: tuple[str, ...]
    prompts: Prompts | None = None

    def build(self) -> nn.Module:
        """The network with random weights, in evaluation mode."""
        arguments = {key: value for key, value in self.network.items() if key != "_target_"}
        if "pretrained" in arguments:
            arguments["pretrained"] = False
        return _network_class(str(self.network["_target_"]))(**arguments).eval()


def named(model: str) -> Recipe:
    """The recipe of conf/model/<model>.yaml."""
    if model not in names():
        raise UserError(f"no model is called {model!r}; choose one of {', '.join(names())}")
    return of_config(composed(model))


def of_config(model: DictConfig) -> Recipe:
    """The recipe of a composed `model` group."""
    network: Any = OmegaConf.to_container(model.network, resolve=True)
    geometry: Any = OmegaConf.to_container(model.geometry, resolve=True)
    prompts: Prompts | None = instantiate(model.get("prompts"), _convert_="all")
    return _recipe(model.name, network, geometry, model.inputs, prompts)


def of_checkpoint(path: Path, model: str | DictConfig | None = None) -> Recipe:
    """The recipe of a checkpoint file: ours say it themselves, released ones are known by name.

    Args:
        path: The file.
        model: A name or a composed group, for files that neither say it nor are known.
    """
    known = identity(path)
    if known is not None:
        _must_agree(path, known["model"], model)
        network, geometry, inputs = (known[key] for key in ("network", "geometry", "inputs"))
        return _recipe(known["model"], network, geometry, inputs, _own_prompts(path, known))
    if isinstance(model, DictConfig):
        return of_config(model)
    if model is None and (released := find(path.name)):
        model = released.name if released.name in names() else released.model
    if model is None:
        raise UserError(
            f"{path} does not say which model it is; add model=NAME ({', '.join(names())})"
        )
    return named(model)


def load(
    weights: str | Path, model: str | DictConfig | None = None
) -> tuple[nn.Module, Recipe, Path]:
    """A network with the weights of a file, or of a name of the registry."""
    path = resolve(weights)
    recipe = of_checkpoint(path, model)
    network = recipe.build()
    load_official(network, path)
    return network, recipe, path


def _recipe(
    name: str,
    network: Mapping[str, Any],
    geometry: Mapping[str, Any],
    inputs: Any,
    prompts: Prompts | None,
) -> Recipe:
    values = {key: value for key, value in geometry.items() if key != "_target_"}
    return Recipe(name, dict(network), Geometry(**values), tuple(inputs), prompts)


def _own_prompts(path: Path, known: Mapping[str, Any]) -> Prompts | None:
    """What a checkpoint of ours says of its clicks; those of before it did were the model's."""
    if "prompt" not in known["inputs"]:
        return None
    if known.get("prompts") is None:
        return named(known["model"]).prompts
    try:
        return prompts_of(**known["prompts"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}; it was made by another version of finecut") from None


def _must_agree(path: Path, name: str, model: str | DictConfig | None) -> None:
    asked = model.name if isinstance(model, DictConfig) else model
    if asked is not None and asked != name:
        raise UserError(f"{path} is a checkpoint of {name}, not of {asked}; leave model= out")


def _network_class(target: str) -> type[nn.Module]:
    """The class that a `_target_` names. A checkpoint may name ours only: it could run any code."""
    match = OUR_NETWORK.fullmatch(target)
    found = getattr(import_module(match[1]), match[2], None) if match else None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(f"{target!r} is no network of src.networks; is the checkpoint one of ours?")
    return found
