"""COCO's JSON as many tools write it: read whole, its images found, its outlines drawn as masks."""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from src.datamodules.pairs import DataError
from src.errors import UserError, missing_extra

_MOST_PIXELS = 2**28  # pycocotools counts in 32 bits, and no image of a data set is larger
log = logging.getLogger(__name__)
_ROBOFLOW = "_annotations.coco.json"
# What other tools call the parts that COCO calls train2017, val2017 and test2017.
_PARTS = {
    "train": ("train", "Train", "default"),
    "val": ("valid", "val", "Validation", "validation"),
    "test": ("test", "Test"),
}
_LONGEST = 7  # characters of a run: 34 bits and a sign, more than any image needs
_FIRST, _LAST = 48, 111  # characters of a compressed code, 6 bits each
_FAR = 10  # sides of the image that a point may lie away from it


class EntryError(UserError):
    """An entry of a COCO file that cannot be meant; the message says what is wrong with it."""


def read_json(path: Path, allow_nan: bool = False) -> Any:
    """The content of a JSON file in UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        UserError: It cannot be read, is cut or no JSON, or, unless `allow_nan`, holds NaN or
            Infinity.
    """
    try:
        constants = None if allow_nan else _refuse_constant
        return json.loads(path.read_bytes(), parse_constant=constants)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from error


def read_entries(content: Any, key: str, path: Path) -> list[Any]:
    """The list under `key`. Raises UserError where there is none."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise UserError(f"{path}: has no list of {key}; is it a COCO file?")
    return entries


def read_id(entry: dict[str, Any], key: str = "id") -> int | str:
    """A whole number or a text that tells entries apart; 3.0 is 3. Raises EntryError otherwise."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise EntryError(f"{key} is {shortened(value)}, not a number")
    return value


def read_size(image: dict[str, Any], measure: Callable[[], tuple[int, int]]) -> tuple[int, int]:
    """Height and width that an image's entry states; `measure` tells them where it has neither.

    Raises:
        EntryError: No sizes of an image.
    """
    if image.get("height") is None and image.get("width") is None:
        return measure()
    sides = []
    for key in ("height", "width"):
        value = image.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EntryError(f"{key} is {shortened(value)}, not a number of pixels")
        if not 1 <= value <= _MOST_PIXELS or value != int(value):
            raise EntryError(f"{key} is {shortened(value)}, not a number of pixels")
        sides.append(int(value))
    if sides[0] * sides[1] > _MOST_PIXELS:
        raise EntryError(f"height {sides[0]} and width {sides[1]} are not an image's")
    return sides[0], sides[1]


def find_image(folder: Path, name: Any) -> Path:
    """The file of a `file_name`, which may be written with backslashes; never outside `folder`.

    The way is judged as it is written, so that links to images elsewhere can be followed.

    Raises:
        EntryError: No name, a name that leaves the folder, or no such file.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise EntryError(f"file_name is {shortened(name)}, not the name of a file")
    base = folder.absolute()
    for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
        place = Path(os.path.normpath(base / spelling))
        if not place.is_relative_to(os.path.normpath(base)):
            raise EntryError(f"file_name {shortened(name)} lies outside of {folder}")
        if _is_file(place):
            return place
    raise EntryError(f"no file {shortened(name)} in {folder}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def shortened(value: Any) -> str:
    """A value in a message, never longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}…"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number")


class CocoLayout(NamedTuple):
    """An annotation file and the folders where its images may be, the likeliest first.

    name: Of the set; that of the release, `COCO-train2017`, where it has the release's layout.
    """

    name: str
    annotations: Path
    folders: tuple[Path, ...]

    def folder_of(self, names: Sequence[Any]) -> Path:
        """The folder that has the first of the images, else the first that exists.

        Raises:
            DataError: None exists.
        """
        there = [folder for folder in self.folders if folder.is_dir()]
        if not there:
            places = ", ".join(map(str, self.folders))
            raise DataError("COCO", [f"no folder of images for {self.annotations}: {places}"])
        for folder in there:
            try:
                find_image(folder, names[0] if names else None)
            except EntryError:
                continue
            return folder
        return there[0]


def find_layout(
    root: Path, split: str, annotations: str | None = None, images: str | None = None
) -> CocoLayout:
    """Find the annotation file of a split.

    Args:
        root: Of the set.
        split: As COCO calls it; `train2017` is looked for as `train` too, `val2017` as `valid`.
        annotations: The file below `root`, instead of looking for it.
        images: The folder of the images below `root`.

    Raises:
        DataError: There is no such file, with the places where it was looked for.
    """
    if annotations is not None:
        path = root / Path(annotations).expanduser()
        folders = (root / Path(images).expanduser(),) if images is not None else (path.parent, root)
        known = [CocoLayout(f"{root.resolve().name}/{path.stem}", path, folders)]
    else:
        known = list(_known(root, split))
        if images is not None:
            folder = root / Path(images).expanduser()
            known = [layout._replace(folders=(folder,)) for layout in known]
    for layout in known:
        if layout.annotations.is_file():
            if layout is not known[0]:
                log.info("%s is read from %s", split, layout.annotations)
            return layout
    looked = ", ".join(dict.fromkeys(str(layout.annotations) for layout in known))
    raise DataError(
        "COCO",
        [f"no annotations for {split} in {root}; looked for {looked}"],
        "Name your own with data.train.annotations=FILE data.train.images=FOLDER, below data.root "
        "(data.test.COCO-val.… for the test; '~data.test.COCO-val' leaves it out). The released "
        "set is at cocodataset.org.",
    )


def _known(root: Path, split: str) -> Iterator[CocoLayout]:
    released = root / "annotations" / f"instances_{split}.json"
    yield CocoLayout(f"COCO-{split}", released, (root / split, root / "images" / split))
    kind = next((kind for kind in _PARTS if split.startswith(kind)), None)
    set_name = root.resolve().name
    for part in dict.fromkeys((split, *_PARTS.get(kind or "", ()))):
        folder = root / part
        yield CocoLayout(f"{set_name}/{part}", folder / _ROBOFLOW, (folder,))
        cvat = root / "annotations" / f"instances_{part}.json"
        folders = (root / "images" / part, root / "images", folder, root)
        yield CocoLayout(f"{set_name}/{part}", cvat, folders)
    if kind == "train":
        yield CocoLayout(set_name, root / _ROBOFLOW, (root,))


class CocoOutline(NamedTuple):
    """A sound outline: polygons, or the lengths of runs down the columns, background first."""

    polygons: list[list[float]] | None
    runs: list[int] | None
    size: tuple[int, int]

    def area(self) -> float:
        """Pixels of a run-length code, exactly; of polygons what they enclose, parts added up."""
        if self.runs is not None:
            return float(sum(self.runs[1::2]))
        return sum(abs(_enclosed(polygon)) for polygon in self.polygons or ())

    def inside(self) -> bool:
        """Whether no point of it lies outside of the image."""
        height, width = self.size
        return all(
            min(polygon) >= 0 and max(polygon[::2]) <= width and max(polygon[1::2]) <= height
            for polygon in self.polygons or ()
        )

    def mask(self) -> np.ndarray:
        """Booleans `(H, W)`."""
        height, width = self.size
        if self.runs is not None:
            values = np.arange(len(self.runs)) % 2 == 1
            return np.repeat(values, self.runs).reshape(width, height).T
        masks = coco_masks()
        code = masks.merge(masks.frPyObjects(self.polygons, height, width))
        return np.asarray(masks.decode(code), dtype=bool)


def coco_masks() -> Any:
    """The module `pycocotools.mask`.

    Raises:
        UserError: The package is missing.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise missing_extra("COCO needs pycocotools", "coco") from error
    return mask


def read_outline(segmentation: Any, size: tuple[int, int]) -> CocoOutline:
    """Check a `segmentation` of an image of `size`, (height, width).

    Raises:
        EntryError: Neither polygons nor a run-length code that adds up to the image.
    """
    if isinstance(segmentation, dict):
        return CocoOutline(None, _runs(segmentation, size), size)
    if not isinstance(segmentation, list):
        raise EntryError(f"segmentation is {shortened(segmentation)}, no polygons and no code")
    for polygon in segmentation:
        _check_polygon(polygon, size)
    return CocoOutline([list(map(float, polygon)) for polygon in segmentation], None, size)


def _check_polygon(polygon: Any, size: tuple[int, int]) -> None:
    if not isinstance(polygon, list):
        advice = "; polygons are a list of lists" if isinstance(polygon, int | float) else ""
        raise EntryError(f"segmentation holds {shortened(polygon)}, not a polygon{advice}")
    if not {*map(type, polygon)} <= {int, float}:
        raise EntryError(f"polygon {shortened(polygon)} is not x, y, x, y … in numbers")
    if len(polygon) % 2:
        raise EntryError(f"a polygon of {len(polygon)} numbers, which are not pairs of x and y")
    if len(polygon) < 6:
        raise EntryError(f"a polygon of {len(polygon) // 2} points; it takes 3")
    farthest = _FAR * max(size)
    if not (min(polygon) >= -farthest and max(polygon) <= farthest and _finite(polygon)):
        height, width = size
        raise EntryError(f"a polygon with points far outside of its image of {height} x {width}")


def _finite(polygon: Sequence[float]) -> bool:
    return math.isfinite(sum(polygon))


def _enclosed(polygon: Sequence[float]) -> float:
    xs, ys = polygon[::2], polygon[1::2]
    pairs = zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True)  # type: ignore[operator]
    return sum(x * v - u * y for x, y, u, v in pairs) / 2


def _runs(code: dict[str, Any], size: tuple[int, int]) -> list[int]:
    height, width = size
    stated = code.get("size")
    if not isinstance(stated, list) or stated != [height, width]:
        raise EntryError(
            f"a run-length code of size {shortened(stated)} on an image of [{height}, {width}]"
        )
    counts = code.get("counts")
    if isinstance(counts, str):
        runs = _decompressed(counts)
    elif isinstance(counts, list) and {*map(type, counts)} <= {int}:
        runs = counts
    else:
        raise EntryError(f"counts of a run-length code are {shortened(counts)}")
    if any(run < 0 for run in runs):
        raise EntryError("a run-length code with a negative run; it is damaged")
    if sum(runs) != height * width:
        raise EntryError(
            f"runs add up to {shortened(sum(runs))} pixels, the image has {height} x {width} = "
            f"{height * width}; the code is damaged or another image's"
        )
    return runs


def _decompressed(counts: str) -> list[int]:
    """The runs of COCO's compressed code: 5 bits a character, from the third run on differences."""
    runs: list[int] = []
    value = length = 0
    for character in counts:
        bits = ord(character)
        if not _FIRST <= bits <= _LAST:
            raise EntryError(f"a run-length code with the character {character!r}; it is damaged")
        bits -= _FIRST
        value |= (bits & 31) << (5 * length)
        length += 1
        if length > _LONGEST:
            raise EntryError("a run-length code with a run that never ends; it is damaged")
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << (5 * length)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = length = 0
    if length:
        raise EntryError("a run-length code that is cut within a run")
    return runs
