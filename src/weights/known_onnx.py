"""ONNX files of others that finecut knows: which model's processing they want, and their terms."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class KnownOnnx(NamedTuple):
    """An entry of `onnx_files.yaml`.

    Attributes:
        name: What rembg calls it, where it has the file.
        files: Names under which it is spread, in lower case.
        model: Of conf/model, whose processing it was made for.
        size: Height and width of its input.
        sha256: Of the file; None where nobody states it.
        preprocess: Where its processing differs from the model's.
        released: The weights of the registry that it holds.
        license, commercial, page: Of weights that the registry does not have.
    """

    name: str
    files: tuple[str, ...]
    model: str
    size: int
    sha256: str | None = None
    preprocess: Mapping[str, Any] = {}
    released: str | None = None
    license: str | None = None
    commercial: str = "unclear"
    page: str | None = None


@cache
def known_onnx_files() -> tuple[KnownOnnx, ...]:
    """Every entry of `onnx_files.yaml`."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("onnx_files.yaml").read_text(encoding="utf-8")
    )
    return tuple(
        KnownOnnx(name=name, **{**entry, "files": tuple(file.lower() for file in entry["files"])})
        for name, entry in entries.items()
    )


def recognized(file: str | Path, sha256: str | None = None) -> KnownOnnx | None:
    """The known file with this checksum, else the one of this name; None where there is neither."""
    known = known_onnx_files()
    by_hash = (one for one in known if sha256 is not None and one.sha256 == sha256)
    by_name = (one for one in known if Path(file).name.lower() in one.files)
    return next(by_hash, None) or next(by_name, None)
