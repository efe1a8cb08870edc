"""What a command asks to be made of its sources, and under which names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from src.errors import UserError

from .jobs import Source
from .outputs import Output
from .photo import Photo
from .segmenter import Detail

_POSSIBLE_SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".bmp", ".mp4", ".mov")


@dataclass(frozen=True)
class Plan:
    """How every source is treated.

    outputs: What is made of each.
    destination: The folder that mirrors the tree of the input; with several outputs, a folder in
        it for each.
    detail, flip, overlap: See `Segmenter.mask`.
    estimate: Estimate the foreground's own colours at soft edges.
    crop: `face` cuts each photo to its largest face first.
    smoothing: Share of the mask before in a video's mask, from 0 to below 1.
    skip_existing: Leave what is there already; files are written whole, so it is complete.
    """

    outputs: Sequence[Output]
    destination: Path
    detail: Detail = "whole"
    flip: bool = False
    overlap: float = 0.25
    estimate: bool = True
    crop: Literal["face"] | None = None
    smoothing: float = 0.0
    skip_existing: bool = False

    def __post_init__(self) -> None:
        if self.crop not in ("face", None):
            raise UserError(f"crop is {self.crop!r}; it is face or null")
        if not 0 <= self.smoothing < 1:
            raise UserError(f"smoothing is {self.smoothing}; it goes from 0 to below 1")

    def target(self, source: Source, output: Output, suffix: str) -> Path:
        """Where an output of a source goes."""
        folder = self.destination / output.name if len(self.outputs) > 1 else self.destination
        return folder / source.name.parent / (source.name.name + suffix)

    def photo_target(self, source: Source, output: Output, photo: Photo) -> Path:
        """Where a picture goes; masks are PNG, others keep their photo's format if they can."""
        suffix = ".png" if output.name == "mask" else photo.suffix(alpha=output.alpha)
        return self.target(source, output, suffix)

    def is_done(self, source: Source) -> bool:
        """Whether every output of a source is there."""
        suffixes = {*_POSSIBLE_SUFFIXES, source.path.suffix.lower()}
        return all(
            any(self.target(source, output, suffix).is_file() for suffix in suffixes)
            for output in self.outputs
        )

    def protect(self, sources: Sequence[Source]) -> None:
        """Refuse a destination in which a result could replace its own source."""
        for source in sources:
            for output in self.outputs:
                target = self.target(source, output, source.path.suffix)
                if target.resolve() == source.path.resolve():
                    raise UserError(
                        f"{source.path} would be overwritten; choose another destination"
                    )
