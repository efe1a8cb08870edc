"""Animated GIF, PNG, WebP and AVIF: every frame with its own time, read and written by Pillow."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from src.atomic import atomic_write
from src.datamodules.file_kinds import IMAGE_KINDS
from src.datamodules.images import from_pillow
from src.datamodules.open_image import beyond_limit, in_a_line, max_megapixels, set_limit
from src.datamodules.raster import KindError, Raster, colors_of, eight_bits
from src.errors import UserError
from src.inference.animation_integrity import frames_of
from src.inference.formats import Medium, image_kind
from src.inference.frames import Frame, FrameReader
from src.inference.image_file import encoding, upright_exif
from src.inference.outputs import binary

log = logging.getLogger(__name__)

_BASE = Fraction(1, 90_000)  # of times, as in many videos: whole numbers for most rates
_STILL = 100.0  # milliseconds that players show a frame for whose time is given as 0
_HELD = 4  # limits of one image that the frames of a result may have together, in memory
_CENTISECOND = 10
_MOST = 65_535


class Animation:
    """An animated image that is open for reading; all its frames have been decoded once.

    Args:
        path: The file.

    Attributes:
        plays: How often it is shown, 0 for without end.
        profile: ICC profile.
        exif: EXIF block, with its orientation set to upright.

    Raises:
        UserError: Damaged, with the number of the frame, or larger than the limit.
    """

    medium: Medium = "animation"
    time_base = _BASE

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: list[str] = []
        data = path.read_bytes()
        if (structure := frames_of(data)) is not None and structure.fault is not None:
            raise UserError(f"{path}: a damaged animation: {structure.fault}")
        self._data = data
        self._times: list[float] = []
        self._transparent = False
        with self._open() as image:
            kind = IMAGE_KINDS[image.format or "PNG"]
            self.suffix = kind.suffixes[0]
            self.profile: bytes | None = image.info.get("icc_profile")
            self.exif = upright_exif(image.getexif()) if "exif" in image.info else None
            self.plays = _plays(image)
            for decoded, milliseconds in self._decoded(image):
                self._times.append(milliseconds)
                self._transparent |= decoded.opacity is not None
        announced = None if structure is None else structure.announced
        if announced is not None and announced > len(self._times):
            raise UserError(f"{path}: {len(self._times)} of {announced} frames can be decoded")

    def __enter__(self) -> "Animation":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @property
    def rate(self) -> Fraction:
        """Frames a second, on the average."""
        shown = sum(one or _STILL for one in self._times) / 1000
        return Fraction(len(self._times) / shown).limit_denominator(1001)

    @property
    def count(self) -> int:
        return len(self._times)

    def batches(self, size: int) -> Iterator[tuple[list[Frame], list[Any]]]:
        """Frames, `size` at a time; animations have no sound."""
        frames: list[Frame] = []
        with self._open() as image:
            at = 0.0
            for decoded, milliseconds in self._decoded(image):
                colors, alpha = eight_bits(colors_of(decoded)), None
                if self._transparent:  # of every frame, so that all results have one form
                    alpha = np.full(colors.shape[:2], 255, np.uint8)
                    if decoded.opacity is not None:
                        alpha = eight_bits(decoded.opacity)
                begin, at = at, at + (milliseconds or _STILL)
                pts, end = (round(time / 1000 / _BASE) for time in (begin, at))
                frames.append(
                    Frame(colors, alpha, pts, duration=end - pts, milliseconds=milliseconds)
                )
                if len(frames) == size:
                    yield frames, []
                    frames = []
        if frames:
            yield frames, []

    def missing(self, done: int) -> str | None:
        """Nothing: what cannot be decoded was refused at the start."""
        assert done == len(self._times), "an animation gave other frames the second time"
        return None

    def _open(self) -> Image.Image:
        set_limit()
        try:
            return Image.open(BytesIO(self._data))
        except Image.DecompressionBombError:
            raise UserError(f"{self.path}: {beyond_limit()}") from None
        except Exception as error:  # decoders fail in many ways on what is damaged
            raise UserError(f"{self.path}: a damaged animation: {in_a_line(error)}") from error

    def _decoded(self, image: Image.Image) -> Iterator[tuple[Raster, float]]:
        """Frames and how many milliseconds each is shown.

        A PNG may begin with an image for those who show no animations, which is no frame.
        """
        first = int(bool(getattr(image, "default_image", False)))
        for index in itertools.count(first):
            try:
                image.seek(index)
                yield from_pillow(image), float(image.info.get("duration") or 0)
            except EOFError:
                return
            except KindError as error:
                raise UserError(f"{self.path}: {error}") from None
            except Image.DecompressionBombError:
                raise UserError(
                    f"{self.path}: frame {index - first + 1}: {beyond_limit()}"
                ) from None
            except Exception as error:
                log.debug("%s", self.path, exc_info=error)
                number = index - first + 1
                raise UserError(
                    f"{self.path}: a damaged animation: frame {number} cannot be decoded "
                    f"({in_a_line(error)})"
                ) from error


class AnimationWriter:
    """An animation that is being made; frames wait in memory until the last has come.

    Neighbors that look alike become one frame, which is shown as long as both.
    """

    def __init__(self, path: Path, reader: FrameReader) -> None:
        self.path = path
        kind = image_kind(path.suffix)
        assert kind is not None, f"{path.suffix} is no kind of image"
        self._kind = kind
        self._reader = reader
        self._frames: list[Image.Image] = []
        self._likes: list[Frame] = []
        self._pixels = 0
        self._silent = False

    def sound(self, packets: list[Any]) -> None:
        if packets and not self._silent:
            log.warning("%s: holds no sound, which is left out", self.path)
            self._silent = True

    def image(self, pixels: np.ndarray, like: Frame) -> None:
        """Add a frame; see `FrameWriter`.

        Raises:
            UserError: They no longer fit into the memory that may be taken.
        """
        if self._frames and pixels.shape[:2] != self._frames[0].size[::-1]:
            pixels = cv2.resize(pixels, self._frames[0].size, interpolation=cv2.INTER_AREA)
        self._pixels += pixels.shape[0] * pixels.shape[1]
        if self._pixels > _HELD * max_megapixels() * 1e6:
            raise UserError(
                f"{self.path}: more than {len(self._frames)} frames of {pixels.shape[1]}×"
                f"{pixels.shape[0]} do not fit into memory; format=webm is written frame by frame"
            )
        if self._kind.format == "GIF" and pixels.ndim == 3 and pixels.shape[2] == 4:
            alpha = binary(pixels[..., 3], 0.5)  # a pixel of a GIF is there or not
            pixels = np.dstack([pixels[..., :3] & alpha[..., None], alpha])
        self._frames.append(Image.fromarray(pixels))
        self._likes.append(like._replace(pixels=_NOTHING, alpha=None))

    def finish(self, *, complete: bool) -> Path:
        """Write the file; of a video that breaks off, what there is of it."""
        source = self._reader if isinstance(self._reader, Animation) else None
        first, *others = self._frames
        options = encoding(
            self._kind,
            gray=first.mode == "L",
            profile=source.profile if source else None,
            exif=source.exif if source else None,
        )
        options["duration"] = self._durations()
        plays = 0 if source is None else source.plays
        if self._kind.format != "GIF":
            options["loop"] = plays
        elif plays != 1:  # a GIF says how often it is shown again
            options["loop"] = max(0, plays - 1)
        if self._kind.format == "GIF" and first.mode == "RGBA":
            options["disposal"] = 2  # what a frame leaves out is not what was there before
        buffer = BytesIO()
        first.save(buffer, self._kind.format, save_all=True, append_images=others, **options)
        part = self.path.with_name(f"{self.path.stem}.incomplete{self.path.suffix}")
        atomic_write(self.path if complete else part, buffer.getvalue())
        if complete:
            part.unlink(missing_ok=True)  # of an earlier call
        return self.path if complete else part

    def close(self) -> None:
        self._frames.clear()

    def _durations(self) -> Sequence[float]:
        """Milliseconds of each frame; of a video the time to the next."""
        given = [like.milliseconds for like in self._likes]
        unit = {"GIF": _CENTISECOND, "PNG": None}.get(self._kind.format, 1)
        times = [float(one) for one in given if one is not None]
        if len(times) < len(given):
            milliseconds = 1000 * self._reader.time_base
            steps = [after.pts - before.pts for before, after in itertools.pairwise(self._likes)]
            times = [float(step * milliseconds) for step in steps]
            last = self._likes[-1].duration * milliseconds
            times.append(float(last or 1000 / self._reader.rate))
        if unit is None:
            return [_as_fraction(time) for time in times]
        rounded = _rounded(times, unit)
        if unit == _CENTISECOND and any(0 < time < 20 for time in times):
            log.warning(
                "%s: players show frames shorter than 20 ms, as some here are, for 100; png, webp "
                "and webm keep their times",
                self.path,
            )
        return rounded


_NOTHING = np.zeros((0, 0, 3), np.uint8)


def _rounded(times: Sequence[float], unit: int) -> list[int]:
    """Times in whole units, so that the ends of frames are off by half of one at most."""
    ends = [round(end / unit) for end in itertools.accumulate(times, initial=0.0)]
    return [unit * (after - before) for before, after in itertools.pairwise(ends)]


def _as_fraction(milliseconds: float) -> float:
    """The nearest time that a PNG holds: two numbers of 16 bits, seconds and their divisor."""
    seconds = Fraction(milliseconds) / 1000
    return float(1000 * seconds.limit_denominator(max(1, int(_MOST / max(1.0, float(seconds))))))


def _plays(image: Image.Image) -> int:
    """How often an animation is shown, 0 for without end."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return int(loop or 0)
