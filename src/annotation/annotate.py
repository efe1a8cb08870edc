"""Turns the boxes of a COCO file into masks, image by image; a bad one does not stop the others."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.prediction.folder import Failure, Summary
from src.prediction.photo import read_photo
from src.progress import progress_bars
from src.whole_file import write_whole

from .boxes import Annotation, Boxes, Picture
from .cutting import Cutter
from .finished import Finished

log = logging.getLogger(__name__)


def annotate(cutter: Cutter, boxes: Boxes, folder: Path, output: Path, key: str) -> Summary:
    """Write `output`: the COCO file with a mask for every box that gave one.

    Finished images are kept in `<output>.partial`; the next call with the same `key` does only
    the others. The file goes when nothing failed.

    Args:
        folder: Of the images.
        key: What the masks depend on, besides the images.

    Raises:
        UserError: Images that are missing.
    """
    pictures = boxes.pictures(folder)
    finished = Finished(output.with_name(f"{output.name}.partial"), key)
    known = sum(finished.get(picture.id) is not None for picture in pictures)
    if known:
        log.info("%d of %d images are done already", known, len(pictures))
    failures: list[Failure] = []
    found: dict[Any, Annotation] = {}
    with progress_bars() as bars:
        for picture in bars.track(pictures, description="images"):
            done = finished.get(picture.id)
            if done is None:
                done, failed = _annotated(cutter, picture)
                failures += failed
                if not failed:
                    finished.add(picture.id, done)
            found |= {annotation["id"]: annotation for annotation in done}
    _write(output, boxes, found)
    if not failures:
        finished.remove()
    return Summary(len(found), 0, failures)


def _annotated(cutter: Cutter, picture: Picture) -> tuple[list[Annotation], list[Failure]]:
    """What was cut out of an image, and what could not be."""
    try:
        photo = read_photo(picture.path)
        image = photo.pixels
        if picture.size is not None and picture.size != image.shape[:2]:
            raise UserError(f"is {image.shape[:2]}, but {picture.size} in the file of the boxes")
        cutter.open(photo)
    except Exception as error:  # whatever an image does, the others are done
        return [], [_failure(picture, picture.annotations, error)]
    done, failures = [], []
    for annotation in picture.annotations:
        try:
            done.append(cutter.cut(annotation))
        except Exception as error:
            failures.append(_failure(picture, [annotation], error))
    return done, failures


def _failure(picture: Picture, annotations: list[Annotation], error: Exception) -> Failure:
    log.debug("%s", picture.path, exc_info=error)
    told = (
        str(error) if isinstance(error, UserError | OSError) else f"{type(error).__name__}: {error}"
    )
    which = ", ".join(str(annotation["id"]) for annotation in annotations)
    return Failure(picture.path, f"annotation {which}: {told.removeprefix(f'{picture.path}: ')}")


def _write(output: Path, boxes: Boxes, found: dict[Any, Annotation]) -> None:
    """The file with what was found, in the order of the boxes; crowds stay as they are."""
    annotations = list(_kept(boxes, found))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, json.dumps({**boxes.content, "annotations": annotations}))


def _kept(boxes: Boxes, found: dict[Any, Annotation]) -> Iterator[Annotation]:
    for annotation in boxes.annotations:
        if annotation.get("iscrowd"):
            yield annotation
        elif annotation["id"] in found:
            yield found[annotation["id"]]
