"""The error that a user can mend: shown as one message, without a traceback."""

import errno
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

Arguments = ParamSpec("Arguments")

# No space, no quota, and the largest file that the system or `ulimit -f` allows.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(ValueError):
    """Something in the command, the data or a file is wrong; the message says what and how."""

    def __init__(self, message: str) -> None:
        if message.startswith("Caught ") and "Traceback" in message:
            # torch rebuilds the error of a loader's worker from its printed traceback.
            message = message.rpartition(f"{type(self).__name__}: ")[2].rstrip()
        super().__init__(message)


class CommandError(UserError):
    """The command itself is wrong: a key, a value, or two that contradict each other."""


def told(run: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make a door of a function that answers an exit code: a UserError is printed, and code 1.

    Where the command itself is wrong, the code is 2.
    """

    @functools.wraps(run)
    def telling(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        try:
            return run(*args, **kwargs)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2 if isinstance(error, CommandError) else 1

    return telling


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that there is no room to write."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def told_when_full(folder: str | Path, advice: str) -> Iterator[None]:
    """Turn a full disk into a UserError.

    Args:
        folder: What was being written to.
        advice: What to do once there is room.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        where = error.filename or folder
        raise UserError(f"{where}: {error.strerror}. Make room, then {advice}") from None
