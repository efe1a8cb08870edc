"""What `predict.py` does with its composed config."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from src.errors import disk_full_as_user_error, exit_on_user_error, os_errors_as_user_errors
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.processes import devices_for, predict_in_processes
from src.inference.segmenter import Segmenter
from src.inference.sources import Source, find_inputs
from src.settings.commands import PredictSettings
from src.settings.parse import parse

log = logging.getLogger(__name__)


@exit_on_user_error
def predict(config: DictConfig) -> int:
    """Predict as the config says; the exit code is 1 if a file failed or nothing could be done."""
    cfg = parse(PredictSettings, config)
    plan = _plan(cfg)
    inputs = find_inputs(cfg.input, recursive=cfg.recursive, destination=plan.destination)
    sources = inputs.sources
    plan.protect(sources)
    with disk_full_as_user_error(
        plan.destination, "the same command with skip_existing=true goes on"
    ):
        _see_whether_writable(plan.destination)
        if cfg.processes == 1:
            segmenter = _segmenter(cfg, cfg.device)
            log.info("%s; %d files", segmenter, len(sources))
            summary = predict_files(segmenter, sources, plan)
        else:
            devices = devices_for(cfg.device, cfg.processes)
            log.info("%d files on %s", len(sources), ", ".join(devices))
            share = partial(_predict_share, cfg)
            summary = predict_in_processes(share, devices, sources)
    log.info("%s", summary._replace(left_out=inputs.left_out))
    return 1 if summary.failures or inputs.missed else 0


def _see_whether_writable(folder: Path) -> None:
    """Say once, and before anything is computed, that a folder cannot be written to."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with os_errors_as_user_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        for path in made:  # a command that then fails leaves no empty folder behind
            path.rmdir()


def _predict_share(
    cfg: PredictSettings, sources: Sequence[Source], device: str, finished: Callable[[], None]
) -> Summary:
    return predict_files(_segmenter(cfg, device), sources, _plan(cfg), finished)


def _plan(cfg: PredictSettings) -> PredictConfig:
    return PredictConfig(
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
