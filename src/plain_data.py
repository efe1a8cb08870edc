"""Reads JSON, YAML and CSV files of others as plain values: bounded, and nothing is carried out.

No tag makes an object, no `${…}` is looked up, and no file of a few lines unfolds into gigabytes.
Whatever is wrong with a file is one line that names it.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from src.errors import UserError

LARGEST = 1 << 27  # bytes
_DEEPEST = 100
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _PlainLoader(_Loader):
    """Dates stay text, as in the files that a run writes."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
        for first, known in _Loader.yaml_implicit_resolvers.items()
    }


def read_json(path: Path, advice: str, *, finite: bool = False) -> dict[str, Any]:
    """A JSON object.

    Args:
        path: Of the file.
        advice: What to do where it is damaged.
        finite: Refuse NaN and infinity, which are no JSON but which Python writes.

    Raises:
        UserError: The file is not there, too large, damaged or no object.
    """
    text = _text(path, advice)
    try:
        content = json.loads(text, parse_constant=_refuse_constant if finite else None)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}); {advice}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is no JSON object; {advice}")
    return content


def read_yaml(path: Path, advice: str) -> dict[str, Any]:
    """A YAML mapping, its keys as text; interpolations stay the text that they are.

    Raises:
        UserError: The file is not there, too large, damaged, no mapping, or has references to
            parts of itself (`&a`, `*a`), which finecut never writes.
    """
    text = _text(path, advice)
    try:
        _require_plain(text, path, advice)
        content = yaml.load(text, Loader=_PlainLoader)
    except UserError:
        raise
    except Exception as error:  # PyYAML's constructors have no error of their own for bad values
        raise UserError(f"{path} is damaged ({first_line(error)}); {advice}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is no YAML mapping; {advice}")
    return dict(_with_text_keys(content))


def read_csv(path: Path, advice: str, columns: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows of a CSV file by the names in its first line, which are `columns` where given.

    Raises:
        UserError: The file is not there, too large or damaged, it has other columns, or a row has
            more or fewer cells than there are columns.
    """
    reader = csv.DictReader(io.StringIO(_text(path, advice), newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{path} is damaged ({error}); {advice}") from None
    names = reader.fieldnames or []
    if len({*names}) != len(names):
        raise UserError(f"{path} has two columns of one name; {advice}")
    if columns is not None and tuple(names) != tuple(columns):
        raise UserError(f"{path}: its columns must be {','.join(columns)}; {advice}")
    for number, row in enumerate(rows, 2):
        spare = row.get(None) or ()
        cells = sum(value is not None for value in row.values()) - bool(spare) + len(spare)
        if cells != len(names):
            raise UserError(f"{path}:{number}: {cells} cells for {len(names)} columns; {advice}")
    return rows


def _text(path: Path, advice: str) -> str:
    if not path.is_file():
        raise UserError(f"no file {path}; {advice}")
    if (size := path.stat().st_size) > LARGEST:
        raise UserError(
            f"{path} has {size >> 20} MB, more than such a file ever has ({LARGEST >> 20} MB); "
            f"{advice}"
        )
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged (no UTF-8 at byte {error.start}); {advice}") from None


def _require_plain(text: str, path: Path, advice: str) -> None:
    """Refuse what grows when it is read: references to other parts, and endless nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{path} refers to parts of itself (*{event.anchor}); {advice}")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise UserError(f"{path} is nested more than {_DEEPEST} deep; {advice}")


def _with_text_keys(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _with_text_keys(value) for key, value in node.items()}
    return [_with_text_keys(value) for value in node] if isinstance(node, list) else node


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def first_line(error: BaseException) -> str:
    """An error's message on one line of bounded length."""
    return " ".join(str(error).split())[:200]
