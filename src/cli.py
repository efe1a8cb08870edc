"""The command line: `finecut COMMAND key=value …`, and one line for whatever is wrong in it.

Every command has the same grammar, the same error handler and the same exit codes: 0 done, 1
something that was asked for is not done, 2 the command itself is wrong. The scripts in the root
(`train.py` and others) are commands of this one under the names that papers' readers expect.
"""

import difflib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import __version__
from src.command_line import quote_overrides, quoted
from src.errors import CommandError, UserError, missing_extra, os_errors_as_user_errors
from src.paths import CONF
from src.settings.describe import help_text

DONE, NOT_DONE, WRONG_COMMAND = 0, 1, 2
_LONGEST = 400  # characters of a message of Hydra's
# Lines of Hydra's and OmegaConf's messages that say nothing to the person who typed the command.
_NOISE = ("See https://", "full_key:", "object_type=", "^", "Check that the config directory")
# What `finecut predict photo.jpg` means by itself.
_BARE_PREDICT = {"weights": "isnet-general-use", "output": "rgba", "destination": "cutouts"}


class Command(NamedTuple):
    """A command: what people want of it, and the function that carries it out.

    Attributes:
        wish: Under which heading `finecut --help` lists it.
        purpose: What it does, in a line.
        target: `module:function`. Of commands with a config the function takes it, of others the
            words of the command line; it returns the exit code.
        config: The yaml of conf/ that Hydra composes; None: the function reads the words itself.
        job: The same for a job of a sweep (`-m`), whose function returns what the job is judged by.
    """

    wish: str
    purpose: str
    target: str
    config: str | None = None
    job: str | None = None


_USE, _TRAIN, _SCORE, _LOOK = "Use a model", "Train one", "Score and compare", "Look around"
COMMANDS: dict[str, Command] = {
    "predict": Command(
        _USE, "masks and cut-outs of images and videos", "src.inference.cli:predict", "predict"
    ),
    "app": Command(_USE, "a page to drop images on, or to click in", "src.webapp.cli:serve", "app"),
    "annotate": Command(
        _USE, "boxes of a COCO file to masks", "src.annotation.cli:run", "annotate"
    ),
    "export": Command(
        _USE, "an ONNX or torch file that runs without finecut", "src.export.cli:run", "export"
    ),
    "train": Command(
        _TRAIN,
        "train a model and test it",
        "src.training.cli:main",
        "train",
        job="src.sweeps.jobs:main",
    ),
    "check": Command(
        _TRAIN, "read every file of a data set first", "src.datamodules.check:run", "check"
    ),
    "preview": Command(
        _TRAIN, "draw what training would see", "src.datamodules.preview:run", "preview"
    ),
    "reproduce": Command(_TRAIN, "a row of a paper's table", "src.reproduce.cli:main"),
    "evaluate": Command(
        _SCORE,
        "numbers for a folder of maps, or a checkpoint",
        "src.evaluation.cli:main",
        "evaluate",
    ),
    "table": Command(_SCORE, "finished runs beside the printed numbers", "src.reporting.cli:main"),
    "models": Command(
        _LOOK, "the released weights that finecut knows", "src.weights.registry:main"
    ),
    "runs": Command(
        _LOOK, "run folders, their state, how to continue", "src.training.listing:main"
    ),
    "doctor": Command(_LOOK, "versions, devices, caches, weights, data sets", "src.doctor:main"),
}
_ALIASES = {"tables": "table", "score": "evaluate", "serve": "app"}


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code.

    Args:
        argv: The words behind `finecut`; None for those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return DONE if words else WRONG_COMMAND
    if words[0] in ("--version", "version"):
        print(f"finecut {__version__}")
        return DONE
    name = _ALIASES.get(words[0], words[0])
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        return _say(f"finecut has no command {words[0]!r}{near}; `finecut --help` lists them")
    try:
        with os_errors_as_user_errors():
            return _carry_out(name, words[1:])
    except (HydraException, OmegaConfBaseException) as error:
        return _say(_in_one_line(error))
    except UserError as error:
        return _say(str(error), error.exit_code)


def overview() -> str:
    """What `finecut --help` prints: the commands by what people want."""
    lines = ["finecut cuts the foreground out of images, to the last hair.", ""]
    lines += ["  finecut COMMAND key=value …      finecut COMMAND --help shows its keys", ""]
    for wish in dict.fromkeys(command.wish for command in COMMANDS.values()):
        lines.append(f"{wish}:")
        named = ((name, command) for name, command in COMMANDS.items() if command.wish == wish)
        lines += [f"  {name:<10} {command.purpose}" for name, command in named]
        lines.append("")
    lines += ["  finecut predict photo.jpg", "  finecut evaluate maps=predictions truth=masks"]
    lines += ["  finecut train model=isnet data=dis5k data.root=~/sets trainer.devices=4"]
    lines += ["", "Exit codes: 0 done, 1 something asked for is not done, 2 the command is wrong."]
    return "\n".join(lines)


def _carry_out(name: str, words: list[str]) -> int:
    command = COMMANDS[name]
    if command.config is None:
        code: int = pkgutil.resolve_name(command.target)(words)
        return code
    if name == "predict":
        words = _with_bare_paths(words)
    from src.training import cli, config, resume

    config.register()
    OmegaConf.register_new_resolver("settings_help", _help_in_template, replace=True)

    def task(cfg: DictConfig) -> Any:
        try:  # here, because Hydra would add a line of its own to an error that leaves the task
            with os_errors_as_user_errors():
                if command.job and HydraConfig.get().mode == RunMode.MULTIRUN:
                    return pkgutil.resolve_name(command.job)(cfg)
                sys.exit(pkgutil.resolve_name(command.target)(cfg))
        except UserError as error:
            sys.exit(_say(str(error), error.exit_code))

    words = quote_overrides(words)
    if name == "train" and resume.asks(words):  # a run goes on as it was frozen
        cli.continue_run(words)
        return DONE
    with _as_process(f"finecut {name}", words):
        entry: Callable[[], None] = hydra.main(
            version_base=None, config_path=str(CONF), config_name=command.config
        )(task)
        try:
            entry()
        except SystemExit as end:
            if isinstance(end.code, str):
                return _say(end.code.removeprefix("error: "), NOT_DONE)
            return end.code or DONE
    return DONE


def _help_in_template(command: str, *, _root_: DictConfig) -> str:
    return help_text(command, _root_).replace("$", "$$")  # Hydra reads it as a template


def _with_bare_paths(words: Sequence[str]) -> list[str]:
    """`predict photo.jpg` as `predict input=photo.jpg`, with what is not said filled in."""
    bare = [word for word in words if "=" not in word and not word.startswith(("-", "+", "~"))]
    if not bare:
        return list(words)
    settings = [word for word in words if word not in bare]
    given = {word.partition("=")[0] for word in settings}
    if "input" in given:
        raise CommandError(f"{bare[0]} and input=: name what is read in one of the two ways")
    chosen = [f"{key}={value}" for key, value in _BARE_PREDICT.items() if key not in given]
    if chosen:
        print(f"chosen: {' '.join(chosen)}", file=sys.stderr)
    listed = bare[0] if len(bare) == 1 else f"[{','.join(map(quoted, bare))}]"
    return [*settings, f"input={listed}", *chosen]


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


def _say(message: str, code: int = WRONG_COMMAND) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


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
