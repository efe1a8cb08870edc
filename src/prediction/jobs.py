"""Which files are read, and where what is made of them goes."""

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from src.errors import UserError

VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv"})


class Source(NamedTuple):
    """A file to read and its name below the destination, without a suffix."""

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEOS


def find_sources(
    wanted: str | Path | Sequence[str | Path], *, recursive: bool = True
) -> list[Source]:
    """The pictures and videos of a file, a folder, a glob pattern, or several of them.

    Two files that differ only in their suffix keep it in their name, so that neither overwrites
    the other's result.

    Raises:
        UserError: Nothing there, or two files of one name whose results would be one.
    """
    words = [wanted] if isinstance(wanted, str | Path) else list(wanted)
    found: dict[Path, Path] = {}
    for word in words:
        root, files = _expand(Path(word).expanduser(), recursive)
        if not files:
            raise UserError(f"input {word}: no picture or video there")
        for path in files:
            found.setdefault(path, path.relative_to(root))
    _refuse_one_name(found)
    stems = Counter(name.with_suffix("") for name in found.values())
    return [
        Source(path, name if stems[name.with_suffix("")] > 1 else name.with_suffix(""))
        for path, name in found.items()
    ]


def _refuse_one_name(found: dict[Path, Path]) -> None:
    """Refuse `a/1.jpg` beside `b/1.jpg` where `a` and `b` are both given."""
    first: dict[Path, Path] = {}
    for path, name in found.items():
        if (other := first.setdefault(name, path)) is not path:
            raise UserError(
                f"input: {other} and {path} would have the same result; give the folder above "
                "both, or each a destination= of its own"
            )


def _expand(wanted: Path, recursive: bool) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files."""
    if wanted.is_file():
        return wanted.parent, [wanted]
    if wanted.is_dir():
        paths = wanted.rglob("*") if recursive else wanted.glob("*")
        return wanted, sorted(path for path in paths if _is_known(path))
    if not glob.has_magic(str(wanted)):
        raise UserError(f"input {wanted}: no such file or folder")
    parts = wanted.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    paths = root.glob("/".join(parts[fixed:]))
    return root, sorted(path for path in paths if _is_known(path))


def _is_known(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    suffix = path.suffix.lower()
    return suffix in VIDEOS or Image.registered_extensions().get(suffix) in _PICTURE_FORMATS


def _picture_formats() -> frozenset[str]:
    Image.init()
    return frozenset(Image.OPEN) - {"MPEG", "PDF", "EPS", "WMF", "HDF5", "GRIB", "BUFR"}


_PICTURE_FORMATS = _picture_formats()
