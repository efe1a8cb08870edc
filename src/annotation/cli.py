"""What `annotate.py` does with its composed config."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from src.annotation.annotate import annotate
from src.annotation.boxes import read_boxes
from src.annotation.segment_boxes import BoxSegmenter
from src.datamodules.coco_format import coco_masks
from src.errors import UserError
from src.hashing import file_hash, value_hash
from src.inference import Segmenter
from src.settings.commands import AnnotateSettings
from src.settings.parse import parse

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> int:
    """Annotate as the config says; the exit code is 1 if a box gave no mask."""
    settings = parse(AnnotateSettings, cfg)
    coco_masks()  # an extra: if it is missing, that is known before anything is computed
    source, folder, output = (
        Path(path).expanduser() for path in (settings.boxes, settings.images, settings.output)
    )
    if output.resolve() == source.resolve():
        raise UserError(f"output={output} would replace the boxes; choose another file")
    if output.is_dir():
        raise UserError(f"output={output} is a folder; name a file, such as {output / source.name}")
    image_list = Path(settings.image_list).expanduser() if settings.image_list else None
    boxes = read_boxes(source, image_list, settings.min_score)
    images = boxes.images(folder)  # missing ones are named before the network is built
    count = sum(len(image.annotations) for image in images)
    segmenter = Segmenter.from_checkpoint(
        settings.weights,
        settings.model,
        settings.device,
        size=settings.size,
        precision=settings.precision,
    )
    box_segmenter = BoxSegmenter(segmenter, settings.format, settings.threshold)
    log.info("%s; %d boxes in %d images", segmenter, count, len(images))
    summary = annotate(
        box_segmenter, boxes, folder, output, _key(settings, boxes.annotations, segmenter)
    )
    log.info("%s\n%s", summary, output)
    return 1 if summary.failures else 0


def _key(
    settings: AnnotateSettings, annotations: list[dict[str, object]], segmenter: Segmenter
) -> str:
    """What masks depend on: another value of it starts anew."""
    weights = file_hash(segmenter.weights) if segmenter.weights else ""
    parts = [weights, str(segmenter), settings.format, settings.threshold, annotations]
    return value_hash(parts)
