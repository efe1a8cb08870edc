"""What a command asks to be made of its sources, and under which names."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from src.errors import UserError
from src.inference.formats import (
    Medium,
    check_formats,
    chosen_suffix,
    possible_suffixes,
    require_alpha,
)
from src.inference.image_file import ImageFile
from src.inference.outputs import Cutout, OutputType, binary, inverted
from src.inference.segmenter import Detail
from src.inference.sources import Source, folded
from src.processing.foreground import Method

# What results of images and animations can be called where no format is asked for.
_POSSIBLE_SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".bmp", ".avif", ".gif")
_ALPHA_SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".avif")


@dataclass(frozen=True)
class PredictConfig:
    """How every source is treated.

    outputs: What is made of each.
    folder: Mirrors the tree of the input; with several outputs, a folder in
        it for each.
    detail, flip, overlap: See `Segmenter.mask`.
    foreground: How the foreground's own colors at soft edges are estimated; None: not at all.
    crop: `face` cuts each photo to its largest face first.
    smoothing: Share of the mask before in a video's mask, from 0 to below 1.
    skip_existing: Leave what is there already; files are written whole, so it is complete.
    formats: Words of `formats.py` in place of the defaults; the first that fits a file counts.
    threshold: Level from which a pixel belongs to the mask, which has two levels then.
    invert: The background is kept in place of the foreground.
    """

    outputs: Sequence[OutputType]
    folder: Path
    detail: Detail = "whole"
    flip: bool = False
    overlap: float = 0.25
    foreground: Method | None = "fast"
    crop: Literal["face"] | None = None
    smoothing: float = 0.0
    skip_existing: bool = False
    formats: Sequence[str] = ()
    threshold: float | None = None
    invert: bool = False

    def __post_init__(self) -> None:
        check_formats(self.formats, alpha=[output.name for output in self.outputs if output.alpha])
        if self.crop not in ("face", None):
            raise UserError(f"crop is {self.crop!r}; it is face or null")
        if not 0 <= self.smoothing < 1:
            raise UserError(f"smoothing is {self.smoothing}; it goes from 0 to below 1")

    def target(self, source: Source, output: OutputType, suffix: str) -> Path:
        """Where an output of a source goes."""
        folder = self.folder / output.name if len(self.outputs) > 1 else self.folder
        return folder / source.name.parent / (source.name.name + suffix)

    def cutout(
        self, colors: np.ndarray, mask: np.ndarray, opacity: np.ndarray | None = None
    ) -> Cutout:
        """A photo or frame beside the mask that is made of the network's; see `Cutout`."""
        if self.threshold is not None:
            mask = binary(mask, self.threshold)
        if self.invert:
            mask = inverted(mask, opacity)
        return Cutout(colors, mask, method=self.foreground, opacity=opacity)

    def photo_target(self, source: Source, output: OutputType, image_file: ImageFile) -> Path:
        """Where an image goes; masks are PNG, others keep their photo's format if they can.

        Raises:
            UserError: No format that was asked for holds it.
        """
        suffix = chosen_suffix(self.formats, "image")
        if suffix is None:
            suffix = ".png" if output.name == "mask" else image_file.suffix(alpha=output.alpha)
        return self.target(source, output, suffix)

    def frames_suffix(self, output: OutputType, medium: Medium, own: str, *, alpha: bool) -> str:
        """The suffix of a result that has frames.

        Args:
            output: What is made.
            medium: What is read.
            own: Suffix of the kind that is read, for an animation, which stays one.
            alpha: Whether the frames are transparent.

        Raises:
            UserError: No format that was asked for holds it.
        """
        suffix = chosen_suffix(self.formats, medium)
        if suffix is not None:
            if alpha:
                require_alpha(suffix)
            return suffix
        if medium == "video":
            return ".mov" if alpha else ".mp4"
        return ".png" if output.name == "mask" or (alpha and own == ".gif") else own

    def is_done(self, source: Source) -> bool:
        """Whether every output of a source is there."""
        return all(
            any(
                self.target(source, output, end).is_file() for end in self._suffixes(source, output)
            )
            for output in self.outputs
        )

    def protect(self, sources: Sequence[Source]) -> None:
        """Refuse an output folder in which a result could replace an original, or another result.

        Beside its source a result replaces nothing: what is there may not be ours.
        """
        originals = {source.path.resolve() for source in sources}
        folders: dict[Path, Path] = {}
        for source in sources:
            for output in self.outputs:
                for suffix in self._suffixes(source, output):
                    target = self.target(source, output, suffix)
                    folder = folders.setdefault(target.parent, target.parent.resolve())
                    if (original := folder / target.name) in originals:
                        raise UserError(f"{original} would be overwritten; choose another output=")
                    beside = folder == source.path.parent.resolve()
                    if beside and original.exists() and not self.skip_existing:
                        raise UserError(
                            f"{original} is there already and may be an original; choose another "
                            "output="
                        )
        self._refuse_twins(sources)

    def _refuse_twins(self, sources: Sequence[Source]) -> None:
        first: dict[str, Source] = {}
        for source in sources:
            other = first.setdefault(folded(source.name), source)
            if other is not source and ignores_case(self.folder):
                raise UserError(
                    f"{other.path} and {source.path} would have one result in {self.folder}, "
                    "where their names are the same; rename one of them"
                )

    def _suffixes(self, source: Source, output: OutputType) -> tuple[str, ...]:
        """What the name of an output can end in; which it is depends on what is in the file."""
        if source.is_video:
            default = (".mov",) if output.alpha else (".mp4",)
            return possible_suffixes(self.formats, "video") if self.formats else default
        if self.formats:
            kinds: tuple[Medium, ...] = ("image", "animation")
            return tuple({end for kind in kinds for end in possible_suffixes(self.formats, kind)})
        if output.name == "mask":
            return (".png",)
        own = source.path.suffix.lower()
        return _ALPHA_SUFFIXES if output.alpha else tuple({*_POSSIBLE_SUFFIXES, own})


def ignores_case(folder: Path) -> bool:
    """Whether a folder, or the first above it that is there, takes `A` and `a` for one name."""
    while not folder.is_dir():
        folder = folder.parent
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".finecut-Case-") as probe:
        path = Path(probe.name)
        return path.with_name(path.name.swapcase()).exists()
