"""Finds, checks and reads the checkpoints of a run folder."""

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from src.errors import UserError
from src.networks.weights import read_state

log = logging.getLogger(__name__)

FOLDER = "checkpoints"
OUR_NETWORK = re.compile(r"(src\.networks\.\w+)\.([A-Z]\w*)")  # module and class
_RECENT = re.compile(r"recent-(\d+)\.ckpt$")


def step(path: Path) -> int:
    """After which optimiser step a `recent-<step>.ckpt` was written."""
    match = _RECENT.search(path.name)
    if match is None:
        raise ValueError(f"{path} is not named recent-<step>.ckpt")
    return int(match[1])


def latest(folder: Path) -> Path | None:
    """The newest readable `recent-<step>.ckpt` of a run; damaged ones are passed over, and said."""
    named = (folder / FOLDER).glob("recent-*.ckpt")
    found = [path for path in named if _RECENT.search(path.name)]
    for path in sorted(found, key=step, reverse=True):
        if is_whole(path):
            return path
        log.warning("%s is damaged; falling back to the checkpoint before it", path)
    if found:
        raise UserError(f"none of the checkpoints in {folder / FOLDER} can be read")
    return None


def best(folder: Path) -> Path:
    """The checkpoint a run tests: the best of its validations, else the newest."""
    path = folder / FOLDER / "best.ckpt"
    if path.is_file():
        if not is_whole(path):
            raise UserError(
                f"{path} is damaged; remove it to test the newest recent-*.ckpt in its place"
            )
        return path
    if newest := latest(folder):
        return newest
    raise UserError(f"{folder} has no checkpoint to test; did its training start?")


def identity(path: Path) -> dict[str, Any] | None:
    """What a checkpoint of ours says of itself: model, network, geometry, inputs, prompts; else
    None.

    Raises UserError where it names anything but a network of ours: built, it could run any code.
    """
    checkpoint: Mapping[str, Any] = read_state(path)
    said = checkpoint.get("finecut")
    if said is None:
        return None
    network = dict(said["network"])
    target = str(network.pop("_target_", ""))
    if not OUR_NETWORK.fullmatch(target) or _names_code(
        [network, said["geometry"], said.get("prompts")]
    ):
        raise UserError(f"{path} wants to build {target or 'nothing'}: only src.networks.… may be")
    return said


def _names_code(value: Any) -> bool:
    """Whether a config would make Hydra call something."""
    if isinstance(value, Mapping):
        return "_target_" in value or any(_names_code(inner) for inner in value.values())
    return isinstance(value, list | tuple) and any(_names_code(inner) for inner in value)


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is whole: torch alone does not see a flipped bit in a tensor."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None  # reads the whole file
    except Exception:  # zip, pickle and torch raise a dozen kinds
        return False
