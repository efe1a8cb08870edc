"""The error that a user can mend: shown as one message, without a traceback."""

import errno
import functools
import io
import os
import re
import select
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec

from src.paths import IMPORT_ROOT, IS_INSTALLED

Arguments = ParamSpec("Arguments")

# No space, no quota, and the largest file that the system or `ulimit -f` allows.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = "change its permissions, or choose another place"
_GONE = "the disk or the network drive does not answer; try again once it does"
# What a user can mend of the others, and how.
_ADVICE = {
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: "choose a place that can be written to",
    errno.ENOTDIR: "a part of this path is a file; choose another place",
    errno.EEXIST: "a file has the name that a folder needs; move it, or choose another place",
    errno.EISDIR: "a folder has the name that a file needs; move it, or choose another name",
    errno.ENOTEMPTY: "a folder has the name that is needed; move it, or choose another name",
    errno.ENOENT: "it is not there; see whether its path is right",
    errno.ELOOP: "its links lead in a circle; choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EBUSY: "another program holds it",
    errno.ETXTBSY: "another program holds it",
    errno.EMFILE: "too many files are open; raise the limit with ulimit -n",
    errno.ENFILE: "too many files are open; close other programs",
    errno.EIO: _GONE,
    errno.ESTALE: _GONE,
    errno.ENOTCONN: _GONE,
}


class UserError(ValueError):
    """Something in the command, the data or a file is wrong; the message says what and how."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        if message.startswith("Caught ") and "Traceback" in message:
            # torch rebuilds the error of a loader's worker from its printed traceback.
            message = message.rpartition(f"{type(self).__name__}: ")[2].rstrip()
        super().__init__(message)


class CommandError(UserError):
    """The command itself is wrong: a key, a value, or two that contradict each other."""

    exit_code = 2


def missing_extra(need: str, *extras: str) -> UserError:
    """The error for a package of an optional part of the installation, with the command that
    installs it.

    finecut is in no registry: a checkout is installed from its folder, and beside an installed
    wheel, whose folder may be gone, the packages themselves are.

    Args:
        need: What needs which package.
        extras: Names in pyproject.toml.
    """
    if not IS_INSTALLED:
        place = f"{IMPORT_ROOT}[{','.join(extras)}]"
        return UserError(f"{need}: pip install -e {shlex.quote(place)}")
    from importlib.metadata import requires  # imports the parsing of e-mail

    named = "|".join(map(re.escape, extras))
    marker = re.compile(rf"\s*;\s*extra\s*==\s*['\"](?:{named})['\"]\s*$")
    listed = requires("finecut") or []
    wanted = [marker.sub("", line) for line in listed if marker.search(line)]
    return UserError(f"{need}: pip install {shlex.join(wanted)}")


def exit_on_user_error(run: Callable[Arguments, int]) -> Callable[Arguments, int]:
    """Make an entry point of a function that returns an exit code.

    A UserError, and a file that cannot be read or written (`os_errors_as_user_errors`), are printed
    as one line, and the code is 1; where the command itself is wrong, 2. `src.cli.main` has it, and
    so have modules that are run by `python -m`; what they call raises. Where the reader of what is
    printed wants no more of it (`finecut data | head`), the code is 1 and nothing is said.
    """

    @functools.wraps(run)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> int:
        _print_any_name()
        try:
            with os_errors_as_user_errors():
                code = run(*args, **kwargs)
            sys.stdout.flush()
            return code
        except UserError as error:
            return print_user_error(error)
        except BrokenPipeError:
            if not _is_reader_gone():
                raise
            return 1

    return wrapped


def _is_reader_gone() -> bool:
    """Whether nobody reads the standard output; from then on it leads nowhere."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    if not any(events & select.POLLERR for _, events in poll.poll(0)):
        return False
    # What is left in the buffer would be reported once more when the process ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return True


def print_user_error(error: UserError) -> int:
    """Print an error as one line; returns the exit code."""
    print(f"error: {error}", file=sys.stderr)
    if report := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        import json  # commands that start quickly do without

        # What torchrun prints last, as the cause of its own end.
        with suppress(OSError):
            said = {"message": f"error: {error}", "timestamp": int(time.time())}
            Path(report).write_text(json.dumps(said))
    return error.exit_code


def _print_any_name() -> None:
    """Let names of files be printed that are no text in the terminal's encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that there is no room to write."""
    return isinstance(error, OSError) and error.errno in _FULL


def file_fault(error: BaseException | None, place: str | Path | None = None) -> str | None:
    """One line on an OSError of the file system: which file, what is wrong, what to do.

    None where the error is none of these: a connection that broke, or a bug.

    Args:
        error: What was raised.
        place: What was being written to, for errors that name no file.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return None
    # `filename2` is the name that a whole file was to get.
    path = error.filename2 or error.filename or place
    where = "" if path is None else f"{os.fsdecode(path)}: "
    if is_full(error):
        return f"{where}{error.strerror}. Make room, then run the same command again"
    if path is None or error.errno not in _ADVICE:
        return None
    return f"{where}{error.strerror}: {_ADVICE[error.errno]}"


@contextmanager
def os_errors_as_user_errors(place: str | Path | None = None) -> Iterator[None]:
    """Turn a file or folder that cannot be read or written into a UserError.

    Args:
        place: What is being written to, for errors that name no file.
    """
    try:
        yield
    except OSError as error:
        fault = file_fault(error, place)
        if fault is None:
            raise
        raise UserError(fault) from error


@contextmanager
def disk_full_as_user_error(folder: str | Path, advice: str) -> Iterator[None]:
    """Turn a full disk into a UserError with advice of its own; other errors pass.

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
