"""An image or a video from the standard input, and a result to the standard output.

What goes to the standard output is a result that was made completely, and nothing else: whatever
is printed meanwhile, by a library too, goes to the standard error.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.datamodules.file_kinds import video_suffix
from src.errors import CommandError, UserError
from src.inference.sources import Source

PIPE = "-"
_STDIN = "standard input"
_STDOUT, _STDERR = 1, 2  # of the process, whatever Python's streams are
_BLOCK = 1 << 20


def read_stdin(folder: Path) -> Source:
    """What is piped in, as a file in a folder.

    Raises:
        CommandError: Nothing is: it is a terminal, or closed.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise CommandError(
            "input=- reads an image from the standard input: curl -s LINK | finecut predict - > "
            "out.png"
        )
    path = folder / "stdin"
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, _BLOCK)
    with path.open("rb") as file:
        suffix = video_suffix(file.read(16))
    return Source(path.rename(path.with_suffix(suffix)), Path("stdin"))


def named_stdin(text: str, source: Source) -> str:
    """A message in which the file's place is called what it is to the user."""
    return text.replace(str(source.path), _STDIN)


@contextmanager
def reserved_stdout() -> Iterator[int]:
    """The descriptor of the standard output, which nothing else is written to meanwhile.

    Raises:
        CommandError: It is a terminal, or closed.
    """
    try:
        terminal = os.isatty(_STDOUT)
        if sys.stdout is not None:
            sys.stdout.flush()
        kept = os.dup(_STDOUT)
    except OSError as error:
        raise CommandError(f"output=-: the standard output is closed ({error})") from None
    try:
        if terminal:
            raise CommandError(
                "output=- writes the bytes of an image, and the standard output is a terminal: "
                "redirect it, > out.png"
            )
        os.dup2(_STDERR, _STDOUT)
        try:
            yield kept
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
            os.dup2(kept, _STDOUT)
    finally:
        os.close(kept)


def send(path: Path, descriptor: int) -> None:
    """Write a file to a descriptor.

    Raises:
        UserError: The reader has closed its end before all was written.
    """
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            view = memoryview(block)
            while view:
                try:
                    view = view[os.write(descriptor, view) :]
                except BrokenPipeError:
                    raise UserError(
                        "the standard output was closed by its reader before the result was written"
                    ) from None
                except OSError as error:
                    raise OSError(error.errno, error.strerror, "the standard output") from error
