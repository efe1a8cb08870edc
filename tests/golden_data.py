"""Reads the golden numbers made with the authors' code, and fills networks by their rule."""

import hashlib
import json
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

SHARED = Path(os.environ.get("FINECUT_SHARED", Path(__file__).parents[2] / "shared"))
GOLDEN = SHARED / "golden" / "public"

needs_shared = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the shared folder with the authors' numbers is not here"
)


@cache
def manifest() -> dict[str, dict[str, Any]]:
    items = json.loads((GOLDEN / "manifest.json").read_text())["items"]
    return {item["item"]: item for item in items}


def arrays(item: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / manifest()[item]["file"]) as stored:
        return dict(stored)


def official_keys(item: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shapes and dtypes of the official checkpoint by key, in its order."""
    keys = json.loads((GOLDEN / "keys" / f"{item}.json").read_text())["keys"]
    return {entry["key"]: (tuple(entry["shape"]), entry["dtype"]) for entry in keys}


def generator(name: str, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))


def uniform(name: str, shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.from_numpy(generator(name, seed).random(shape).astype(np.float32))


def normal(name: str, shape: tuple[int, ...], seed: int = 1, scale: float = 1.0) -> Tensor:
    values = generator(name, seed).standard_normal(shape) * scale
    return torch.from_numpy(values.astype(np.float32))


def imagenet_image(name: str, shape: tuple[int, ...]) -> Tensor:
    """An image of uniform noise, normalized by ImageNet's mean and deviation."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (uniform(name, shape) - mean) / deviation


def official_state(item: str) -> dict[str, Tensor]:
    """The official checkpoint of an item, made by the fill rule; integer buffers are left out
    except `num_batches_tracked`, because a constructor builds them."""
    fill = manifest()[item]["fill"]
    state = {}
    for name, (shape, dtype) in official_keys(item).items():
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "num_batches_tracked":
            state[name] = torch.zeros(shape, dtype=torch.int64)
        elif "int" not in dtype:
            state[name] = torch.from_numpy(_filled(name, leaf, shape, fill))
    return state


def filled_state(item: str, block: str) -> dict[str, Tensor]:
    """The state of one block of an item, by its keys without the block's name."""
    spec = manifest()[item]
    state = {}
    for entry in spec["keys"][block]:
        name, shape = entry["key"], tuple(entry["shape"])
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "num_batches_tracked":
            value = torch.zeros(shape, dtype=torch.int64)
        else:
            value = torch.from_numpy(_filled(name, leaf, shape, spec["fill"]))
        state[name.removeprefix(f"{block}.")] = value
    return state


def _filled(name: str, leaf: str, shape: tuple[int, ...], fill: dict[str, Any]) -> np.ndarray:
    rng = generator(name, fill["seed"])
    if leaf == "running_var":
        value = 0.5 + rng.random(shape)
    elif leaf == "running_mean":
        value = 0.1 * rng.standard_normal(shape)
    elif leaf in ("gamma", "threshold", "lthreshold"):
        value = 0.3 + 0.4 * rng.random(shape)
    elif leaf == "relative_position_bias_table":
        value = 0.02 * rng.standard_normal(shape)
    elif len(shape) == 1 and leaf == "weight":
        value = 0.5 + rng.random(shape)
    elif len(shape) == 1 and leaf == "bias":
        value = 0.1 * rng.standard_normal(shape)
    else:
        value = rng.standard_normal(shape) * math.sqrt(fill["conv_gain"] / math.prod(shape[1:]))
    for pattern, factor, offset in fill["post"]:
        if re.search(pattern, name):
            value = value * factor + offset
    return np.asarray(value, dtype=np.float32)


def assert_golden(item: str, name: str, ours: Tensor | np.ndarray) -> float:
    """Compare with the stored array within the manifest's tolerance; return the largest gap."""
    spec = manifest()[item]
    meta = spec["arrays"][name]
    ours = np.asarray(ours.detach() if isinstance(ours, Tensor) else ours)
    assert ours.shape == tuple(meta["shape_full"]), f"{item} {name}: {ours.shape}"
    theirs = arrays(item)[name]
    if "stride" in meta:
        ours = ours[tuple(slice(None, None, step) for step in meta["stride"])]
    gap = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    atol = meta.get("tol_atol", spec.get("tol_atol", 0.0))
    rtol = meta.get("tol_rtol", spec.get("tol_rtol", 0.0))
    worst = float((gap - (atol + rtol * np.abs(theirs))).max())
    assert worst <= 0, f"{item} {name}: off by {gap.max():.3e}, allowed {atol:g} + {rtol:g}·|x|"
    return float(gap.max())
