"""Turns `evaluate.py weights=…` into a run that only tests."""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from src import models
from src.command_line import literal, literals
from src.datamodules.clicks import to_dict
from src.errors import CommandError
from src.settings.preprocess import parse_preprocess
from src.training import checkpoints
from src.weights import registry
from src.weights.checkpoint import Checkpoint, read_outline
from src.weights.loading import check_outline
from src.weights.metadata import Metadata
from src.weights.onnx_file import is_onnx, read_onnx


def as_test_run(cfg: DictConfig) -> DictConfig:
    """The config with the checkpoint's own model in place of the command's.

    A file under its authors' names says nothing of itself: `model=` then has to. Click-guided
    models are measured as their papers do, outside of void pixels, and mattes by their metrics,
    unless `metrics` was chosen.
    """
    if cfg.weights is None:
        raise CommandError("give maps=FOLDER ground_truth=FOLDER, or weights=FILE data=NAME")
    if not (_chosen("data") or _chosen("experiment")):
        raise CommandError("weights= needs a data set to be scored on, for example data=dis5k")
    path = registry.locate(cfg.weights).absolute()
    said = parse_preprocess(cfg.get("preprocess"))
    if is_onnx(path):
        checkpoint = read_onnx(path, cfg.model if _chosen("model") else None, said)
    elif said:
        raise CommandError(f"preprocess= is for ONNX files of others, which {path} is not")
    else:
        checkpoint = read_outline(path)
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    cfg.pop("preprocess", None)
    if checkpoint.metadata is None:
        cfg.weights = literal(str(checkpoint.path))
    else:
        _become(cfg, checkpoint, checkpoint.metadata)
    test_all_of_it(cfg)
    own = "prompt" in cfg.model.inputs or cfg.data.get("soft")
    if own and not _chosen("metrics", "test"):  # of mattes, those of mattes
        cfg.metrics.test = cfg.model.test_metrics
    engine = cfg.pop("engine", None)
    if is_onnx(path) and engine == "torch":
        raise CommandError(f"{path} runs in ONNX Runtime or OpenVINO, not with engine=torch")
    if engine not in (None, "torch"):
        node = {"_target_": "src.callbacks.engine.ScoreInEngine", "engine": engine}
        cfg.callbacks.engine = node
    cfg.fit = False
    return cfg


def test_all_of_it(cfg: DictConfig) -> None:
    """Where a data config names files but no test set, test all that it names.

    It was written for training: a folder of images and masks, or a table of them. A command that
    scores a checkpoint can mean nothing else.
    """
    named = {part: _files_of(cfg.data, part) for part in ("train", "val", "test")}
    if named["test"] or not (named["train"] or named["val"]):
        return
    name = Path(cfg.data.root or "").expanduser().resolve().name or "test"
    sets: dict[str, Any] = {}
    for part in ("train", "val"):
        for inner, source in named[part].items():
            key = inner or (name if name not in sets else f"{name}-{part}")
            sets[key if key not in sets else f"{key}-{part}"] = source
    cfg.data.test = sets
    cfg.data.train = cfg.data.val = None


def _files_of(data: DictConfig, part: str) -> dict[str, Any]:
    """The sources of image and mask files under a part: several by name, or one without."""
    node = data.get(part)
    if not isinstance(node, DictConfig) or "_target_" in node:
        return {}  # objects are made by classes of their own, which say what is tested
    given = {str(key): node[key] for key in node if node[key] is not None}
    if {"images", "masks", "csv", "shards", "count", "mask_suffix"} & given.keys():
        return {"": node} if {"images", "csv", "shards"} & given.keys() else {}
    return {key: value for key, value in given.items() if isinstance(value, DictConfig)}


def _become(cfg: DictConfig, checkpoint: Checkpoint, said: Metadata) -> None:
    """Put the model that a checkpoint names, and what it says of itself, into the config.

    All of it is plain values by now: no reference that the config would resolve, and no class but
    a network of ours, whose weights are those in the file.
    """
    check_outline(checkpoint)
    processor, prompts = checkpoints.processor_of(checkpoint), checkpoints.prompts_in(checkpoint)
    if said.model != cfg.model.name and said.model in models.names():
        cfg.model = models.composed(said.model)
    cfg.weights, cfg.model.name = literal(str(checkpoint.path)), literal(said.model)
    values: dict[str, Any] = {
        "network": said.network,
        "processor": {**processor.to_dict(), "_target_": "src.processing.Processor"},
        "inputs": list(said.inputs),
    }
    if prompts is not None:
        values["prompts"] = {"_target_": "src.datamodules.clicks.prompts_of", **to_dict(prompts)}
    for key, value in values.items():
        OmegaConf.update(cfg, f"model.{key}", literals(value), merge=False)
    cfg.model.losses = {}
    cfg.model.teacher = None


def _chosen(group: str, key: str = "") -> bool:
    """Whether the command line names a group or one of its keys, `key` if that is given."""
    if not HydraConfig.initialized():
        return False
    words = (word.lstrip("+~") for word in HydraConfig.get().overrides.task)
    return any(word.startswith((f"{group}=", f"{group}.{key}")) for word in words)
