"""What `export.py` does with its composed config."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from src.export.export import Request, export
from src.export.parity import BLANK
from src.export.share import ShareRequest, share
from src.inference import Segmenter
from src.settings.commands import ExportSettings
from src.settings.parse import parse
from src.weights.licenses import require_commercial

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> int:
    """Export as the config says; the exit code is 1 if that failed or parity did."""
    settings = parse(ExportSettings, cfg)
    if settings.commercial:
        require_commercial(settings.weights)
    if settings.format == "safetensors":
        folder = share(
            ShareRequest(
                weights=settings.weights,
                output=Path(settings.output).expanduser(),
                model=settings.model,
                size=settings.size,
                license=settings.license,
                scores=[Path(path).expanduser() for path in settings.scores or ()],
                verify_on=settings.verify_on,
            )
        )
        log.info("%s: read it by weights=%s, upload it by hf upload user/name %s", *[folder] * 3)
        return 0
    request = Request(
        format=settings.format,
        output=Path(settings.output).expanduser(),
        precision=settings.precision,
        bare=settings.bare,
        dynamic=settings.dynamic,
        images=Path(settings.images).expanduser() if settings.images else None,
        calibrate_on=Path(settings.calibrate_on).expanduser() if settings.calibrate_on else None,
        verify_on=settings.verify_on,
        license=settings.license,
    )
    segmenter = Segmenter.from_checkpoint(
        settings.weights, settings.model, "cpu", size=settings.size
    )
    file, report, parity = export(segmenter, request)
    verdict = "passed" if parity.passed else "FAILED"
    worst = max(row.graph_mean for row in parity.rows)
    log.info("%s, %.1f MB", file, file.stat().st_size / 1e6)
    log.info("parity %s, mean difference up to %.3g of 255 gray levels: %s", verdict, worst, report)
    for row in parity.scores:
        log.info("%s", row)
    if parity.blank:
        log.info("%s", BLANK)
    return 0 if parity.passed else 1
