"""What people type, in Hydra's grammar, and text that passes through OmegaConf as it is."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from src.errors import CommandError
from src.paths import CONF

_INTERPOLATION = re.compile(r"(\\*)\$\{")
_SETTING = re.compile(r"(?P<key>[+~]{0,2}[\w./@:$-]+)=(?P<value>.*)", re.DOTALL)
_SWEEP = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_IN_QUOTES = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_QUOTED = re.compile(_IN_QUOTES, re.DOTALL)
_QUOTED_ELEMENT = re.compile(rf"(?:{_IN_QUOTES})(?=\s*(?:,|$))", re.DOTALL)
# Keys whose value is a path or a name: no grammar reads what is typed for them. By last part…
_TEXT = frozenset(
    (
        *("account", "boxes", "cache_dir", "checkpoint", "compare", "csv", "dir", "dirpath"),
        *("filename", "folder", "ground_truth", "image_list", "images", "weights", "input"),
        *("license", "maps", "mask_suffix", "masks", "name", "output", "partition", "project"),
        *("published", "resume", "root", "shards", "skeletons", "storage", "study", "trimaps"),
    )
)
# …and those that are text in one place only: elsewhere they are numbers, or shares by set.
_TEXT_AT_THE_TOP = frozenset({"results", "runs", "type", "weights"})
_TEXT_OR_SWITCH = frozenset({"pretrained"})
# What `trainer.…` has; Hydra adds other arguments of Lightning's Trainer with `++` in front only.
TRAINER = frozenset(
    re.findall(r"^(\w+):", (CONF / "trainer" / "default.yaml").read_text(encoding="utf-8"), re.M)
)


def literal(text: str) -> str:
    """The text as a config has to hold it, so that reading it gives `text` back.

    OmegaConf takes `${x}` for a reference to another key; `\\${x}` is the text itself.
    """
    return _INTERPOLATION.sub(lambda found: found[1] * 2 + r"\${", text)


def is_literal(text: str) -> bool:
    """Whether a config's text, as `literal` left it, refers to nothing."""
    return all(len(found[1]) % 2 for found in _INTERPOLATION.finditer(text))


def literals(value: Any) -> Any:
    """Plain values (dicts, lists, scalars) with all text in them escaped by `literal`."""
    if isinstance(value, dict):
        return {key: literals(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [literals(inner) for inner in value]
    return literal(value) if isinstance(value, str) else value


def quote_overrides(words: Sequence[str]) -> list[str]:
    """The words of a command line, with those values quoted that Hydra's grammar would misread.

    A key that holds a path or a name takes its value as it was typed: spaces, commas, brackets,
    `#`, `=`, `\\` and `${x}` in it are text. Only `null`, a list in brackets and what stands in
    quotes itself are read otherwise; a sweep (`-m`) also divides it at commas. Values of all other
    keys are Hydra's, and text where Hydra cannot read them. `~/` is the home folder, which no
    shell expands behind a `=`. `--skip-existing` is `skip_existing=true`, and every argument of
    Lightning's Trainer can be given as `trainer.KEY=`.

    Raises:
        CommandError: A word is not UTF-8, which no file of a run could hold.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise CommandError(
                f"{word!a} is not UTF-8 (what \\udc… stands for is one of its bytes);"
                " rename the file or folder, `convmv` does so for many"
            ) from None
    sweep = any(word in _SWEEP for word in words)
    return ["skip_existing=true" if w == "--skip-existing" else _readable(w, sweep) for w in words]


def is_text(key: str) -> bool:
    """Whether a key holds a path or a name, which no grammar may touch."""
    key = key.lstrip("+~").partition("@")[0]
    return key in _TEXT_AT_THE_TOP or key.rpartition(".")[2] in _TEXT


def text_or_list(value: str) -> str | list[str | None] | None:
    """What was typed for a key that holds text: the text itself, `null`, or `[a,b]`, a list."""
    if value == "null":
        return None
    if value.startswith("[") and value.endswith("]"):
        return [_one(part) for part in _divided(value[1:-1], brackets="")]
    return _one(value)


def quoted(text: str) -> str:
    """Text as a value in Hydra's grammar, which reads it back as it is."""
    return QuotedString(text=literal(text), quote=Quote.single).with_quotes()


def _readable(word: str, sweep: bool) -> str:
    setting = _SETTING.fullmatch(word)
    if setting is None:
        return word
    key, value = setting["key"], setting["value"]
    plain = key.lstrip("+")
    if plain.startswith("trainer."):  # with or without a plus, whether the key is there or not
        key = plain if plain.split(".")[1] in TRAINER else f"++{plain}"
    switch = key.rpartition(".")[2] in _TEXT_OR_SWITCH and value not in ("true", "false")
    if value and (is_text(key) or switch) and not (sweep and _reads_as_sweep(key, value)):
        return f"{key}={_as_text(value)}"
    if value.startswith("~/"):
        value = _at_home(value)
    if _parses(f"{key}={value}"):
        return f"{key}={value}"
    if value.startswith("[") and value.endswith("]"):  # colors, names with spaces
        listed = [part if _parses(f"k={part}") else quoted(part) for part in _divided(value[1:-1])]
        if _parses(f"{key}=[{','.join(listed)}]"):
            return f"{key}=[{','.join(listed)}]"
    return f"{key}={QuotedString(text=value, quote=Quote.single).with_quotes()}"


def _as_text(value: str) -> str:
    """The value of a key that holds text, in Hydra's grammar."""
    if value.startswith("[") and value.endswith("]"):
        parts = _divided(value[1:-1], brackets="")
        return f"[{','.join(map(_element, parts))}]"
    return _element(value)


def _element(value: str) -> str:
    if value == "null" or (_is_quoted(value) and _parses(f"k={value}")):
        return value
    value = _at_home(value) if value.startswith("~/") else value
    return value if _is_plain(value) else quoted(value)


def _one(value: str) -> str | None:
    if value == "null":
        return None
    if _is_quoted(value):
        mark = value[0]
        return value[1:-1].replace(f"\\{mark}", mark)
    return _at_home(value) if value.startswith("~/") else value


def _is_plain(value: str) -> bool:
    """Whether Hydra reads a text as itself, in a list too: it may stay as it was typed."""
    try:
        read = OverridesParser.create().parse_override(f"k=[{value}]").value()
    except HydraException:
        return False
    return read == [value] and "$" not in value and value.strip() == value


def _is_quoted(value: str) -> bool:
    return _QUOTED.fullmatch(value) is not None


def _divided(listed: str, brackets: str = "[({])}") -> list[str]:
    """The elements of a list, divided at the commas that stand in no quotes and no `brackets`."""
    parts, start, at, depth = [], 0, 0, 0
    while at < len(listed):
        # A quote opens an element only; within one it is a letter.
        if not listed[start:at].strip() and (element := _QUOTED_ELEMENT.match(listed, at)):
            at = element.end()
            continue
        if listed[at] in brackets:
            depth += 1 if listed[at] in "[({" else -1
        elif listed[at] == "," and depth <= 0:
            parts.append(listed[start:at])
            start = at + 1
        at += 1
    parts.append(listed[start:])
    parts = [part.strip() for part in parts]
    return [] if parts == [""] else parts


def _reads_as_sweep(key: str, value: str) -> bool:
    """Whether Hydra reads several values, `a,b` or `choice(a,b)`, and not one."""
    try:
        return OverridesParser.create().parse_override(f"{key}={value}").is_sweep_override()
    except HydraException:
        return False


def _parses(setting: str) -> bool:
    try:
        OverridesParser.create().parse_override(setting)
    except HydraException:
        return False
    return True


def _at_home(value: str) -> str:
    return str(Path.home() / value[2:])
