"""What the page says about its model."""

import json
from pathlib import Path
from typing import Any

from src.export.export import describe
from src.inference import Segmenter
from src.webapp.uploads import Limits
from src.weights.registry import identify


def describe_model(
    segmenter: Segmenter, limits: Limits, license: str | None = None
) -> dict[str, Any]:
    """Plain values for the page: the model, its weights and their license, and the limits.

    Args:
        segmenter: The model.
        limits: Of uploads.
        license: Of the weights, where the registry does not know it.
    """
    said = describe(segmenter, bare=False, precision=segmenter.precision, license=license)
    released = identify(Path(said["weights"]), said["weights_sha256"])
    height, width = segmenter.processor.size
    return {
        "model": segmenter.name,
        "clicks": segmenter.clicks,
        "size": f"{height} × {width}",
        "input": [height, width],
        "parameters": sum(one.numel() for one in segmenter.network.parameters()),
        "device": f"{segmenter.device}, {segmenter.precision}",
        "weights": said["weights"],
        "sha256": said["weights_sha256"],
        "license": said["license"],
        "trained_on": json.loads(said["trained_on"]),
        "page": released.page if released else None,
        "max_megapixels": limits.megapixels,
        "max_upload_mb": limits.megabytes,
    }
