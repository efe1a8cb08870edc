"""pycocotools' run-length codes, an extra of the installation."""

from typing import Any

from src.errors import UserError


def coco_masks() -> Any:
    """The module `pycocotools.mask`.

    Raises:
        UserError: The package is missing.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UserError("COCO needs pycocotools: pip install 'finecut[coco]'") from error
    return mask
