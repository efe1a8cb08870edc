"""What `predict.py` does with its composed config."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from src.errors import told, told_when_full
from src.settings.commands import PredictSettings
from src.settings.parse import parse

from .folder import Summary, predict_files
from .jobs import Source, find_sources
from .outputs import parse_outputs
from .plan import Plan
from .processes import devices_for, predict_in_processes
from .segmenter import Segmenter

log = logging.getLogger(__name__)


@told
def predict(config: DictConfig) -> int:
    """Predict as the config says; the exit code is 1 if a file failed or nothing could be done."""
    cfg = parse(PredictSettings, config)
    plan = _plan(cfg)
    sources = _sources(cfg, plan)
    with told_when_full(plan.destination, "the same command with skip_existing=true goes on"):
        if cfg.processes == 1:
            segmenter = _segmenter(cfg, cfg.device)
            log.info("%s; %d files", segmenter, len(sources))
            summary = predict_files(segmenter, sources, plan)
        else:
            devices = devices_for(cfg.device, cfg.processes)
            log.info("%d files on %s", len(sources), ", ".join(devices))
            share = partial(_predict_share, cfg)
            summary = predict_in_processes(share, devices, sources)
    log.info("%s", summary)
    return 1 if summary.failures else 0


def _predict_share(
    cfg: PredictSettings, sources: Sequence[Source], device: str, finished: Callable[[], None]
) -> Summary:
    return predict_files(_segmenter(cfg, device), sources, _plan(cfg), finished)


def _sources(cfg: PredictSettings, plan: Plan) -> list[Source]:
    return [
        source
        for source in find_sources(cfg.input, recursive=cfg.recursive)
        # A destination inside the input would be read again the next time.
        if plan.destination.resolve() not in source.path.resolve().parents
    ]


def _plan(cfg: PredictSettings) -> Plan:
    return Plan(
        outputs=parse_outputs(cfg.output, sigma=cfg.sigma, opacity=cfg.opacity),
        destination=Path(cfg.destination).expanduser(),
        detail=cfg.detail,
        flip=cfg.flip,
        overlap=cfg.overlap,
        estimate=cfg.foreground,
        crop=cfg.crop,
        smoothing=cfg.smoothing,
        skip_existing=cfg.skip_existing,
    )


def _segmenter(cfg: PredictSettings, device: str) -> Segmenter:
    """The model on the engine that was asked for."""
    segmenter = Segmenter.from_checkpoint(
        cfg.weights,
        cfg.model,
        device,
        size=cfg.size,
        precision=cfg.precision,
        batch_size=cfg.batch_size,
    )
    segmenter.refuse_clicks()
    if cfg.engine == "onnxruntime":
        segmenter.use_onnxruntime()
    return segmenter
