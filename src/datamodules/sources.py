"""Where a data set's files are, as its yaml says: a pair of folders, a table of paths, shards."""

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


@dataclass(frozen=True)
class TarShards:
    """Tar shards with their index, as `finecut data shard` writes them.

    Args:
        shards: Their folder, below the root or absolute, or a URL.
        count: How many pairs they must hold.
        hint: Where to get them, shown when they are missing.
        exclude: Names to leave out.
        known_faulty: See `FolderPair`.
        masks_upright: Nothing: what EXIF says was looked at when the shards were written.
    """

    shards: str
    count: int | None = None
    hint: str = ""
    exclude: Sequence[str] = ()
    known_faulty: Sequence[str] = ()
    masks_upright: bool = False

    @property
    def places(self) -> list[str]:
        """Where the shards are looked for."""
        return [self.shards]

    def place(self, root: str | Path | None) -> str:
        """The folder or the URL, given where relative paths start: a folder or a URL too."""
        if is_url(self.shards):
            return self.shards
        if root is not None and is_url(root):
            return f"{str(root).rstrip('/')}/{self.shards.removeprefix('./')}"
        return str(Path(root or "").expanduser() / Path(self.shards).expanduser())


Source = FolderPair | CsvTable | TarShards


def is_url(place: str | Path) -> bool:
    """Whether a place is asked for over http, and no folder."""
    return str(place).startswith(("http://", "https://"))


def parse_sources(given: Any, key: str) -> dict[str, Source]:
    """Read what a config says under `key`: one source, several by name, or nothing.

    Raises:
        UserError: A key that no source has, or a value missing.
    """
    if given is None:
        return {}
    if isinstance(given, Source):
        return {key: given}
    if not isinstance(given, Mapping):
        raise UserError(
            f"data.{key} is {given!r}; give images and masks, or csv, or shards, or sets by name"
        )
    # What is null on the command line, `data.test.SOD=null`, is as if it were not there.
    given = {name: value for name, value in given.items() if value is not None}
    if {"images", "masks", "csv", "shards"} & set(given):
        return {key: _parse_source(given, f"data.{key}")}
    return {
        name: value if isinstance(value, Source) else _parse_source(value, f"data.{key}.{name}")
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
        if not is_url(place) and not Path(place).expanduser().is_absolute():
            raise UserError(
                f"data.root is not set, so {place} starts nowhere; say where your data sets are:"
                " data.root=DIR, or export FINECUT_DATA=DIR"
            )


def _parse_source(given: Any, key: str) -> Source:
    if not isinstance(given, Mapping):
        raise UserError(f"{key} is {given!r}; give it `images` and `masks`, or `csv`, or `shards`")
    values = {k: v for k, v in given.items() if v is not None}
    kind: Callable[..., Source] = FolderPair
    needed: tuple[str, ...] = ("images", "masks")
    for key_of_kind, other in (("csv", CsvTable), ("shards", TarShards)):
        if key_of_kind in values:
            kind, needed = other, (key_of_kind,)
    if missing := [field for field in needed if field not in values]:
        lacking = " and ".join(f"{key}.{field}" for field in missing)
        raise UserError(f"{lacking} not set")
    try:
        return kind(**values)
    except TypeError:
        fields = ", ".join(kind.__dataclass_fields__)  # type: ignore[attr-defined]
        raise UserError(f"{key} has keys {sorted(values)}; known: {fields}") from None
