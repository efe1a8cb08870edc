"""What `annotate.py` does with its composed config."""

import hashlib
import json
import logging
from pathlib import Path

from omegaconf import DictConfig

from src.datamodules.coco_masks import coco_masks
from src.errors import UserError, told
from src.prediction import Segmenter
from src.runs.provenance import file_hash
from src.settings.commands import AnnotateSettings
from src.settings.parse import parse

from .annotate import annotate
from .boxes import read_boxes
from .cutting import Cutter

log = logging.getLogger(__name__)


@told
def run(config: DictConfig) -> int:
    """Annotate as the config says; the exit code is 1 if a box gave no mask."""
    cfg = parse(AnnotateSettings, config)
    coco_masks()  # an extra: if it is missing, that is known before anything is computed
    source, folder, output = (
        Path(path).expanduser() for path in (cfg.boxes, cfg.images, cfg.output)
    )
    if output.resolve() == source.resolve():
        raise UserError(f"output={output} would replace the boxes; choose another file")
    image_list = Path(cfg.image_list).expanduser() if cfg.image_list else None
    boxes = read_boxes(source, image_list, cfg.min_score)
    pictures = boxes.pictures(folder)  # missing ones are named before the network is built
    segmenter = Segmenter.from_checkpoint(
        cfg.weights, cfg.model, cfg.device, size=cfg.size, precision=cfg.precision
    )
    cutter = Cutter(segmenter, cfg.format, cfg.threshold)
    count = sum(len(picture.annotations) for picture in pictures)
    log.info("%s; %d boxes in %d images", segmenter, count, len(pictures))
    summary = annotate(cutter, boxes, folder, output, _key(cfg, boxes.annotations, segmenter))
    log.info("%s\n%s", summary, output)
    return 1 if summary.failures else 0


def _key(cfg: AnnotateSettings, annotations: list[dict[str, object]], segmenter: Segmenter) -> str:
    """What masks depend on: another value of it starts anew."""
    weights = file_hash(segmenter.weights) if segmenter.weights else ""
    settings = [weights, str(segmenter), cfg.format, cfg.threshold, annotations]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()
