"""The schemas in words: the help of each command, and the table of all keys in docs/settings.md.

`python -m src.settings.describe` prints the page.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from src.paths import CONF
from src.render import Markdown, markdown_table
from src.settings import commands
from src.settings.schema import allowed_values
from src.settings.training import LauncherSettings, MemorySettings, SweepSettings, TrainSettings

_WIDTH = 100
_KEYS = 28  # characters of the column of keys
# How yaml names what a command chose of a group.
_CHOICE = re.compile(r"\$\{(?:choice:|hydra:runtime\.choices\.)(\w+)\}")

# Command line, schema and yaml of each command, in the order of the page.
COMMANDS: dict[str, tuple[str, type[BaseModel], str]] = {
    "predict": ("python predict.py", commands.PredictSettings, "predict"),
    "evaluate": ("python evaluate.py maps=…", commands.EvaluateSettings, "evaluate"),
    "train": ("python train.py", TrainSettings, "train"),
    "export": ("python export.py", commands.ExportSettings, "export"),
    "benchmark": ("finecut benchmark", commands.BenchmarkSettings, "benchmark"),
    "annotate": ("python annotate.py", commands.AnnotateSettings, "annotate"),
    "app": ("python app.py", commands.AppSettings, "app"),
    "tables": ("python tables.py", commands.TablesSettings, "tables"),
    "check": ("finecut check data=dis5k", commands.CheckSettings, "check"),
    "shard": ("finecut data shard data=dis5k", commands.ShardSettings, "shard"),
    "preview": ("finecut preview data=dis5k", commands.PreviewSettings, "preview"),
    "reproduce": ("finecut reproduce", commands.ReproduceSettings, "reproduce"),
    "sweep": ("python train.py -m sweep=optuna", SweepSettings, ""),
    "launcher": ("python train.py -m launcher=…", LauncherSettings, ""),
    "memory": ("python train.py memory=auto", MemorySettings, ""),
}


def help_text(command: str, config: DictConfig) -> str:
    """The keys of a command with their defaults and what they are for, for `--help`."""
    _, schema, _ = COMMANDS[command]
    keys = list(_keys(schema))
    if command == "train":
        keys = [(key, field) for key, field in keys if _is_daily(field)]
    lines: list[str] = []
    for key, field in keys:
        head = f"  {key}={_default(config, key)}"
        text = f"{field.description}{'' if command == 'train' else _choices(field)}"
        first = " " * _KEYS if len(head) >= _KEYS else head.ljust(_KEYS)
        lines += [head] if len(head) >= _KEYS else []
        lines += textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * _KEYS)
    return "\n".join(lines)


def markdown() -> str:
    """The page of all keys."""
    lines = [
        "# Settings",
        "",
        "Every key of every command: what it takes, its default, what it is for. A value that a",
        "key cannot take is one line that names the key, and exit code 2. `true`, `yes`, `on`,",
        "`y`, `1` and `false`, `no`, `off`, `n`, `0` are the two values of a flag. This page is",
        "written from the schemas (`python -m src.settings.describe`).",
        "",
    ]
    for words, schema, yaml in COMMANDS.values():
        defaults = OmegaConf.load(CONF / f"{yaml}.yaml") if yaml else OmegaConf.create()
        assert isinstance(defaults, DictConfig)
        lines += [f"## `{words}`", "", f"{(schema.__doc__ or '').splitlines()[0]}", ""]
        rows = [
            [
                Markdown(str(cell).replace("|", "\\|"))
                for cell in (
                    *(f"`{key}`", allowed_values(field)),
                    *(_cell(defaults, key), field.description),
                )
            ]
            for key, field in _keys(schema)
        ]
        lines.append(markdown_table(["key", "takes", "default", "for"], rows, "l"))
    return "\n".join(lines)


def _keys(schema: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """All keys, those of groups with their dots."""
    for name, field in schema.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = _schema_within(field)
        if inner is None:
            yield key, field
        elif inner not in (SweepSettings, LauncherSettings):  # they have tables of their own
            yield from _keys(inner, f"{key}.")


def _schema_within(field: FieldInfo) -> type[BaseModel] | None:
    annotation: Any = field.annotation
    return annotation if hasattr(annotation, "model_fields") else None


def _is_daily(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, Mapping) and bool(extra.get("daily"))


def _choices(field: FieldInfo) -> str:
    words = allowed_values(field)
    return f" ({words})" if words.startswith(("one of", "a whole", "a number")) else ""


def _default(config: DictConfig, key: str) -> str:
    value = _unchosen(config, key) or OmegaConf.select(config, key)
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value)
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return "…" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _unchosen(config: DictConfig, key: str) -> str | None:
    """A default that is named by a group of which nothing is chosen yet: `logs/check/<data>`."""
    raw = _written(config, key)
    chosen = OmegaConf.select(config, "hydra.runtime.choices", default={})
    groups = _CHOICE.findall(raw) if isinstance(raw, str) else []
    if all(chosen.get(group) for group in groups):
        return None
    text = _CHOICE.sub(lambda found: chosen.get(found[1]) or f"<{found[1]}>", str(raw))
    return None if "${" in text else text


def _written(config: DictConfig, key: str) -> Any:
    """A value as the yaml has it."""
    node: Any = OmegaConf.to_container(config, resolve=False)
    for step in key.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return node


def _cell(defaults: DictConfig, key: str) -> str:
    node = _written(defaults, key)
    if node is None:
        return ""
    return f"`{str(node).lower() if isinstance(node, bool) else node}`"


if __name__ == "__main__":
    print(markdown())
