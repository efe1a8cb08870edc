"""Where a data set's files are, as its yaml says: a pair of folders, or a table of paths."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.errors import UserError


@dataclass(frozen=True)
class FolderPair:
    """An image folder and the mask folder beside it; masks have the images' stems.

    Args:
        images: A folder below the root, or several spellings of mirrors, of which the first that
            exists is taken.
        masks: The same for the masks.
        count: How many pairs the released set has; another number is an error.
        hint: Where to get the set, shown when it is missing.
        mask_suffix: What masks carry after the stem (`cat.jpg` and `cat_mask.png`).
        image_suffix: What images carry after the stem (`street_leftImg8bit.png`).
        mask_extension: The masks' extension, where it is what tells them from images in the same
            folder (`cat.jpg` and `cat.png`).
        names: Pattern of the stems that belong to the set, where a folder holds others as well:
            `*` is any text, `[!C]` any sign but C.
        exclude: Names to leave out, with whatever is wrong with them.
        known_faulty: Names that old copies of the set have wrong; a fault of theirs is said to be
            known, with what to do about it.
        masks_upright: Masks lie on their images as they are shown, whatever EXIF says of either.
    """

    images: str | Sequence[str]
    masks: str | Sequence[str]
    count: int | None = None
    hint: str = ""
    mask_suffix: str = ""
    image_suffix: str = ""
    mask_extension: str = ""
    names: str = "*"
    exclude: Sequence[str] = ()
    known_faulty: Sequence[str] = ()
    masks_upright: bool = False

    @property
    def places(self) -> list[str]:
        """Where images and masks are looked for first."""
        return [
            where if isinstance(where, str) else where[0] for where in (self.images, self.masks)
        ]


@dataclass(frozen=True)
class CsvTable:
    """A CSV file with the columns `image` and `mask`: paths from the file's own folder.

    Args:
        csv: The file, below the root or absolute.
        count: How many pairs it must have.
        hint: Where to get it, shown when it is missing.
        exclude: Names to leave out, with whatever is wrong with them.
        known_faulty: See `FolderPair`.
        masks_upright: See `FolderPair`.
    """

    csv: str
    count: int | None = None
    hint: str = ""
    exclude: Sequence[str] = ()
    known_faulty: Sequence[str] = ()
    masks_upright: bool = False

    @property
    def places(self) -> list[str]:
        """Where the table is looked for first."""
        return [self.csv]


Source = FolderPair | CsvTable


def parse_sources(given: Any, key: str) -> dict[str, Source]:
    """Read what a config says under `key`: one source, several by name, or nothing.

    Raises:
        UserError: A key that no source has, or a value missing.
    """
    if given is None:
        return {}
    if isinstance(given, FolderPair | CsvTable):
        return {key: given}
    if not isinstance(given, Mapping):
        raise UserError(f"data.{key} is {given!r}; give images and masks, or csv, or sets by name")
    # What is null on the command line, `data.test.SOD=null`, is as if it were not there.
    given = {name: value for name, value in given.items() if value is not None}
    if {"images", "masks", "csv"} & set(given):
        return {key: _parse_source(given, f"data.{key}")}
    return {
        name: value
        if isinstance(value, FolderPair | CsvTable)
        else _parse_source(value, f"data.{key}.{name}")
        for name, value in given.items()
    }


def require_root(root: str | None, sources: Iterable[Source] | None = None) -> None:
    """Refuse paths that start nowhere.

    Args:
        root: Where relative paths start.
        sources: What is needed of it; None: all of it.

    Raises:
        UserError: A relative path without a root.
    """
    if root is not None:
        return
    found = (place for source in sources or () for place in source.places)
    for place in ["the data"] if sources is None else found:
        if not Path(place).expanduser().is_absolute():
            raise UserError(
                f"data.root is not set, so {place} starts nowhere; say where your data sets are:"
                " data.root=DIR, or export FINECUT_DATA=DIR"
            )


def _parse_source(given: Any, key: str) -> Source:
    if not isinstance(given, Mapping):
        raise UserError(f"{key} is {given!r}; give it `images` and `masks`, or `csv`")
    kind: Callable[..., Source] = CsvTable if given.get("csv") is not None else FolderPair
    values = {k: v for k, v in given.items() if v is not None}
    needed = ("csv",) if kind is CsvTable else ("images", "masks")
    if missing := [field for field in needed if field not in values]:
        lacking = " and ".join(f"{key}.{field}" for field in missing)
        raise UserError(f"{lacking} not set")
    try:
        return kind(**values)
    except TypeError:
        fields = ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        raise UserError(f"{key} has keys {sorted(values)}; known: {fields}") from None
