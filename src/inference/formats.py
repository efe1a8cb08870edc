"""`format=`: the kind of file that a result becomes, where its own default is not wanted."""

from collections.abc import Sequence
from typing import Literal

from src.datamodules.file_kinds import IMAGE_KINDS, ImageKind
from src.errors import CommandError, UserError

# What is read: one image, an animated one, or a video.
Medium = Literal["image", "animation", "video"]

_IMAGES = {
    "png": "PNG", "jpg": "JPEG", "webp": "WEBP", "avif": "AVIF", "tif": "TIFF", "bmp": "BMP",
    "gif": "GIF",
}  # fmt: skip
_VIDEOS = {"mp4": False, "mov": True, "webm": True}  # and whether they hold transparency
WORDS = (*_IMAGES, *_VIDEOS)
# Sound that a file takes as it is, by FFmpeg's names; any other is encoded anew.
_WEBM_SOUND = frozenset({"opus", "vorbis"})
_MP4_SOUND = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})


def image_kind(word: str) -> ImageKind | None:
    """The kind of image that a word of `format=` or a suffix stands for; None for a video."""
    name = _IMAGES.get(word.lstrip("."))
    return None if name is None else IMAGE_KINDS[name]


def check_formats(formats: Sequence[str], *, alpha: Sequence[str]) -> None:
    """Refuse formats that cannot be written, or that cannot hold what is asked for.

    Args:
        formats: Words of `format=`.
        alpha: Names of the types that are transparent.

    Raises:
        CommandError: One is unknown, two say the same, or a type loses its transparency.
    """
    if unknown := [word for word in formats if word not in WORDS]:
        raise CommandError(f"format={unknown[0]} is unknown; choose of {', '.join(WORDS)}")
    if len(set(formats)) < len(formats):
        raise CommandError(f"format= names one twice: {', '.join(formats)}")
    for word in formats if alpha else ():
        if not _holds_alpha(word):
            fitting = [other for other in WORDS if _holds_alpha(other) and other != "gif"]
            raise CommandError(
                f"format={word} holds no transparency, which type={alpha[0]} is made of; choose "
                f"of {', '.join(fitting)}"
            )
    for word in formats:
        kind = image_kind(word)
        if kind is not None and not kind.is_read:
            raise UserError(f"format={word}: this Pillow was built without it; its wheels have it")


def chosen_suffix(formats: Sequence[str], medium: Medium) -> str | None:
    """The suffix of the first of the formats that holds such a result; None for its default.

    A video becomes an animated image only where no format of videos is among them.

    Raises:
        UserError: Formats are given, and none of them does.
    """
    if not formats:
        return None
    still = [word for word in formats if word in _IMAGES]
    moving = [word for word in formats if (kind := image_kind(word)) is None or kind.animated]
    if medium == "video":
        moving.sort(key=lambda word: word in _IMAGES)
    fitting = still if medium == "image" else moving
    if not fitting:
        listed = ", ".join(formats)
        if medium == "image":
            raise UserError(f"is an image, and format={listed} a video; add a format of images")
        raise UserError(
            f"holds many frames, and format={listed} one; add one of webm, mov, mp4, gif, png, "
            "webp, avif"
        )
    return f".{fitting[0]}"


def possible_suffixes(formats: Sequence[str], medium: Medium) -> tuple[str, ...]:
    """As `chosen_suffix`, where the medium is not certain yet: nothing for what cannot be."""
    try:
        suffix = chosen_suffix(formats, medium)
    except UserError:
        return ()
    return () if suffix is None else (suffix,)


def copied_sound(suffix: str) -> frozenset[str]:
    """The codecs whose sound a video with this suffix takes as it is."""
    return _WEBM_SOUND if suffix == ".webm" else _MP4_SOUND


def require_alpha(suffix: str) -> None:
    """Refuse a suffix whose files cannot hold the transparency that a file turned out to have.

    Raises:
        UserError: They cannot.
    """
    word = suffix.lstrip(".")
    if word in WORDS and not _holds_alpha(word):
        raise UserError(f"is transparent, which format={word} cannot hold; choose png or webm")


def _holds_alpha(word: str) -> bool:
    kind = image_kind(word)
    return _VIDEOS[word] if kind is None else kind.alpha
