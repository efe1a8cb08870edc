"""Objects of COCO (Lin et al., ECCV 2014), and of files that other tools write in its format."""

import logging
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from src.datamodules.coco_format import (
    CocoOutline,
    EntryError,
    coco_masks,
    find_image,
    find_layout,
    read_entries,
    read_id,
    read_json,
    read_outline,
    read_size,
)
from src.datamodules.images import ImageError, header_size, read_image
from src.datamodules.instance_sources import Instance
from src.datamodules.label_maps import as_mask
from src.datamodules.pairs import DataError

log = logging.getLogger(__name__)

_SURELY_VISIBLE = 32  # pixels of area
_LISTED = 10  # ids in a warning


class _Image(NamedTuple):
    path: Path
    size: tuple[int, int]


class _Object(NamedTuple):
    id: int | str
    image: _Image
    category: int
    segmentation: Any
    area: float

    def name(self) -> str:
        return f"{self.image.path.stem}_{self.id}"

    def outline(self) -> CocoOutline:
        return read_outline(self.segmentation, self.image.size)


class CocoInstances:
    """Objects of a COCO annotation file; crowds, which are no single objects, are left out.

    So are objects of fewer pixels than `min_area` and annotations without an outline (keypoints,
    boxes), each with a count. Everything else that is wrong is named by its annotation's id. Areas
    that are not the outline's are warned of.

    Args:
        root: Folder of the set: COCO's, Roboflow's or CVAT's layout (`coco_layouts.py`).
        split: `train2014` has 82 783 images, `train2017` 118 287.
        min_area: Objects of fewer pixels are left out, with a count; those without any, such as
            boxes of no width and outlines beside the image, always.
        annotations: The JSON file below `root`, for a layout of your own.
        images: The folder of the images below `root`; None for that of `annotations`.
        on_error: `stop` at faulty annotations, or `skip` them with a warning each.

    Raises:
        DataError: A folder or file is missing, annotations are faulty, or no object is left.
        UserError: No COCO file, or the package pycocotools is missing.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train2017",
        min_area: int = 1,
        annotations: str | None = None,
        images: str | None = None,
        on_error: Literal["stop", "skip"] = "stop",
    ) -> None:
        layout = find_layout(Path(root).expanduser(), split, annotations, images)
        coco_masks()  # found missing now rather than in a worker
        self.sets = (layout.name,)
        self._path, self._min_area = layout.annotations, min_area
        content = read_json(self._path)
        entries = read_entries(content, "annotations", self._path)
        images_by_id = _by_id(read_entries(content, "images", self._path), "image", self._path)
        folder = layout.folder_of([image.get("file_name") for image in images_by_id.values()])
        self._objects = self._read(entries, images_by_id, _categories(content), folder, on_error)

    @property
    def names(self) -> list[str]:
        """The image's file name without extension and the annotation's id."""
        return [entry.name() for entry in self._objects]

    @property
    def files(self) -> list[Path]:
        """The annotations, and the images with objects in them."""
        return [self._path, *dict.fromkeys(one.image.path for one in self._objects)]

    def __len__(self) -> int:
        return len(self._objects)

    def sample(self, item: int) -> Instance:
        """The object; `category` is COCO's id, and nothing is void."""
        entry = self._objects[item]
        image = read_image(entry.image.path)
        if image.shape[:2] != entry.image.size:
            place = entry.image.path
            raise ImageError(f"{place}: {image.shape[:2]}, annotated as {entry.image.size}")
        mask = as_mask(entry.outline().mask())
        return Instance(image, mask, np.zeros_like(mask), entry.name(), entry.category)

    def _read(
        self,
        entries: list[Any],
        images: dict[int | str, dict[str, Any]],
        categories: set[Any],
        folder: Path,
        on_error: str,
    ) -> list[_Object]:
        opened = _Opened(images, folder)
        problems: list[str] = []
        kept, other = [], []
        crowds = small = bare = 0
        seen: set[str] = set()
        for place, entry in enumerate(entries, 1):
            which = f"annotation number {place}"
            try:
                if not isinstance(entry, dict):
                    raise EntryError("is not an object of JSON")
                identity = read_id(entry)
                which = f"annotation {identity}"
                if str(identity) in seen:
                    raise EntryError("its id is another's as well")
                seen.add(str(identity))
                if _is_crowd(entry):
                    crowds += 1
                elif entry.get("segmentation") in (None, [], {}, ""):
                    bare += 1
                else:
                    found, agrees = _parse(entry, identity, opened, categories)
                    if found.area >= max(self._min_area, 1):
                        kept.append(found)
                        other += [] if agrees else [identity]
                    else:
                        small += 1
            except (EntryError, ImageError) as error:
                problems.append(f"{self._path}: {which}: {error}")
        if problems and on_error == "stop":
            raise DataError("COCO", problems)
        for problem in problems:
            log.warning("skipped %s", problem)
        self._warn(crowds, small, bare, other)
        if not kept:
            raise DataError(
                "COCO", [f"{self._path}: no object of at least {self._min_area} pixels"]
            )
        return kept

    def _warn(self, crowds: int, small: int, bare: int, other: list[int | str]) -> None:
        name = self._path.name
        if crowds or small:
            log.warning("%s: %d crowds and %d small objects left out", name, crowds, small)
        if bare:
            log.warning("%s: %d annotations without an outline left out", name, bare)
        if other:
            shown = ", ".join(map(str, other[:_LISTED])) + " …" * (len(other) > _LISTED)
            log.warning(
                "%s: the area of %d annotations is not their outline's; look at them with "
                "finecut check: %s",
                name,
                len(other),
                shown,
            )


class _Opened:
    """The images of a file that have an object, each looked for once."""

    def __init__(self, images: dict[int | str, dict[str, Any]], folder: Path) -> None:
        self._images, self._folder = images, folder
        self._found: dict[int | str, _Image] = {}

    def get(self, identity: int | str) -> _Image:
        if identity not in self._found:
            if identity not in self._images:
                raise EntryError(f"is on image {identity!r}, which is not listed")
            image = self._images[identity]
            try:
                path = find_image(self._folder, image.get("file_name"))
                size = read_size(image, lambda: header_size(path))
            except EntryError as error:
                raise EntryError(f"image {identity}: {error}") from None
            self._found[identity] = _Image(path, size)
        return self._found[identity]


def _parse(
    entry: dict[str, Any], identity: int | str, opened: _Opened, categories: set[Any]
) -> tuple[_Object, bool]:
    """The object with its area, and whether the area that is stated agrees with the outline."""
    image = opened.get(read_id(entry, "image_id"))
    category = read_id(entry, "category_id")
    if not isinstance(category, int):
        raise EntryError(f"category_id is {category!r}, not a number")
    if categories and category not in categories:
        raise EntryError(f"is of category {category}, which is not listed")
    outline = read_outline(entry["segmentation"], image.size)
    area, agrees = _area(outline, entry.get("area"))
    return _Object(identity, image, category, entry["segmentation"], area), agrees


def _area(outline: CocoOutline, stated: Any) -> tuple[float, bool]:
    real = isinstance(stated, int | float) and not isinstance(stated, bool) and stated >= 0
    enclosed = outline.area()
    if outline.runs is not None:
        return enclosed, not real or abs(stated - enclosed) < 1
    # Drawing every outline would take minutes. Tiny ones may lie between the pixels' centers,
    # thin ones and those beside the image too; others cannot.
    if enclosed >= _SURELY_VISIBLE and outline.inside() and (not real or _near(stated, enclosed)):
        return float(stated) if real else enclosed, True
    drawn = float(outline.mask().sum())
    return drawn, not real or drawn < _SURELY_VISIBLE or _near(stated, drawn)


def _near(one: float, other: float) -> bool:
    """Loosely: tools count polygons' areas by different rules, and parts may overlap."""
    return other / 2 <= one <= other * 2


def _is_crowd(entry: dict[str, Any]) -> bool:
    crowd = entry.get("iscrowd")
    if crowd is not None and not (isinstance(crowd, int | float) and crowd in (0, 1)):
        raise EntryError(f"iscrowd is {crowd!r}, not 0 or 1")
    return bool(crowd)


def _by_id(images: list[Any], kind: str, path: Path) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    problems = []
    for place, image in enumerate(images, 1):
        try:
            if not isinstance(image, dict):
                raise EntryError("is not an object of JSON")
            identity = read_id(image)
            if identity in found:
                raise EntryError(f"its id {identity} is another's as well")
            found[identity] = image
        except EntryError as error:
            problems.append(f"{path}: {kind} number {place}: {error}")
    if problems:
        raise DataError("COCO", problems)
    return found


def _categories(content: Any) -> set[Any]:
    listed = content.get("categories")
    if not isinstance(listed, list):
        return set()
    ids = [one.get("id") for one in listed if isinstance(one, dict)]
    return {one for one in ids if isinstance(one, int | float)}
