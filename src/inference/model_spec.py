"""Which network and processor a checkpoint needs: its own word, a config of conf/model, a registry.

Nothing here downloads the ImageNet weights that training starts from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from src.datamodules.clicks import Prompts
from src.errors import UserError
from src.instantiate import build
from src.models import build_untrained, composed, names
from src.networks.network import Network, require_network
from src.processing import Processor
from src.settings.preprocess import parse_preprocess
from src.training.checkpoints import processor_of, prompts_in
from src.weights.checkpoint import Checkpoint, WeightsError, read_checkpoint, read_outline
from src.weights.loading import load_official, network_of
from src.weights.model_folder import CONFIG, WEIGHTS
from src.weights.onnx_file import is_onnx, read_onnx
from src.weights.registry import RegistryError, find, identify, locate


class ModelSpec(NamedTuple):
    """What is needed to run a model, apart from its weights."""

    name: str
    network: Mapping[str, Any]  # `_target_` and the constructor's arguments
    processor: Processor
    inputs: tuple[str, ...]
    prompts: Prompts | None = None

    def build(self) -> Network:
        """The network with random weights, in evaluation mode."""
        return require_network(build_untrained(self.network)).eval()


def named(model: str) -> ModelSpec:
    """The recipe of conf/model/<model>.yaml."""
    return of_config(composed(model))


def of_config(model: DictConfig) -> ModelSpec:
    """The recipe of a composed `model` group."""
    network: Any = OmegaConf.to_container(model.network, resolve=True)
    processor: Any = OmegaConf.to_container(model.processor, resolve=True)
    prompts: Prompts | None = build(model.get("prompts"))
    return _recipe(model.name, network, processor, model.inputs, prompts)


def of_checkpoint(source: Path | Checkpoint, model: str | DictConfig | None = None) -> ModelSpec:
    """The recipe of a checkpoint: ours say it themselves, released ones are known by name.

    Args:
        source: The file, or what was read of it.
        model: A name or a composed group, for files that neither say it nor are known.
    """
    checkpoint = source if isinstance(source, Checkpoint) else read_outline(source)
    path, said = checkpoint.path, checkpoint.metadata
    if said is not None:
        _must_agree(path, said.model, model)
        prompts = prompts_in(checkpoint)
        if "prompt" not in said.inputs:
            prompts = None
        elif prompts is None:  # of before they were written down: the model's
            prompts = named(said.model).prompts
        return ModelSpec(said.model, said.network, processor_of(checkpoint), said.inputs, prompts)
    if isinstance(model, DictConfig):
        return of_config(model)
    if model is None and (released := find(path.name) or identify(path, checkpoint.sha256)):
        model = released.model
    if model is None:
        lacking = ""
        if path.name == WEIGHTS:
            lacking = f": no {CONFIG} of finecut lies beside it"
        raise UserError(
            f"{path} does not say which model it is{lacking}; add model=NAME ({', '.join(names())})"
        )
    return named(model)


def load(
    weights: str | Path,
    model: str | DictConfig | None = None,
    size: int | Sequence[int] | None = None,
    preprocess: Mapping[str, Any] | None = None,
) -> tuple[Network, ModelSpec, Path]:
    """A network with the weights of a file, or of a name of the registry; what it needs, and the
    file.

    Args:
        weights: The file or the name.
        model: As for `of_checkpoint`.
        size: Another input size than the model's.
        preprocess: How an ONNX file of others wants its image, see `src/settings/preprocess.py`.
    """
    try:
        path = locate(weights)
    except RegistryError as error:
        raise WeightsError(str(error)) from error
    said = parse_preprocess(preprocess)
    if is_onnx(path):
        checkpoint = read_onnx(path, model, said, size)
        size = None
    elif said:
        raise UserError(f"preprocess= is for ONNX files of others, which {path} is not")
    else:
        checkpoint = read_checkpoint(weights)
    spec = of_checkpoint(checkpoint, None if is_onnx(path) else model)
    network = spec.build() if checkpoint.metadata is None else network_of(checkpoint)
    if not network.runs_file:
        load_official(network, checkpoint)
    try:
        if size is not None:
            spec = spec._replace(processor=replace(spec.processor, size=size))  # type: ignore[arg-type]  # makes a pair
        network.check_size(*spec.processor.size)
    except ValueError as error:
        raise UserError(str(error)) from None
    return network, spec, checkpoint.path


def _recipe(
    name: str,
    network: Mapping[str, Any],
    processor: Mapping[str, Any],
    inputs: Any,
    prompts: Prompts | None,
) -> ModelSpec:
    values = {key: value for key, value in processor.items() if key != "_target_"}
    return ModelSpec(name, dict(network), Processor(**values), tuple(inputs), prompts)


def _must_agree(path: Path, name: str, model: str | DictConfig | None) -> None:
    asked = model.name if isinstance(model, DictConfig) else model
    if asked is not None and asked != name:
        raise UserError(f"{path} is a checkpoint of {name}, not of {asked}; leave model= out")
