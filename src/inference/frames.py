"""Videos and animated images frame by frame: geometry, times, sound and transparency stay."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from src.datamodules.raster import backdrop_of, seen
from src.errors import UserError
from src.inference.formats import Medium, chosen_suffix, copied_sound
from src.inference.outputs import OutputType
from src.inference.predict_config import PredictConfig
from src.inference.segmenter import Segmenter
from src.inference.sources import Source

log = logging.getLogger(__name__)

# Mean difference of thumbnails, of 255, from which two frames are of different scenes.
_CUT = 40.0
_THUMBNAIL = (32, 32)
_UNSPECIFIED = 2  # of FFmpeg's color spaces
ProgressReport = Callable[[int, int | None], None]


class Frame(NamedTuple):
    """A frame.

    pixels: uint8 `(H, W, 3)`, straight colors where there is transparency.
    alpha: uint8 `(H, W)`; None where the format knows none.
    pts: Time, in units of the reader's `time_base`.
    colorspace: Of the file, as FFmpeg numbers them.
    duration: How long it is shown, in the same units; 0 where that is not known.
    milliseconds: The same as an animation says it, where it may be no time at all.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    pts: int
    colorspace: int = _UNSPECIFIED
    duration: int = 0
    milliseconds: float | None = None


class FrameReader(Protocol):
    """A file with frames that is open for reading: a video, or an animated image.

    path: The file.
    medium: Which of the two it is.
    suffix: The usual one of its kind.
    time_base: Seconds of a unit of time.
    rate: Frames a second, on the average.
    count: Frames that are expected, if known.
    left_out: What of the file is not read, in words.
    """

    path: Path
    medium: Medium
    suffix: str
    left_out: list[str]

    @property
    def time_base(self) -> Fraction: ...
    @property
    def rate(self) -> Fraction: ...
    @property
    def count(self) -> int | None: ...
    def __enter__(self) -> "FrameReader": ...
    def __exit__(self, *_: object) -> None: ...
    def batches(self, size: int) -> Iterator[tuple[list[Frame], list[Any]]]:
        """Frames, `size` at a time, with the packets of sound that came along."""
        ...

    def missing(self, done: int) -> str | None:
        """What the file lacks, in words, once all of it has been read; None if nothing."""
        ...


class FrameWriter(Protocol):
    """A file that frames are written to; it gets its name when it is complete."""

    def sound(self, packets: list[Any]) -> None: ...
    def image(self, pixels: np.ndarray, like: Frame) -> None:
        """Add uint8 pixels `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, at the time of a frame."""
        ...

    def finish(self, *, complete: bool) -> Path:
        """Give the file its name, which says so if it is a part, and return it."""
        ...

    def close(self) -> None:
        """Leave nothing behind of a file that was not finished."""
        ...


class Smoother:
    """Mixes every mask with the ones before it; starts afresh at a cut.

    Args:
        share: Of the mask before, from 0 (off) to below 1. Flicker fades, and so does fast motion.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._before: np.ndarray = np.zeros(())
        self._thumbnail: np.ndarray | None = None

    def __call__(self, mask: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Smooth a uint8 mask `(H, W)` of the frame `(H, W, 3)` that follows the last one."""
        if self.share == 0:
            return mask
        thumbnail = cv2.resize(frame, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        values = mask.astype(np.float32)
        if self._thumbnail is not None and np.abs(thumbnail - self._thumbnail).mean() < _CUT:
            values = self.share * self._before + (1 - self.share) * values
        self._before, self._thumbnail = values, thumbnail
        return (values + 0.5).astype(np.uint8)


def predict_frames(
    segmenter: Segmenter,
    source: Source,
    plan: PredictConfig,
    report: ProgressReport,
    *,
    animation: bool = False,
) -> None:
    """Make the plan's outputs of a video or an animated image.

    Args:
        report: Called with the frames that are done and their expected number, if known.
        animation: It is an animated image.

    Raises:
        UserError: Neither; a damaged animation, of which nothing is written; or a damaged video,
            whose results are named `.incomplete` and hold what could be decoded.
    """
    if plan.crop is not None:
        raise UserError(f"{source.path}: crop={plan.crop} is for photos, and this holds frames")
    smoother, judged = Smoother(plan.smoothing), Judged()
    with ExitStack() as stack:
        reader = stack.enter_context(_opened(source, plan, animation))
        results = [stack.enter_context(_Result(plan, source, out, reader)) for out in plan.outputs]
        done = 0
        for frames, sound in reader.batches(segmenter.batch_size):
            for result in results:
                result.sound(sound)
            shown = [judged(frame) for frame in frames]
            masks = segmenter.masks(shown, detail=plan.detail, flip=plan.flip, overlap=plan.overlap)
            for frame, pixels, mask in zip(frames, shown, masks, strict=True):
                cut = plan.cutout(frame.pixels, smoother(mask, pixels), frame.alpha)
                for result in results:
                    result.image(result.output.render(cut), frame)
            done += len(frames)
            report(done, reader.count)
        missing = reader.missing(done)
        if done == 0:
            raise UserError(f"{source.path}: {missing or 'holds no frame that can be decoded'}")
        places = [result.finish(complete=missing is None) for result in results]
        if reader.left_out:
            log.warning("%s: not carried over: %s", source.path, ", ".join(reader.left_out))
        if missing:
            kept = ", ".join(map(str, places))
            raise UserError(f"{source.path}: incomplete, {missing}; they are in {kept}")


def _opened(source: Source, plan: PredictConfig, animation: bool) -> FrameReader:
    if animation:
        from src.inference.animation import Animation

        return Animation(source.path)
    from src.inference.video_reader import Film

    try:
        suffix = chosen_suffix(plan.formats, "video") or ".mp4"
    except UserError as error:
        raise UserError(f"{source.path}: {error}") from None
    return Film(source.path, copied_sound(suffix))


class Judged:
    """What the network sees of the frames of a film.

    Transparency is composed over the shade that suits the first frame that shows anything, so
    that masks do not flicker.
    """

    def __init__(self) -> None:
        self._backdrop: int | None = None

    def __call__(self, frame: Frame) -> np.ndarray:
        """Pixels uint8 `(H, W, 3)` in which nothing is transparent."""
        if frame.alpha is not None and self._backdrop is None and frame.alpha.any():
            self._backdrop = backdrop_of(frame.pixels, frame.alpha)
        return seen(frame.pixels, frame.alpha, self._backdrop)


class _Result:
    """One output; what kind of file it is shows with its first image, which may be transparent."""

    def __init__(
        self, plan: PredictConfig, source: Source, output: OutputType, reader: FrameReader
    ) -> None:
        self.plan, self.source, self.output, self.reader = plan, source, output, reader
        self._writer: FrameWriter | None = None
        self._waiting: list[Any] = []

    def __enter__(self) -> "_Result":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def sound(self, packets: list[Any]) -> None:
        if self._writer is None:
            self._waiting += packets
        else:
            self._writer.sound(packets)

    def image(self, pixels: np.ndarray, like: Frame) -> None:
        if self._writer is None:
            self._writer = self._begun(pixels, like)
            self._writer.sound(self._waiting)
            self._waiting = []
        self._writer.image(pixels, like)

    def finish(self, *, complete: bool) -> Path:
        assert self._writer is not None, "an output without an image"
        return self._writer.finish(complete=complete)

    def _begun(self, pixels: np.ndarray, like: Frame) -> FrameWriter:
        alpha = pixels.ndim == 3 and pixels.shape[2] == 4
        reader = self.reader
        try:
            suffix = self.plan.frames_suffix(self.output, reader.medium, reader.suffix, alpha=alpha)
        except UserError as error:
            raise UserError(f"{self.source.path}: {error}") from None
        path = self.plan.target(self.source, self.output, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix in (".mp4", ".mov", ".webm"):
            from src.inference.video_writer import VideoWriter

            return VideoWriter(path, pixels, like, reader)
        from src.inference.animation import AnimationWriter

        return AnimationWriter(path, reader)
