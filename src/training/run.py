"""`train(overrides)`: a run in the calling process, for notebooks, debuggers and profilers."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.command_line import literals, quote_overrides
from src.errors import CommandError, UserError, disk_full_as_user_error, os_errors_as_user_errors
from src.models import own_hydra
from src.paths import CONF
from src.results.folder import read_if_sound
from src.settings.training import parse_training
from src.training import checkpoints, cli, config, execute, preemption, provenance, resume
from src.training.run_folder import run_lock
from src.training.trainer import processes_of, require_as_many, require_known

_SEVERAL = ("-m", "--multirun")


@dataclass(frozen=True)
class Run:
    """A run that is done, as its folder holds it.

    Attributes:
        folder: Run folder, `logs/<name>/<time>` unless `hydra.run.dir=` says otherwise.
        config: The resolved config that it was carried out with.
        results: `{data set: {metric: value}}` of its test, NaN where a metric is undefined on every
            image; empty where nothing was tested.
        checkpoint: The checkpoint to use: the best of its validations, or the one that was tested;
            None where there is none, as after `dry_run=true`.
    """

    folder: Path
    config: DictConfig
    results: dict[str, dict[str, float]]
    checkpoint: Path | None

    @classmethod
    def read(cls, folder: str | Path) -> "Run":
        """The run of a folder, whoever carried it out.

        Raises:
            UserError: No run folder, or damaged.
        """
        folder = Path(folder).absolute()
        cfg = config.load_config(folder)
        found = read_if_sound(folder)
        values = {} if found is None else {name: dict(row) for name, row in found.values.items()}
        return cls(folder, cfg, values, _checkpoint(folder))


def train(overrides: Sequence[str] = ()) -> Run:
    """Train and test in this process what `finecut train …` would.

    A debugger stops in it and a profiler sees it. It may be called any number of times, also from a
    program that uses Hydra itself. While it runs, signals are answered as by the command,
    afterwards as before. The global random generators are seeded by `seed=`.

    Args:
        overrides: The words behind `finecut train`: `["model=u2netp", "data=dis5k",
            "data.root=~/sets"]`; also `["resume=RUN", …]`.

    Raises:
        UserError: What the command would say in one line.
        CommandError: What one process cannot do: several devices or nodes, and sweeps.
    """
    words = quote_overrides(list(overrides))
    _require_one_run(words)
    config.register()
    with os_errors_as_user_errors():
        folder = _continued(words) if resume.asks(words) else _begun(words)
        with (
            run_lock(folder),
            disk_full_as_user_error(folder, f"train(['resume={folder}']) continues"),
            _state_given_back(),
        ):
            execute.execute(folder)
    return Run.read(folder)


def _require_one_run(words: Sequence[str]) -> None:
    settings = [word for word in words if word not in _SEVERAL]
    try:
        parsed = OverridesParser.create().parse_overrides(settings)
    except HydraException as error:
        raise _refusal(error) from error
    if len(settings) < len(words) or any(one.is_sweep_override() for one in parsed):
        raise CommandError(
            f"train() is one run; a sweep is `finecut train -m {' '.join(settings)}`"
        )


def _begun(words: Sequence[str]) -> Path:
    """Save the config of a new run; its folder."""
    cfg, folder = _composed(words)
    cfg = parse_training(cfg)
    if cfg.get("sweep") is not None:
        raise CommandError("train() is one run; a search is `finecut train -m sweep=optuna …`")
    _require_one_process(cfg)
    if not any(word.lstrip("+").startswith("hydra.run.dir=") for word in words):
        folder = _unused(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cli.save_or_continue(cfg, folder)
    return folder


def _continued(words: Sequence[str]) -> Path:
    asked = resume.read(words)
    cfg, changes = resume.amended(asked)
    _require_one_process(cfg)
    cli.save_resumed(parse_training(cfg), asked.folder, changes, asked.accept_data)
    return asked.folder


def _composed(words: Sequence[str]) -> tuple[DictConfig, Path]:
    """The resolved config of a command's words, and the folder that it names."""
    with own_hydra(), initialize_config_dir(str(CONF), version_base=None):
        try:
            cfg = compose("train", list(words), return_hydra_config=True)
            folder = Path(str(cfg.hydra.run.dir)).expanduser().absolute()
            plain: dict[Any, Any] = {}
            for key in cfg:
                if key != "hydra":  # what only Hydra's own programs fill in
                    node = cfg._get_node(key)
                    plain[key] = (
                        OmegaConf.to_container(cfg[key], resolve=True)
                        if OmegaConf.is_config(node)
                        else cfg[key]
                    )
        except (HydraException, OmegaConfBaseException) as error:
            raise _refusal(error) from error
    return DictConfig(literals(plain)), folder


def _refusal(error: Exception) -> CommandError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return CommandError(" ".join(lines[:2]))


def _require_one_process(cfg: DictConfig) -> None:
    require_known(cfg.trainer)
    if (count := processes_of(cfg.trainer)) != 1:
        raise CommandError(
            f"train() runs in one process, and trainer.devices={cfg.trainer.devices} × "
            f"trainer.num_nodes={cfg.trainer.num_nodes} are {count}: run `finecut train …` in a "
            "terminal, which starts them, or give trainer.devices=1"
        )
    require_as_many(cfg)


def _unused(folder: Path) -> Path:
    """A folder of its own for each run, also for two that begin within a second."""
    number, found = 1, folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def _checkpoint(folder: Path) -> Path | None:
    try:
        return checkpoints.best(folder)
    except UserError:  # nothing was trained in it
        tested = provenance.read(folder).get("checkpoint") or {}
        return Path(tested["path"]) if "path" in tested else None


@contextmanager
def _state_given_back() -> Iterator[None]:
    """What a command's process takes to its grave and a notebook goes on with."""
    with preemption.handlers_restored(), warnings.catch_warnings():
        execute.quieten()
        try:
            yield
        except SystemExit as end:
            # Lightning ends the process on Ctrl-C; whoever called a function wants to go on.
            if isinstance(end.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        finally:
            if (wandb := sys.modules.get("wandb")) and wandb.run is not None:
                wandb.finish()  # the next run would write into the same page
