"""What `predict.py` does with its composed config."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from src.errors import CommandError, disk_full_as_user_error, os_errors_as_user_errors
from src.inference.outputs import is_type, parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.processes import devices_for, predict_in_processes
from src.inference.segmenter import Segmenter
from src.inference.sources import Source, find_inputs
from src.settings.commands import PredictSettings
from src.settings.parse import parse
from src.weights.licenses import require_commercial

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> int:
    """Predict as the config says; the exit code is 1 if a file failed or nothing could be done."""
    _refuse_type_as_output(cfg.output)
    settings = parse(PredictSettings, cfg)
    if settings.commercial:
        require_commercial(settings.weights)
    plan = _plan(settings)
    inputs = find_inputs(settings.input, recursive=settings.recursive, output=plan.folder)
    sources = inputs.sources
    plan.protect(sources)
    with disk_full_as_user_error(plan.folder, "the same command with skip_existing=true goes on"):
        _see_whether_writable(plan.folder)
        if settings.processes == 1:
            segmenter = _segmenter(settings, settings.device)
            log.info("%s; %d files", segmenter, len(sources))
            summary = predict_files(segmenter, sources, plan)
        else:
            devices = devices_for(settings.device, settings.processes)
            log.info("%d files on %s", len(sources), ", ".join(devices))
            share = partial(_predict_share, settings)
            summary = predict_in_processes(share, devices, sources)
    log.info("%s", summary._replace(left_out=inputs.left_out))
    return 1 if summary.failures or inputs.missed else 0


def _refuse_type_as_output(output: Any) -> None:
    """Answer `output=rgba`, which said what is made before `type=` did.

    Raises:
        CommandError: It is a type, or several, and no folder of that name is there.
    """
    words = [str(word) for word in (output if isinstance(output, ListConfig) else [output])]
    listed = ",".join(words)
    if isinstance(output, ListConfig):
        raise CommandError(f"output= is a path; what is made is type=[{listed}]")
    if is_type(listed) and not Path(listed).is_dir():
        raise CommandError(
            f"output= is a path; what is made is type={listed} (a folder is output=./{listed})"
        )
    if Path(listed).expanduser().is_file():
        raise CommandError(
            f"output= is a folder, and {listed} a file; as a background it is type={listed}"
        )


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
    settings: PredictSettings, sources: Sequence[Source], device: str, finished: Callable[[], None]
) -> Summary:
    return predict_files(_segmenter(settings, device), sources, _plan(settings), finished)


def _plan(settings: PredictSettings) -> PredictConfig:
    return PredictConfig(
        outputs=parse_outputs(settings.type, sigma=settings.sigma, opacity=settings.opacity),
        folder=Path(settings.output).expanduser(),
        detail=settings.detail,
        flip=settings.flip,
        overlap=settings.overlap,
        foreground=None if settings.foreground == "none" else settings.foreground,
        crop=settings.crop,
        smoothing=settings.smoothing,
        skip_existing=settings.skip_existing,
    )


def _segmenter(settings: PredictSettings, device: str) -> Segmenter:
    """The model on the engine that was asked for."""
    segmenter = Segmenter.from_checkpoint(
        settings.weights,
        settings.model,
        device,
        size=settings.size,
        precision=settings.precision,
        batch_size=settings.batch_size,
    )
    segmenter.refuse_clicks()
    if settings.engine is not None:
        segmenter.use_engine(settings.engine, detail=settings.detail)
    return segmenter
