"""Which kinds of files are read and written, and which of the others a user would miss.

`IMAGE_KINDS` is the one table of images: what reads them, how they are known, what they hold.
"""

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image, features

from src.errors import UserError, missing_extra

EXTRA = "photos"  # of pyproject.toml: what reads the photos that Pillow does not


class ImageKind(NamedTuple):
    """A kind of image file.

    format: Pillow's name of it.
    called: What people call it.
    suffixes: Of its files, the usual one first.
    module: The package that reads it where Pillow alone does not.
    written: Whether results may be of this kind.
    alpha: Whether it holds transparency.
    metadata: Whether it is written with a color profile and an EXIF block.
    animated: Whether it holds frames with their times.
    in_sets: Whether files of data sets may be of this kind.
    """

    format: str
    called: str
    suffixes: tuple[str, ...]
    module: str | None = None
    written: bool = True
    alpha: bool = True
    metadata: bool = True
    animated: bool = False
    in_sets: bool = True

    @property
    def is_read(self) -> bool:
        """Whether this installation reads it."""
        if self.format == "AVIF":  # Pillow's wheels bring it, other builds may leave it out
            return bool(features.check("avif"))
        return self.module is None or _is_installed(self.module)

    def keeps(self, *, alpha: bool) -> bool:
        """Whether a photo's result, transparent or not, can be of the photo's kind.

        GIF is none: its 256 colors would spoil a photo.
        """
        return self.written and self.format != "GIF" and (self.alpha or not alpha)


@cache
def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


IMAGE_KINDS: dict[str, ImageKind] = {
    kind.format: kind
    for kind in (
        ImageKind("JPEG", "JPEG", (".jpg", ".jpeg"), alpha=False),
        ImageKind("PNG", "PNG", (".png", ".apng"), animated=True),
        ImageKind("WEBP", "WebP", (".webp",), animated=True),
        ImageKind("TIFF", "TIFF", (".tif", ".tiff")),
        ImageKind("BMP", "BMP", (".bmp",), alpha=False, metadata=False),
        ImageKind("GIF", "GIF", (".gif",), metadata=False, animated=True, in_sets=False),
        ImageKind("AVIF", "AVIF", (".avif", ".avifs"), animated=True),
        ImageKind(
            "HEIF", "HEIC", (".heic", ".heif", ".hif", ".heics", ".heifs"), "pillow_heif", False
        ),
        # Its package writes no color profiles.
        ImageKind("JXL", "JPEG XL", (".jxl",), "pillow_jxl", False),
    )
}

VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})

# Images and videos that nothing here reads.
_UNREAD_SUFFIXES = """
    .jxr .wdp .hdp .bpg .flif .svg .svgz .eps .wmf
    .emf .psb .xcf .kra .ora .exr .hdr .dpx .clip .afphoto .djvu .dcm .fpx
    .3fr .ari .arw .bay .braw .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .eip .erf .fff .gpr .iiq .k25
    .kdc .mdc .mef .mos .mrw .nef .nrw .orf .pef .ptx .pxn .r3d .raf .raw .rw2 .rwl .rwz .sr2 .srf
    .srw .x3f
    .3g2 .3gp .asf .flv .insv .m2ts .mts .mxf .ogv .rm .rmvb .vob
"""
# Neither images nor what holds them: nobody misses a result of these.
_BESIDE_SUFFIXES = """
    .aae .bib .bak .cfg .conf .csv .ctg .dat .db .doc .docx .html .htm .ini .ipynb .json .jsonl
    .lnk .log .lst .md .md5 .npy .npz .part .pickle .pkl .properties .py .pyc .rst .rtf .sh .sha256
    .srt .tex .thm .tmp .toml .tsv .txt .url .wav .mp3 .m4a .aac .xls .xlsx .xml .xmp .yaml .yml
    .ds_store
"""
_UNREAD = frozenset(_UNREAD_SUFFIXES.split())
_BESIDE = frozenset(_BESIDE_SUFFIXES.split())
_BY_SUFFIX = {suffix: kind for kind in IMAGE_KINDS.values() for suffix in kind.suffixes}
_NOT_IMAGES = frozenset({"MPEG", "PDF", "EPS", "WMF", "HDF5", "GRIB", "BUFR"})
# The first bytes of image files, by which one with another suffix or none is known.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\xff\x0a", b"8BPS")
_HEADS = {b"ftyp": 4, b"WEBP": 8, b"JXL ": 4}  # and where they stand
_HEIC_BRANDS = (b"hei", b"hev", b"mif", b"msf")  # of the box at the start; others are AVIF's
_VIDEO_STARTS = {
    b"\x1a\x45\xdf\xa3": ".mkv",  # WebM too
    b"\0\0\1\xba": ".mpg",
    bytes.fromhex("3026b2758e66cf11"): ".wmv",
}
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")

# What becomes of a file: it is read, it is one that a user would miss, something else, or nothing.
Kind = Literal["read", "unread image", "other", "beside"]


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is that of an image, of whatever kind."""
    suffix = path.suffix.lower()
    known = suffix in _BY_SUFFIX or suffix in _UNREAD or _is_pillows(suffix)
    return known and suffix not in VIDEOS


def kind_of(path: Path) -> Kind:
    """What a file in a folder is, by its suffix, and by its first bytes where that says nothing."""
    suffix = path.suffix.lower()
    if suffix in VIDEOS:
        return "read"
    if suffix in _BY_SUFFIX:
        return "read" if _BY_SUFFIX[suffix].is_read else "unread image"
    if _is_pillows(suffix):
        return "read"
    if suffix in _UNREAD:
        return "unread image"
    if suffix in _BESIDE:
        return "beside"
    if _starts_like_an_image(path):
        return "unread image"
    return "other" if suffix else "beside"


def label_of(path: Path) -> str:
    """A file's suffix as it is shown: small letters."""
    return path.suffix.lower() or "no suffix"


def plugin_kind(head: bytes) -> ImageKind | None:
    """The kind of a file that Pillow reads with a package of its own, by its first 16 bytes."""
    if head[4:8] == b"ftyp" and head[8:11] in _HEIC_BRANDS:
        return IMAGE_KINDS["HEIF"]
    if head.startswith(_JXL_STARTS):
        return IMAGE_KINDS["JXL"]
    if head[4:8] == b"ftyp" and head[8:11] == b"avi":
        return IMAGE_KINDS["AVIF"]
    return None


def video_suffix(head: bytes) -> str:
    """The suffix of a video by its first 16 bytes, `` for what is none: it is an image then."""
    if head[4:8] == b"ftyp" and plugin_kind(head) is None:
        return ".mov" if head[8:10] == b"qt" else ".mp4"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return ".avi"
    return next((suffix for start, suffix in _VIDEO_STARTS.items() if head.startswith(start)), "")


@cache
def load_plugin(kind: ImageKind) -> None:
    """Make Pillow read a kind of image, which takes a tenth of a second and so waits for the first.

    Raises:
        UserError: It is not installed; with the command that installs it.
    """
    if not kind.is_read:
        raise missing_extra(_need(kind), EXTRA)
    if kind.module is None:
        return
    try:
        plugin = importlib.import_module(kind.module)
    except ImportError as error:
        raise UserError(f"{_need(kind)}, which cannot be loaded: {error}") from error
    if kind.format == "HEIF":
        plugin.register_heif_opener()


def how_to_read(suffixes: set[str]) -> str | None:
    """The command after which files with these suffixes are read; None where there is none."""
    missing = [
        kind
        for kind in IMAGE_KINDS.values()
        if not kind.is_read and kind.module and suffixes & set(kind.suffixes)
    ]
    if not missing:
        return None
    return str(missing_extra(f"for {' and '.join(kind.called for kind in missing)}", EXTRA))


def _need(kind: ImageKind) -> str:
    if kind.module is None:
        return f"this Pillow was built without {kind.called}; its wheels have it"
    return f"a {kind.called} image needs {kind.module}"


def advice_on(path: Path) -> str | None:
    """Why a file that was asked for by name cannot be read, where its kind says so."""
    suffix = path.suffix.lower()
    if suffix in _UNREAD and kind_of(path) != "read":
        return f"{suffix} files are not read; convert it to JPEG, PNG or TIFF"
    return None


def _starts_like_an_image(path: Path) -> bool:
    head = _head(path)
    return head.startswith(_STARTS) or any(
        head[at : at + len(word)] == word for word, at in _HEADS.items()
    )


def _head(path: Path) -> bytes:
    if not path.is_file():  # a pipe would be waited for
        return b""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _is_pillows(suffix: str) -> bool:
    return Image.registered_extensions().get(suffix) in _IMAGE_FORMATS


def _image_formats() -> frozenset[str]:
    Image.init()
    return frozenset(Image.OPEN) - _NOT_IMAGES


_IMAGE_FORMATS = _image_formats()
