"""What `predict.py` does with its composed config."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from src.errors import (
    CommandError,
    UserError,
    disk_full_as_user_error,
    os_errors_as_user_errors,
)
from src.inference.outputs import is_type, parse_outputs
from src.inference.pipes import PIPE, named_stdin, read_stdin, reserved_stdout, send
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary, predict_files
from src.inference.processes import devices_for, predict_in_processes
from src.inference.segmenter import Segmenter
from src.inference.sources import Source, find_inputs, find_sources
from src.inference.watch import Watch, stopped_by_signals
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
    if PIPE in (settings.output, *settings.input):
        return _predict_piped(settings)
    plan = _plan(settings)
    if settings.watch:
        return _watch(settings, plan)
    inputs = find_inputs(settings.input, recursive=settings.recursive, output=plan.folder)
    summary = _predict(settings, plan, inputs.sources)
    log.info("%s", summary._replace(left_out=inputs.left_out))
    return 1 if summary.failures or inputs.missed else 0


def _predict(settings: PredictSettings, plan: PredictConfig, sources: list[Source]) -> Summary:
    plan.protect(sources)
    with _writing_to(plan.folder):
        if settings.processes == 1:
            segmenter = _segmenter(settings, settings.device)
            log.info("%s; %d files", segmenter, len(sources))
            return predict_files(segmenter, sources, plan)
        devices = devices_for(settings.device, settings.processes)
        log.info("%d files on %s", len(sources), ", ".join(devices))
        share = partial(_predict_share, settings)
        return predict_in_processes(share, devices, sources)


def _predict_piped(settings: PredictSettings) -> int:
    """Read the standard input, write the standard output, or both; what fails is one line."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="finecut-")))
        out = stack.enter_context(reserved_stdout()) if settings.output == PIPE else None
        if PIPE in settings.input:
            sources = [read_stdin(folder)]
        else:
            sources = find_sources(settings.input, recursive=settings.recursive)
        plan = _plan(settings)
        if out is not None:
            if len(sources) > 1:
                raise CommandError(f"output=- is for one result, not for {len(sources)} files")
            # Of an image a PNG, whatever it came as: the name behind `>` is not known here.
            formats = plan.formats or (() if sources[0].is_video else ("png",))
            plan = replace(plan, folder=folder / "out", formats=formats)
        summary = _predict(settings, plan, sources)
        for path, reason in summary.failures:
            text = reason if reason.startswith(str(path)) else f"{path}: {reason}"
            raise UserError(named_stdin(text, sources[0]) if PIPE in settings.input else text)
        if out is None:
            log.info("%s", summary)
        else:
            send(next(path for path in plan.folder.iterdir()), out)
    return 0


def _watch(settings: PredictSettings, plan: PredictConfig) -> int:
    with _writing_to(plan.folder), stopped_by_signals() as stop:
        segmenter = _segmenter(settings, settings.device)
        watch = Watch(
            segmenter,
            settings.input,
            plan,
            recursive=settings.recursive,
            seconds=settings.watch_seconds,
        )
        log.info(
            "%s; watching %s, looking every %g s; Ctrl-C ends",
            segmenter,
            ", ".join(settings.input),
            settings.watch_seconds,
        )
        summary = watch.run(stop)
    log.info("%s", summary)
    return 1 if summary.failures or summary.left_out else 0


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    with disk_full_as_user_error(folder, "the same command with skip_existing=true goes on"):
        _see_whether_writable(folder)
        yield


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
        outputs=parse_outputs(
            settings.type,
            sigma=settings.sigma,
            opacity=settings.opacity,
            threshold=settings.threshold,
        ),
        folder=Path(settings.output).expanduser(),
        detail=settings.detail,
        flip=settings.flip,
        overlap=settings.overlap,
        foreground=None if settings.foreground == "none" else settings.foreground,
        crop=settings.crop,
        smoothing=settings.smoothing,
        skip_existing=settings.skip_existing,
        formats=settings.format or (),
        threshold=settings.threshold,
        invert=settings.invert,
    )


def _segmenter(settings: PredictSettings, device: str) -> Segmenter:
    """The model on the engine that was asked for."""
    segmenter = Segmenter.from_checkpoint(
        settings.weights,
        settings.model,
        device,
        size=settings.size,
        preprocess=settings.preprocess.given(),
        precision=settings.precision,
        batch_size=settings.batch_size,
    )
    segmenter.refuse_clicks()
    if settings.engine is not None:
        segmenter.use_engine(settings.engine, detail=settings.detail)
    return segmenter
