"""Keys and choices that had another name once, and the sentence that answers an old one."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.errors import CommandError

# Of a model's recipe, and of its teacher's.
_MODEL = {
    "good_enough": "stopping_threshold",
    "clip_gradient": "gradient_clip_val",
    "validate_every": "val_check_interval",
    "losses.sides": "losses.side_outputs",
}
_TRAIN = {
    "validate_every": "val_check_interval",
    "checkpointing": "activation_checkpointing",
    "init_from": "weights",
    "checkpoint": "weights",
    **{f"model.{old}": f"model.{new}" for old, new in _MODEL.items()},
    **{f"model.teacher.recipe.{old}": f"model.teacher.recipe.{new}" for old, new in _MODEL.items()},
    "model.teacher.recipe.optimizer": "model.teacher.optimizer",
    "model.optimizer": "optimizer",
    "model.schedule": "lr_scheduler",
    "model.schedule.warmup_share": "lr_scheduler.warmup_fraction",
    "model.groups": "model.param_groups",
    "model.groups.lr": "optimizer.lr",
    "model.groups.weight_decay": "optimizer.weight_decay",
    "model.groups.rules": "model.param_groups",
    "model.groups.rest": "model.param_groups.rest",
    "data.weights": "data.sampling_weights",
    "data.val_share": "data.val_fraction",
    "base.val_share": "base.val_fraction",
    "model.augment.share": "model.augment.fraction",
    "data.augment.share": "data.augment.fraction",
    "data=shapes": "data=synthetic",
    "data=shape_objects": "data=synthetic_objects",
}
_WEIGHTS = {"checkpoint": "weights", "ckpt": "weights"}
# By command: a key with its dots, which stands for all keys below it too, or a group's choice.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "train": _TRAIN,
    "evaluate": {**_TRAIN, "ckpt": "weights", "target": "ground_truth"},
    "check": _TRAIN,
    "data shard": _TRAIN,
    "preview": _TRAIN,
    "predict": {"destination": "output", **_WEIGHTS},
    "export": {
        "destination": "output",
        "pictures": "images",
        "half=true": "precision=fp16",
        "int8=true": "precision=int8",
        **_WEIGHTS,
    },
    "annotate": {"pictures": "images", **_WEIGHTS},
    "app": _WEIGHTS,
    "reproduce": {"root": "data.root", "folder": "output"},
}
# Second names that are taken as they are.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "evaluate": {"truth": "ground_truth"},
    "export": {"licence": "license"},
    "app": {"licence": "license"},
}
_SCRIPTS = ("train", "predict", "evaluate", "export", "annotate", "app")
_WORD = re.compile(
    r"(?P<sign>[+~]{0,2})(?P<key>[\w./:$-]+)(?P<package>@[^=]*)?(?:=(?P<value>.*))?", re.DOTALL
)
_REFERENCE = re.compile(r"Interpolation key '([^']+)' not found")


def with_aliases(command: str, words: Sequence[str]) -> list[str]:
    """The words of a command line with the first name in place of a key's second one."""
    names = ALIASES.get(command, {})
    parts = [word.partition("=") for word in words]
    return [f"{names.get(key, key)}{sign}{value}" for key, sign, value in parts]


def require_new_keys(command: str, words: Sequence[str]) -> None:
    """Refuse the first word of a command line that has an old name, and say the new one.

    Args:
        command: Name of the command, `train`.
        words: Its words, as they were typed.

    Raises:
        CommandError: `validate_every is now val_check_interval: python train.py …`.
    """
    for word in words:
        found = _WORD.fullmatch(word)
        if found is None:
            continue
        old, new = _renamed(command, found["key"], found["value"])
        if new != old:
            package = found["package"] or ""
            said = old if found["value"] is None or "=" in old else f"{old}={found['value']}"
            typed = said.replace(old, new, 1).replace("=", f"{package}=", 1)
            call = f"python {command}.py" if command in _SCRIPTS else f"finecut {command}"
            raise CommandError(f"{old} is now {new}: {call} {shlex.quote(typed)}")


_IN_YAML = "a yaml file of this command names it"


def require_new_keys_in(
    command: str, config: DictConfig | Mapping[str, Any], where: str = _IN_YAML
) -> None:
    """Refuse a composed config into which a yaml file of the user's brings an old key.

    Args:
        command: Name of the command, `train`.
        config: What was composed or read.
        where: Says where the key stands.

    Raises:
        CommandError: A sentence with the key's new name.
    """
    values = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    table = RENAMED.get(command, {})
    old = next((key for key in _keys(values) if key in table), None)
    if old is not None:
        raise CommandError(f"{old} is now {table[old]}: {where}")


def explain(command: str, error: Exception) -> str | None:
    """The sentence for an error of Hydra's about an old name in a yaml file; None for others."""
    missing = getattr(error, "missing_cfg_file", None)  # data/shapes
    found = _REFERENCE.search(str(error))
    old = found[1] if found else ""
    if missing:
        old = "=".join(str(missing).removesuffix(".yaml").rsplit("/", 1))
    key, _, choice = old.partition("=")
    was, new = _renamed(command, key, choice or None)
    return f"{was} is now {new}: {_IN_YAML}" if new != was else None


def _renamed(command: str, key: str, value: str | None) -> tuple[str, str]:
    """What was typed and what it is called now: the same where it has no other name."""
    table = RENAMED.get(command, {})
    if value is not None:
        choices = [f"{key}={part}" for part in value.split(",")]  # several in a sweep
        if len(choices) == 1 and choices[0] in table:  # which may be another key's
            return choices[0], table[choices[0]]
        if any(choice in table for choice in choices):
            new = [table.get(choice, choice).partition("=")[2] for choice in choices]
            return f"{key}={value}", f"{key}={','.join(new)}"
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        start, rest = ".".join(parts[:length]), parts[length:]
        if start in table:
            return key, ".".join([table[start], *rest])
    return key, key


def _keys(values: Any, above: str = "") -> Iterator[str]:
    """All keys of a config with their dots, those of groups before those within them."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield f"{above}{key}"
            yield from _keys(value, f"{above}{key}.")
