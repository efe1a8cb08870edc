"""A command's config, composed by Hydra once, and what is done with it.

`src.cli` knows the commands and imports this file when one of them has a config, so that
`finecut --help` and commands without one need no Hydra.
"""

import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src.command_line import quote_overrides
from src.errors import (
    CommandError,
    UserError,
    missing_extra,
    os_errors_as_user_errors,
    print_user_error,
)
from src.paths import CONF
from src.settings.renamed import explain, require_new_keys_in
from src.training.config import register

_LONGEST = 400  # characters of a message of Hydra's
# Lines of Hydra's and OmegaConf's messages that say nothing to the person who typed the command.
_NOISE = ("See https://", "full_key:", "object_type=", "^", "Check that the config directory")
_HELP = ("-h", "--help")


@dataclass(frozen=True)
class Task:
    """What a composed config is handed to; ends the process with the exit code.

    Attributes:
        name: Of the command.
        target: `module:function`, which takes the config.
        job: The same for a job of a sweep, whose function returns what the job is judged by.
    """

    name: str
    target: str
    job: str | None = None

    def __call__(self, cfg: DictConfig) -> Any:
        try:
            with os_errors_as_user_errors():
                require_new_keys_in(self.name, cfg)
                drop_training(cfg, HydraConfig.get().overrides.task)
                if self.job and HydraConfig.get().mode == RunMode.MULTIRUN:
                    return pkgutil.resolve_name(self.job)(cfg)
                sys.exit(pkgutil.resolve_name(self.target)(cfg))
        except UserError as error:
            # Not in `main`: Hydra adds a line of its own to an error that leaves the task, and the
            # task of a sweep may be in another process.
            renamed = explain(self.name, error)
            sys.exit(print_user_error(CommandError(renamed) if renamed else error))


def readable(name: str, words: Sequence[str]) -> list[str]:
    """The words of a command line as Hydra reads them; a run that is resumed goes on at once."""
    words = quote_overrides(words)
    if name == "train" and any(word.startswith("resume=") for word in words):
        from src.training import cli, resume

        if resume.asks(words):  # a run goes on as it was saved
            cli.continue_run(words)
    return words


def run(program: str, words: list[str], config: str | None, task: Task) -> int:
    """Compose a yaml of conf/ and call the task; returns the exit code."""
    options = [word for word in words if word.startswith("-")]
    with _as_process(program, words):
        if options and set(options) <= set(_HELP):
            return _print_help(config, [word for word in words if word not in options])
        try:
            # `hydra.main` composes twice, to learn first whether it is to sweep.
            if options or not _carry_out(config, words, task):
                _hydra_main(config, task)
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def complete(words: list[str], config: str) -> bool:
    """Print what Hydra's completion of a config answers; False where there is nothing to offer."""
    with _as_process("finecut", words):
        try:
            _hydra_main(config, lambda cfg: None)
        except (HydraException, OmegaConfBaseException):
            return False  # the words so far make no config
        except SystemExit as end:
            return not end.code
    return True


def _hydra_main(config: str | None, task: Callable[[DictConfig], Any]) -> None:
    register()
    entry: Callable[[], None] = hydra.main(
        version_base=None, config_path=str(CONF), config_name=config
    )(lambda cfg: task(cfg))
    entry()


def _carry_out(config: str | None, words: list[str], task: Task) -> bool:
    """Compose once and call the task, as Hydra does without options; False where it is to sweep."""
    register()
    with hydra.initialize_config_dir(str(CONF), job_name=task.name, version_base=None):
        main = GlobalHydra.instance().hydra
        assert main is not None
        cfg = main.compose_config(
            config_name=config, overrides=words, run_mode=RunMode.RUN, with_log_configuration=True
        )
        if cfg.hydra.mode == RunMode.MULTIRUN:
            return False
        cfg.hydra.mode = RunMode.RUN
        callbacks = Callbacks(cfg)
        callbacks.on_run_start(config=cfg, config_name=config)
        done = run_job(
            task_function=task,
            config=cfg,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
            hydra_context=HydraContext(config_loader=main.config_loader, callbacks=callbacks),
        )
        callbacks.on_run_end(config=cfg, config_name=config, job_return=done)
        _ = done.return_value  # raises what the task raised
    return True


def _print_help(config: str | None, words: list[str]) -> int:
    """Print the help of a command: the template in its yaml, filled in."""
    register()
    OmegaConf.register_new_resolver("settings_help", _help_in_template, replace=True)
    before = HydraConfig.instance().cfg
    with hydra.initialize_config_dir(str(CONF), version_base=None):
        cfg = hydra.compose(config, words, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        try:
            template = Template(cfg.hydra.help.template)
        finally:
            HydraConfig.instance().cfg = before
    print(template.substitute(APP_CONFIG_GROUPS=_groups()))
    return 0


def _groups() -> str:
    """The groups of conf/ with their choices, a line for each.

    Hydra makes the same list in a second: it copies all that it has read for each group.
    """
    lines = []
    for folder, _, files in os.walk(CONF, followlinks=True):
        choices = sorted(Path(name).stem for name in files if name.endswith(".yaml"))
        if choices and Path(folder) != CONF:
            lines.append(f"{Path(folder).relative_to(CONF).as_posix()}: {', '.join(choices)}\n")
    return "".join(sorted(lines))


def help_of_yaml(command: str) -> str:
    """The keys of a command whose yaml Hydra does not compose."""
    defaults = OmegaConf.load(CONF / f"{command}.yaml")
    assert isinstance(defaults, DictConfig)
    return _keys(command, defaults)


def _keys(command: str, config: DictConfig) -> str:
    from src.settings.describe import help_text  # imports the schemas of all commands

    return help_text(command, config)


def _help_in_template(command: str, *, _root_: DictConfig) -> str:
    return _keys(command, _root_).replace("$", "$$")  # it is read as a template


def drop_training(cfg: DictConfig, words: Sequence[str] = ()) -> None:
    """Leave out how a model is trained, in place, where nothing trains.

    A model's yaml chooses its optimizer and scheduler at the root of the config, where the command
    line does too (`optimizer=adamw`); Hydra has no way to compose the model alone.

    Args:
        cfg: As Hydra composed it.
        words: The settings that were typed.
    """
    groups = ("optimizer", "lr_scheduler")
    typed = [word.lstrip("+~") for word in words]
    if "trainer" in cfg or any(word.startswith(groups) for word in typed):
        return  # the schema refuses what was typed and has no effect
    with open_dict(cfg):
        for group in groups:
            cfg.pop(group, None)


@contextmanager
def _as_process(name: str, words: list[str]) -> Iterator[None]:
    """Words and environment as Hydra reads them of a process of its own.

    Without HYDRA_FULL_ERROR Hydra prints errors itself, over several lines, and ends with code 1.
    """
    argv, before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [name, *words], "1"
    try:
        yield
    finally:
        sys.argv = argv
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def as_user_error(name: str, error: Exception) -> UserError | None:
    """What Hydra or OmegaConf raised in a command, in one line; None where it is not theirs."""
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    said = explain(name, error) or _in_one_line(error)
    return _user_error_behind(error) or CommandError(said)


def _user_error_behind(error: BaseException | None) -> UserError | None:
    """Ours, where OmegaConf or Hydra wrapped what a resolver raised."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read; give KEY=VALUE, with quotes around odd letters"
    if isinstance(error, MissingConfigException) and "hydra/launcher/" in str(error):
        return str(missing_extra("this launcher is a package of its own", "sweep"))
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(_NOISE))
    # Where Hydra looked for a group's choices is of no use to who mistyped one.
    text = text.partition("Config search path:")[0].strip() or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
