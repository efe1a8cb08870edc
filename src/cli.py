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
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from src import __version__
from src.command_line import quote_overrides, quoted
from src.errors import (
    CommandError,
    UserError,
    exit_on_user_error,
    missing_extra,
    os_errors_as_user_errors,
    print_user_error,
)
from src.paths import CONF
from src.settings.describe import help_text
from src.settings.renamed import explain, require_new_keys, require_new_keys_in, with_aliases

DONE, NOT_DONE, WRONG_COMMAND = 0, 1, 2
_LONGEST = 400  # characters of a message of Hydra's
# Lines of Hydra's and OmegaConf's messages that say nothing to the person who typed the command.
_NOISE = ("See https://", "full_key:", "object_type=", "^", "Check that the config directory")
# What `finecut predict photo.jpg` means by itself.
_BARE_PREDICT = {"weights": "isnet-general-use", "type": "rgba", "output": "cutouts"}


class Command(NamedTuple):
    """A command: what people want of it, and the function that carries it out.

    Attributes:
        wish: Under which heading `finecut --help` lists it.
        purpose: What it does, in a line.
        target: `module:function`. Of commands with a config the function takes it, of others the
            words of the command line; it returns the exit code.
        config: The yaml of conf/ that Hydra composes; None: the function reads the words itself,
            and `HELP` of its module is what `--help` prints.
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
        _USE, "masks and cut-outs of images and videos", "src.inference.cli:main", "predict"
    ),
    "app": Command(_USE, "a page to drop images on, or to click in", "src.webapp.cli:main", "app"),
    "annotate": Command(
        _USE, "boxes of a COCO file to masks", "src.annotation.cli:main", "annotate"
    ),
    "export": Command(
        _USE, "an ONNX or torch file that runs without finecut", "src.export.cli:main", "export"
    ),
    "benchmark": Command(
        _USE,
        "a model's speed in every engine of this machine",
        "src.benchmark.cli:main",
        "benchmark",
    ),
    "train": Command(
        _TRAIN,
        "train a model and test it",
        "src.training.cli:main",
        "train",
        job="src.sweeps.jobs:main",
    ),
    "data": Command(_TRAIN, "get a data set from its authors", "src.datamodules.get:main"),
    "check": Command(
        _TRAIN, "read every file of a data set first", "src.datamodules.check:main", "check"
    ),
    "preview": Command(
        _TRAIN, "draw what training would see", "src.datamodules.preview:main", "preview"
    ),
    "reproduce": Command(_TRAIN, "a row of a paper's table", "src.reproduce.cli:main"),
    "evaluate": Command(
        _SCORE,
        "numbers for a folder of maps, or a checkpoint",
        "src.evaluation.cli:main",
        "evaluate",
    ),
    "table": Command(_SCORE, "what was scored, beside printed numbers", "src.reporting.cli:main"),
    "models": Command(_LOOK, "the released weights that finecut knows", "src.weights.cli:main"),
    "runs": Command(
        _LOOK, "run folders, their state, how to continue", "src.training.listing:main"
    ),
    "doctor": Command(_LOOK, "versions, devices, caches, weights, data sets", "src.doctor:main"),
}
_ALIASES = {"tables": "table", "score": "evaluate", "serve": "app"}
# The yaml files of commands that read their words themselves, for completion.
_OWN_YAML = {"table": "tables", "reproduce": "reproduce"}
_SCRIPTS = ("train.py", "evaluate.py", "predict.py", "export.py", "annotate.py", "app.py")
_COMPLETION = ("-sc", "--shell-completion")
# Hydra's options whose value is the next word.
_WITH_VALUE = ("-c", "--cfg", "-p", "--package", "-i", "--info", "-cd", "--config-dir")


@exit_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    The functions that it calls raise UserErrors; here, and only here, they become one line.

    Args:
        argv: The words after `finecut`; None for those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return DONE if words else WRONG_COMMAND
    if words[0] in ("--version", "version"):
        print(f"finecut {__version__}")
        return DONE
    if words[0] in _COMPLETION:
        return _complete(words)
    name = _ALIASES.get(words[0], words[0])
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        raise CommandError(
            f"finecut has no command {words[0]!r}{near}; `finecut --help` lists them"
        )
    try:
        return _run(name, words[1:])
    except (HydraException, OmegaConfBaseException) as error:
        said = explain(name, error) or _in_one_line(error)
        raise _user_error_behind(error) or CommandError(said) from error


def overview() -> str:
    """What `finecut --help` prints: the commands by what people want."""
    lines = ["finecut cuts the foreground out of images, to the last hair.", ""]
    lines += ["  finecut COMMAND key=value …      finecut COMMAND --help shows its keys", ""]
    for wish in dict.fromkeys(command.wish for command in COMMANDS.values()):
        lines.append(f"{wish}:")
        named = ((name, command) for name, command in COMMANDS.items() if command.wish == wish)
        lines += [f"  {name:<10} {command.purpose}" for name, command in named]
        lines.append("")
    lines += [
        "  finecut predict photo.jpg",
        "  finecut evaluate maps=predictions ground_truth=masks",
    ]
    lines += ["  finecut train model=isnet data=dis5k data.root=~/sets trainer.devices=4"]
    lines += ["", "Exit codes: 0 done, 1 something asked for is not done, 2 the command is wrong."]
    return "\n".join(lines)


def _run(name: str, words: list[str]) -> int:
    command = COMMANDS[name]
    words = with_aliases(name, words)
    require_new_keys(name, words)
    if command.config is None:
        if any(word in ("-h", "--help") for word in words) or words[:1] == ["help"]:
            print(_help_of(name))
            return DONE
        code: int = pkgutil.resolve_name(command.target)(words)
        return code
    config = config_of(name, words)
    if name == "predict":
        words = _with_bare_paths(words)
    from src.training import cli, resume

    def task(cfg: DictConfig) -> Any:
        try:
            with os_errors_as_user_errors():
                require_new_keys_in(name, cfg)
                drop_training(cfg, HydraConfig.get().overrides.task)
                if command.job and HydraConfig.get().mode == RunMode.MULTIRUN:
                    return pkgutil.resolve_name(command.job)(cfg)
                sys.exit(pkgutil.resolve_name(command.target)(cfg))
        except UserError as error:
            # Not in `main`: Hydra adds a line of its own to an error that leaves the task, and the
            # task of a sweep may be in another process.
            renamed = explain(name, error)
            sys.exit(print_user_error(CommandError(renamed) if renamed else error))

    words = quote_overrides(words)
    if name == "train" and resume.asks(words):  # a run goes on as it was saved
        cli.continue_run(words)
    script = sys.argv[0] if Path(sys.argv[0]).name in _SCRIPTS else None
    if script is None and any(word in _COMPLETION for word in words):
        return _complete(words)
    # Completion of `python train.py` is Hydra's own, which needs the script's name.
    return _with_hydra(script or f"finecut {name}", words, config, task)


def config_of(name: str, words: Sequence[str]) -> str | None:
    """The yaml of a command. Maps are scored by one without a model or anything of training.

    So are stored results put into a table.
    """
    settings = [word for word in words if "=" in word and not word.startswith("hydra")]
    if (
        name == "evaluate"
        and settings
        and not any(one.startswith(("maps=", "results=")) for one in settings)
    ):
        return "evaluate_checkpoint"
    return COMMANDS[name].config


def _with_hydra(
    program: str, words: list[str], config: str | None, task: Callable[..., Any]
) -> int:
    """Let Hydra compose a yaml of conf/ and call the task; returns the exit code."""
    from src.training.config import register

    register()
    OmegaConf.register_new_resolver("settings_help", _help_in_template, replace=True)
    with _as_process(program, words):
        entry: Callable[[], None] = hydra.main(
            version_base=None, config_path=str(CONF), config_name=config
        )(task)
        try:
            entry()
        except SystemExit as end:
            return int(end.code or DONE)
    return DONE


def _complete(words: list[str]) -> int:
    """Print the script of `finecut -sc install=bash`, or what it asks with `-sc query=bash`.

    Hydra completes one program with one config. The word behind `finecut` chooses the config; what
    follows it is completed as if it were the program's.
    """
    config: str | None = "train"
    if any(word.startswith("query=") for word in words):
        line = os.environ.get("COMP_LINE", "")
        _, _, rest = line.partition(" ")
        typed, behind, rest = rest.lstrip().partition(" ")
        if not behind:
            print(" ".join(name for name in COMMANDS if name.startswith(typed)))
            return DONE
        name = _ALIASES.get(typed, typed)
        config = config_of(name, rest.split()) if name in COMMANDS else None
        config = config or _OWN_YAML.get(name)
        os.environ["COMP_LINE"] = f"finecut {rest.lstrip()}"
    if config is None:
        return DONE
    try:
        return _with_hydra("finecut", words, config, lambda cfg: None)
    except (HydraException, OmegaConfBaseException):
        return NOT_DONE  # the words so far make no config: there is nothing to offer


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


def _help_of(name: str) -> str:
    """The help of a command that reads its words itself."""
    text: str = pkgutil.resolve_name(COMMANDS[name].target.partition(":")[0]).HELP
    yaml = _OWN_YAML.get(name)
    if yaml is None:
        return text
    defaults = OmegaConf.load(CONF / f"{yaml}.yaml")
    assert isinstance(defaults, DictConfig)
    return text + help_text(yaml, defaults)


def _help_in_template(command: str, *, _root_: DictConfig) -> str:
    return help_text(command, _root_).replace("$", "$$")  # Hydra reads it as a template


def _with_bare_paths(words: Sequence[str]) -> list[str]:
    """`predict photo.jpg` as `predict input=photo.jpg`, with what is not said filled in."""
    bare = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word == "-"
        or ("=" not in word and not word.startswith(("-", "+", "~")) and before not in _WITH_VALUE)
    ]
    if not bare:
        return list(words)
    settings = [word for word in words if word not in bare]
    given = {word.partition("=")[0] for word in settings}
    if "input" in given:
        raise CommandError(f"{bare[0]} and input=: name what is read in one of the two ways")
    usual = _BARE_PREDICT | ({"output": "-"} if bare == ["-"] else {})
    chosen = [f"{key}={value}" for key, value in usual.items() if key not in given]
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
