"""Where what was worked out once is kept for the next run."""

import os
from pathlib import Path

VARIABLE = "FINECUT_CACHE"
_DEFAULT = "cache"


def cache_folder(given: str | Path | None = None) -> Path:
    """The folder that was `given`, else that of the variable FINECUT_CACHE, else `cache`."""
    return Path(given or os.environ.get(VARIABLE) or _DEFAULT).expanduser()
