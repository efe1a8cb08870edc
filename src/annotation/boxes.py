"""The boxes of a COCO file, by image, checked before anything is computed."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from src.datamodules.coco_format import EntryError, find_image, read_entries, read_id, read_json
from src.errors import UserError

Annotation = dict[str, Any]
_LISTED = 10  # of what is wrong, in a message


class ListedImage(NamedTuple):
    """An image of the file and what is to be cut out of it."""

    id: Any
    path: Path
    size: tuple[int, int] | None  # height and width, where the file states them
    annotations: list[Annotation]


class Boxes(NamedTuple):
    """A COCO file as it was read.

    content: Everything but the annotations.
    annotations: In the order of the file; each has an `id`.
    """

    content: dict[str, Any]
    annotations: list[Annotation]

    def images(self, folder: Path) -> list[ListedImage]:
        """The images that have a box, in the order of the file.

        Raises:
            UserError: Images that are not in the folder, which are listed.
        """
        by_image: dict[Any, list[Annotation]] = {}
        for annotation in self.annotations:
            if not annotation.get("iscrowd"):
                by_image.setdefault(annotation["image_id"], []).append(annotation)
        images = [image for image in self.content["images"] if image["id"] in by_image]
        paths: list[Path] = []
        missing = []
        for image in images:
            try:
                paths.append(find_image(folder, image["file_name"]))
            except EntryError as error:
                if "outside" in str(error):
                    raise
                missing.append(image["file_name"])
        if missing:
            raise UserError(f"images={folder} lacks {len(missing)} files: {_some(missing)}")
        return [
            ListedImage(image["id"], path, _size(image), by_image[image["id"]])
            for image, path in zip(images, paths, strict=True)
        ]


def read_boxes(path: Path, image_list: Path | None = None, min_score: float = 0.0) -> Boxes:
    """Read an annotation file of COCO, or a detector's list of results.

    Args:
        path: `{"images": …, "annotations": …}`, or `[{"image_id": …, "bbox": …, "score": …}, …]`.
        image_list: For a detector's list: a COCO file that says which image has which `image_id`.
        min_score: Detections with a lower `score` are left out; what has none is kept.

    Raises:
        UserError: Not such a file, annotations of unknown images or without an id, or two
            annotations or images of one id.
    """
    content = read_json(path, allow_nan=True)  # such a box is named, the others are done
    if isinstance(content, list):
        if image_list is None:
            raise UserError(
                f"{path} is a list of detections, which does not name the images; add "
                "image_list=FILE, a COCO file with the same images"
            )
        # Detectors do not number what they find; COCO's annotations are numbered.
        annotations = [{"id": i, **_object(entry, path)} for i, entry in enumerate(content, 1)]
        content = read_json(image_list)
        path_of_images = image_list
    else:
        path_of_images = path
        annotations = [_object(entry, path) for entry in read_entries(content, "annotations", path)]
        if nameless := [entry for entry in annotations if "id" not in entry]:
            raise UserError(f"{path}: an annotation without id: {str(nameless[0])[:100]}")
    _check_images(read_entries(content, "images", path_of_images), path_of_images)
    for entry in annotations:
        _require_id(entry, "id", "annotation", path)
        _require_id(entry, "image_id", "annotation", path)
    kept = [entry for entry in annotations if _score(entry, min_score, path) >= min_score]
    _check(kept, content["images"], path)
    return Boxes({key: value for key, value in content.items() if key != "annotations"}, kept)


def _check_images(images: list[Any], path: Path) -> None:
    for image in images:
        if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
            raise UserError(f"{path}: an image without id or file_name: {str(image)[:100]}")
        _require_id(image, "id", "image", path)
    _refuse_twice(images, "images", path)


def _require_id(entry: dict[str, Any], key: str, kind: str, path: Path) -> None:
    try:
        read_id(entry, key)
    except EntryError as error:
        raise UserError(f"{path}: {kind} {str(entry)[:100]}: {error}") from None


def _score(entry: Annotation, otherwise: float, path: Path) -> float:
    score = entry.get("score")
    if score is None:
        return otherwise
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise UserError(f"{path}: annotation {entry['id']}: score is {score!r}, not a number")
    return score


def _check(annotations: list[Annotation], images: list[dict[str, Any]], path: Path) -> None:
    known = {image["id"] for image in images}
    if strangers := [a["id"] for a in annotations if a["image_id"] not in known]:
        raise UserError(
            f"{path}: {len(strangers)} annotations belong to no image of the file, "
            f"by their id: {_some(strangers)}"
        )
    _refuse_twice(annotations, "annotations", path)
    if not annotations:
        raise UserError(f"{path}: holds no box that is to become a mask")


def _refuse_twice(entries: list[dict[str, Any]], kind: str, path: Path) -> None:
    counts = Counter(entry["id"] for entry in entries)
    if twice := [identity for identity, count in counts.items() if count > 1]:
        raise UserError(f"{path}: several {kind} have the same id: {_some(twice)}")


def _object(entry: Any, path: Path) -> Annotation:
    needed = {"image_id", "bbox"}
    if not isinstance(entry, dict) or not needed <= entry.keys():
        raise UserError(f"{path}: an annotation without image_id or bbox: {str(entry)[:100]}")
    return entry


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    return (image["height"], image["width"]) if {"height", "width"} <= image.keys() else None


def _some(values: list[Any]) -> str:
    more = f" and {len(values) - _LISTED} more" if len(values) > _LISTED else ""
    return ", ".join(str(value) for value in values[:_LISTED]) + more
