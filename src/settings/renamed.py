"""Keys and choices that had another name once, and the sentence that answers an old one."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.errors import CommandError

_TRAIN: dict[str, str] = {}
_WEIGHTS = {"checkpoint": "weights", "ckpt": "weights"}
# By command: a key with its dots, which stands for all keys below it too, or a group's choice.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "train": _TRAIN,
    "evaluate": {**_TRAIN, "ckpt": "weights", "target": "ground_truth"},
    "check": _TRAIN,
    "preview": _TRAIN,
    "predict": {"destination": "output", **_WEIGHTS},
    "export": {"destination": "output", "pictures": "images", **_WEIGHTS},
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


def require_new_keys_in(command: str, config: DictConfig | Mapping[str, Any]) -> None:
    """Refuse a composed config into which a yaml file of the user's brings an old key.

    Raises:
        CommandError: A sentence with the key's new name.
    """
    values = OmegaConf.to_container(config) if isinstance(config, DictConfig) else config
    table = RENAMED.get(command, {})
    old = next((key for key in _keys(values) if key in table), None)
    if old is not None:
        raise CommandError(f"{old} is now {table[old]}: a yaml file of this command names it")


def new_choice(command: str, path: str) -> str | None:
    """The sentence for a choice that Hydra does not find, `data/shapes`; None if unknown."""
    group, _, choice = path.removesuffix(".yaml").rpartition("/")
    old = f"{group}={choice}"
    new = RENAMED.get(command, {}).get(old)
    return f"{old} is now {new}: a yaml file of this command names it" if new else None


def _renamed(command: str, key: str, value: str | None) -> tuple[str, str]:
    """What was typed and what it is called now: the same where it has no other name."""
    table = RENAMED.get(command, {})
    if value is not None:
        choices = [f"{key}={part}" for part in value.split(",")]  # several in a sweep
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
