"""Turns the boxes of a COCO file into masks, image by image; a bad one does not stop the others."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.annotation.boxes import Annotation, Boxes, ListedImage
from src.annotation.segment_boxes import BoxSegmenter
from src.atomic import atomic_write
from src.errors import UserError
from src.hashing import value_hash
from src.inference.image_file import read_image_file
from src.inference.predict_files import Failure, Summary, reason_of
from src.progress import progress_bars
from src.resume_log import ResumeLog

log = logging.getLogger(__name__)


def annotate(
    box_segmenter: BoxSegmenter, boxes: Boxes, folder: Path, output: Path, key: str
) -> Summary:
    """Write `output`: the COCO file with a mask for every box that gave one.

    Finished images are kept in `<output>.partial`; the next call with the same `key` does only
    the others. The file goes when nothing failed.

    Args:
        folder: Of the images.
        key: What the masks depend on, besides the images.

    Raises:
        UserError: Images that are missing.
    """
    images = boxes.images(folder)
    finished = ResumeLog(output.with_name(f"{output.name}.partial"))
    keys = {image.id: value_hash([key, image.id]) for image in images}
    known = sum(_finished(finished, keys[image.id]) is not None for image in images)
    if known:
        log.info("%d of %d images are done already", known, len(images))
    failures: list[Failure] = []
    found: dict[Any, Annotation] = {}
    with progress_bars() as bars:
        for image in bars.track(images, description="images"):
            done = _finished(finished, keys[image.id])
            if done is None:
                done, failed = _annotated(box_segmenter, image)
                failures += failed
                if not failed:
                    finished.add(keys[image.id], {"annotations": done})
            found |= {annotation["id"]: annotation for annotation in done}
    _write(output, boxes, found)
    if not failures:
        finished.remove()
    return Summary(len(found), 0, failures)


def _finished(finished: ResumeLog, key: str) -> list[Annotation] | None:
    """The annotations that an earlier call made; None where it made none."""
    annotations = (finished.get(key) or {}).get("annotations")
    return annotations if isinstance(annotations, list) else None


def _annotated(
    box_segmenter: BoxSegmenter, image: ListedImage
) -> tuple[list[Annotation], list[Failure]]:
    """What was cut out of an image, and what could not be."""
    try:
        image_file = read_image_file(image.path)
        pixels = image_file.pixels
        if image.size is not None and image.size != pixels.shape[:2]:
            raise UserError(f"is {pixels.shape[:2]}, but {image.size} in the file of the boxes")
        box_segmenter.open(pixels, image_file.opacity)
    except Exception as error:  # whatever an image does, the others are done
        return [], [_failure(image, image.annotations, error)]
    done, failures = [], []
    for annotation in image.annotations:
        try:
            done.append(box_segmenter.cut(annotation))
        except Exception as error:
            failures.append(_failure(image, [annotation], error))
    return done, failures


def _failure(image: ListedImage, annotations: list[Annotation], error: Exception) -> Failure:
    log.debug("%s", image.path, exc_info=error)
    which = ", ".join(str(annotation["id"]) for annotation in annotations)
    return Failure(
        image.path, f"annotation {which}: {reason_of(error).removeprefix(f'{image.path}: ')}"
    )


def _write(output: Path, boxes: Boxes, found: dict[Any, Annotation]) -> None:
    """The file with what was found, in the order of the boxes; crowds stay as they are."""
    annotations = list(_kept(boxes, found))
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(output, json.dumps({**boxes.content, "annotations": annotations}))


def _kept(boxes: Boxes, found: dict[Any, Annotation]) -> Iterator[Annotation]:
    for annotation in boxes.annotations:
        if annotation.get("iscrowd"):
            yield annotation
        elif annotation["id"] in found:
            yield found[annotation["id"]]
