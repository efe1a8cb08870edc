"""finecut: training, scoring and using networks that cut out the foreground of an image.

What programs use, looked up when it is asked for, so that `import src` imports no torch::

    from src import load
    mask = load("isnet-general-use").mask("photo.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.evaluation.maps import score_folder
    from src.inference.interactive import InteractiveSegmenter
    from src.inference.segmenter import Segmenter, load
    from src.metrics import score_image as score
    from src.training.run import Run, train

__version__ = "0.2.0"

__all__ = [
    "InteractiveSegmenter",
    "Run",
    "Segmenter",
    "__version__",
    "load",
    "score",
    "score_folder",
    "train",
]

_HOME = {
    "InteractiveSegmenter": "src.inference.interactive:InteractiveSegmenter",
    "Run": "src.training.run:Run",
    "Segmenter": "src.inference.segmenter:Segmenter",
    "load": "src.inference.segmenter:load",
    "score": "src.metrics:score_image",
    "score_folder": "src.evaluation.maps:score_folder",
    "train": "src.training.run:train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
