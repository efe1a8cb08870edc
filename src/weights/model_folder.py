"""Folders with a model as Hugging Face's tools expect them: config.json beside model.safetensors.

`finecut export format=safetensors` writes them; `weights=FOLDER` and `weights=hf:user/name` read
them. Of folders of others the weights alone are read.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.download import hub_file
from src.errors import UserError
from src.plain_data import read_json

ENTRY = "finecut"  # of a checkpoint and of a config.json: what they say of their network
CONFIG, WEIGHTS = "config.json", "model.safetensors"
PREPROCESSOR, CARD = "preprocessor_config.json", "README.md"
HUB = "hf:"
_HUB_NAME = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.][\w./-]*))?")
_ADVICE = "export the model again, or give the file of the weights with model=NAME"


def weights_on_hub(name: str, downloads: Path) -> Path:
    """The weights of `hf:user/name`, or `hf:user/name@revision`, with the config beside them.

    Both are of one commit. They come once, into the folder of downloads; offline those of the
    last time are taken.

    Raises:
        UserError: No such name or model, no connection, or a model without such a file.
    """
    found = _HUB_NAME.fullmatch(name)
    if found is None:
        raise UserError(f"{name}: it is hf:user/name, or hf:user/name@revision")
    place = downloads / "hub"
    config = hub_file(found["repo"], CONFIG, place, found["revision"], may_lack=True)
    commit = config.parent.name if config else found["revision"]
    weights = hub_file(found["repo"], WEIGHTS, place, commit)
    assert weights is not None
    return weights


def read_config(weights: Path) -> Mapping[str, Any] | None:
    """What lies as config.json beside a `model.safetensors`; None where nothing does.

    Raises:
        UserError: It is damaged.
    """
    path = weights.with_name(CONFIG)
    if weights.name != WEIGHTS or not path.is_file():
        return None
    return read_json(path, _ADVICE, finite=True)


def as_json(values: Mapping[str, Any]) -> str:
    """Plain values as these files hold them."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
