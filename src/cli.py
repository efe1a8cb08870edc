"""The command line: `finecut COMMAND key=value …`, and one line for whatever is wrong in it.

Every command has the same grammar, the same error handler and the same exit codes: 0 done, 1
something that was asked for is not done, 2 the command itself is wrong. The scripts in the root
(`train.py` and others) are commands of this one under the names that papers' readers expect.
"""

import difflib
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from src import __version__
from src.errors import CommandError, UserError, exit_on_user_error

DONE, NOT_DONE, WRONG_COMMAND = 0, 1, 2
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
    "data shard": Command(
        _TRAIN, "write a data set as tar shards", "src.datamodules.shard_writer:main", "shard"
    ),
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
    name, words = _named(words)
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        near = f"; did you mean {close[0]}?" if close else ""
        raise CommandError(f"finecut has no command {name!r}{near}; `finecut --help` lists them")
    try:
        return _run(name, words)
    except UserError:
        raise
    except Exception as error:
        from src import composition

        said = composition.as_user_error(name, error)
        if said is None:
            raise
        raise said from error


def _named(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command that words begin with, which may be two of them, and the words behind it."""
    name = _ALIASES.get(words[0], words[0])
    both = " ".join([name, *words[1:2]])
    return (both, list(words[2:])) if both in COMMANDS else (name, list(words[1:]))


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
    from src.settings.renamed import require_new_keys, with_aliases

    command = COMMANDS[name]
    words = with_aliases(name, words)
    require_new_keys(name, words)
    if command.config is None:
        if any(word in ("-h", "--help") for word in words) or words[:1] == ["help"]:
            print(_help_of(name))
            return DONE
        code: int = pkgutil.resolve_name(command.target)(words)
        return code
    from src import composition

    config = config_of(name, words)
    if name == "predict":
        words = _with_bare_paths(words)
    words = composition.readable(name, words)
    script = sys.argv[0] if Path(sys.argv[0]).name in _SCRIPTS else None
    if script is None and any(word in _COMPLETION for word in words):
        return _complete(words)
    # Completion of `python train.py` is Hydra's own, which needs the script's name.
    task = composition.Task(name, command.target, command.job)
    return composition.run(script or f"finecut {name}", words, config, task)


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
            first = dict.fromkeys(name.split()[0] for name in COMMANDS)
            print(" ".join(name for name in first if name.startswith(typed)))
            return DONE
        name = _ALIASES.get(typed, typed)
        second, behind, after = rest.lstrip().partition(" ")
        both = [one for one in COMMANDS if one.startswith(f"{name} {second}")]
        if both and not behind:
            print(" ".join(one.split()[1] for one in both))
            return DONE
        if f"{name} {second}" in both:
            name, rest = f"{name} {second}", after
        config = config_of(name, rest.split()) if name in COMMANDS else None
        config = config or _OWN_YAML.get(name)
        os.environ["COMP_LINE"] = f"finecut {rest.lstrip()}"
    if config is None:
        return DONE
    from src import composition

    return DONE if composition.complete(words, config) else NOT_DONE


def _help_of(name: str) -> str:
    """The help of a command that reads its words itself."""
    text: str = pkgutil.resolve_name(COMMANDS[name].target.partition(":")[0]).HELP
    if name not in _OWN_YAML:
        return text
    from src import composition

    return text + composition.help_of_yaml(_OWN_YAML[name])


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
    from src.command_line import quoted

    listed = bare[0] if len(bare) == 1 else f"[{','.join(map(quoted, bare))}]"
    return [*settings, f"input={listed}", *chosen]
