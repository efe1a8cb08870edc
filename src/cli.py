"""The command line: one way in for all commands, and one line for a mistake in one of them."""

import os
import sys
from collections.abc import Callable
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .command_line import as_overrides
from .errors import CommandError, UserError
from .settings.describe import help_text

WRONG_COMMAND = 2
_LONGEST = 400  # characters of a message of Hydra's
# Lines of Hydra's and OmegaConf's messages that say nothing to the person who typed the command.
_NOISE = ("See https://", "full_key:", "object_type=", "^", "Check that the config directory")


def run(main: Callable[[], Any]) -> None:
    """Carry out a Hydra entry point with the words of this process's command line.

    A word that Hydra cannot read, a key that there is not and a value that it cannot take are one
    line and exit code 2; so is a CommandError. Another UserError is one line and exit code 1.
    """
    OmegaConf.register_new_resolver("settings_help", help_text, replace=True)
    # Otherwise Hydra prints these errors itself, over several lines, and ends with code 1.
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        sys.argv[1:] = as_overrides(sys.argv[1:])
        main()
    except (HydraException, OmegaConfBaseException) as error:
        _exit(_in_one_line(error), WRONG_COMMAND)
    except UserError as error:
        _exit(str(error), WRONG_COMMAND if isinstance(error, CommandError) else 1)
    finally:
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _exit(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read; give KEY=VALUE, with quotes around odd letters"
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(_NOISE))
    # Where Hydra looked for a group's choices is of no use to who mistyped one.
    text = text.partition("Config search path:")[0].strip() or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
