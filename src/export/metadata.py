"""What an exported file says of itself."""

import json
from typing import Any

import torch

from src.networks.registry import find
from src.prediction import Segmenter
from src.runs.provenance import file_hash, git_state

UNKNOWN = "not stated; that of the weights' owner and of their training data"


def describe(
    segmenter: Segmenter, *, bare: bool, precision: str, licence: str | None
) -> dict[str, str]:
    """Strings by name: model, hash of the weights, geometry, what goes in and out, licence."""
    weights = segmenter.weights
    digest = file_hash(weights) if weights else ""
    released = find(weights.name) if weights else None
    if released and released.sha256 not in (None, digest):
        released = None  # another file of that name
    height, width = segmenter.geometry.size
    values: dict[str, Any] = {
        "framework": f"finecut {git_state()['commit'] or ''}, torch {torch.__version__}",
        "model": segmenter.name,
        "precision": precision,
        "weights": weights.name if weights else "",
        "weights_sha256": digest,
        "licence": licence or (released and released.licence) or UNKNOWN,
        "trained_on": json.dumps(released.trained_on if released else None),
        "geometry": json.dumps(segmenter.geometry.to_dict()),
        "input": f"image: float32 (B, C, {height}, {width}), normalised by geometry"
        if bare
        else "image: uint8 (H, W, 3) RGB, any size",
        "output": "logits: float32 (B, 1, h, w), before every restore step of geometry"
        if bare
        else "mask: uint8 (H, W), 255 = foreground",
    }
    return {key: str(value) for key, value in values.items()}
