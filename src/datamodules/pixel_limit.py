"""How large an image may be: a small file can hold one that fills the memory."""

import os
import warnings

from PIL import Image

from src.errors import UserError

VARIABLE = "FINECUT_MAX_MEGAPIXELS"
_DEFAULT = 178.956970  # what Pillow opens

# Half of the limit is no reason to warn; beyond it files are refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def max_megapixels() -> float:
    """Millions of pixels above which no file is decoded.

    Raises:
        UserError: `FINECUT_MAX_MEGAPIXELS` is no number above 0.
    """
    text = os.environ.get(VARIABLE)
    try:
        value = _DEFAULT if text is None else float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise UserError(f"{VARIABLE} is {text!r}; give a number of megapixels above 0")
    return value


def set_limit() -> None:
    """Make Pillow's own limit ours, for whatever opens a file with it."""
    # Pillow warns from here on and refuses twice as much.
    Image.MAX_IMAGE_PIXELS = int(max_megapixels() * 1e6) // 2


def beyond_limit(height: int | None = None, width: int | None = None) -> str | None:
    """Say that an image is too large, and what to do; None if it is not.

    Args:
        height: In pixels, None where it is only known that the limit is passed.
        width: The same.
    """
    set_limit()
    size = ""
    if height is not None and width is not None:
        if height * width <= max_megapixels() * 1e6:
            return None
        size = f"{width}×{height} pixels, "
    return (
        f"{size}more than {max_megapixels():.3g} megapixels, the limit that keeps a small file "
        f"from filling the memory; set the variable {VARIABLE} to a larger number to read it"
    )
