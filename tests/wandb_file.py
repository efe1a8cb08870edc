"""Reads what an offline run of Weights & Biases keeps for `wandb sync`."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

# A log of LevelDB's kind: blocks of 32 KiB, each record in one fragment or in several.
_FILE_HEADER, _BLOCK, _FRAGMENT_HEADER = 7, 32768, struct.Struct("<IHB")
_FULL, _LAST = 1, 4


def records(folder: Path) -> list[Any]:
    """All records of the one offline run below `folder`, in order."""
    (path,) = folder.glob("offline-run-*/*.wandb")
    return [Record.FromString(data) for data in _whole(path.read_bytes())]


def summary(of: list[Any]) -> dict[str, Any]:
    """The run's summary as the page will show it: the last value of each key."""
    values: dict[str, Any] = {}
    for record in of:
        for item in (*record.history.item, *record.summary.update):
            values["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
    return values


def _whole(data: bytes) -> Iterator[bytes]:
    position, parts = _FILE_HEADER, b""
    while position + _FRAGMENT_HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _FRAGMENT_HEADER.size:
            position += left
            continue
        _, length, kind = _FRAGMENT_HEADER.unpack_from(data, position)
        position += _FRAGMENT_HEADER.size
        parts += data[position : position + length]
        position += length
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""
