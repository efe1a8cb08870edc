"""What `export.py` does with its composed config."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from src.errors import exit_on_user_error
from src.export.export import Request, export
from src.export.parity import BLANK
from src.inference import Segmenter
from src.settings.commands import ExportSettings
from src.settings.parse import parse

log = logging.getLogger(__name__)


@exit_on_user_error
def run(config: DictConfig) -> int:
    """Export as the config says; the exit code is 1 if that failed or parity did."""
    cfg = parse(ExportSettings, config)
    request = Request(
        format=cfg.format,
        destination=Path(cfg.destination).expanduser(),
        precision="half" if cfg.half else "int8" if cfg.int8 else "full",
        bare=cfg.bare,
        dynamic=cfg.dynamic,
        images=Path(cfg.images).expanduser() if cfg.images else None,
        license=cfg.license,
    )
    segmenter = Segmenter.from_checkpoint(cfg.weights, cfg.model, "cpu", size=cfg.size)
    file, report, parity = export(segmenter, request)
    verdict = "passed" if parity.passed else "FAILED"
    worst = max(row.graph_mean for row in parity.rows)
    log.info("%s, %.1f MB", file, file.stat().st_size / 1e6)
    log.info("parity %s, mean difference up to %.3g of 255 grey levels: %s", verdict, worst, report)
    if parity.blank:
        log.info("%s", BLANK)
    return 0 if parity.passed else 1
