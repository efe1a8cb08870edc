"""What people type, in Hydra's grammar."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_SETTING = re.compile(r"(?P<key>[+~]{0,2}[\w./@:]+)=(?P<value>.*)", re.DOTALL)
_COLOUR = re.compile(r"(?<![\"'\w])#[0-9a-fA-F]{3,8}\b")


def as_overrides(words: Sequence[str]) -> list[str]:
    """The words of a command line with the values quoted that Hydra's grammar cannot read.

    `data.root=~/sets` means the home folder, which no shell expands there; `output=#ff8800`, paths
    with spaces or brackets in them are text. `--skip-existing` is `skip_existing=true`.
    """
    return ["skip_existing=true" if w == "--skip-existing" else _readable(w) for w in words]


def _readable(word: str) -> str:
    setting = _SETTING.fullmatch(word)
    if setting is None:
        return word
    key, value = setting["key"], _COLOUR.sub(r"'\g<0>'", setting["value"])
    if value.startswith("~/"):
        value = str(Path.home() / value[2:])
    try:
        OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        text = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{key}='{text}'"
    return f"{key}={value}"
