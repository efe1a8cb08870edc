"""Text that passes through OmegaConf as it is: nobody's file name is an interpolation."""

import re
from typing import Any

_INTERPOLATION = re.compile(r"(\\*)\$\{")


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
