"""What stops a file from being read or written is told in one line; a bug keeps its traceback."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.errors import (
    UserError,
    disk_full_as_user_error,
    exit_on_user_error,
    file_fault,
    is_full,
    os_errors_as_user_errors,
)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told(tmp_path: Path, code: int) -> None:
    with (
        pytest.raises(UserError, match=rf"{tmp_path}: .*\. Make room, then go on"),
        disk_full_as_user_error(tmp_path, "go on"),
    ):
        raise OSError(code, os.strerror(code))


def test_other_errors_pass_advice_on_a_full_disk() -> None:
    with pytest.raises(PermissionError), disk_full_as_user_error("folder", "go on"):
        raise PermissionError(errno.EACCES, "no")
    assert not is_full(None)


def _below_a_file(folder: Path) -> None:
    (folder / "file" / "below").mkdir(parents=True)


def _over_a_file(folder: Path) -> None:
    (folder / "file").mkdir()


def _into_a_folder(folder: Path) -> None:
    (folder / "folder").write_text("numbers")


def _replacing_a_folder(folder: Path) -> None:
    (folder / "file").replace(folder / "folder")


def _of_a_long_name(folder: Path) -> None:
    (folder / ("x" * 300)).write_text("numbers")


def _onto_a_full_disk(folder: Path) -> None:
    Path("/dev/full").write_text("numbers")


def _that_is_not_there(folder: Path) -> None:
    (folder / "missing").read_text()


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_below_a_file, "file/below: Not a directory: a part of this path is a file"),
        (_over_a_file, "file: File exists: a file has the name that a folder needs"),
        (_into_a_folder, "folder: Is a directory: a folder has the name that a file needs"),
        (_replacing_a_folder, "folder: Is a directory: a folder has the name that a file needs"),
        (_of_a_long_name, "File name too long: choose a shorter name"),
        (_onto_a_full_disk, "No space left on device. Make room, then run the same command again"),
        (_that_is_not_there, "missing: No such file or directory: it is not there"),
    ],
)
def test_an_entry_point_tells_of_a_file_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    write: Callable[[Path], None],
    said: str,
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    @exit_on_user_error
    def run() -> int:
        write(tmp_path)
        return 0

    assert run() == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert said in lines[0]


def test_an_error_without_a_file_names_the_place_that_is_given(tmp_path: Path) -> None:
    bare = OSError(errno.EROFS, os.strerror(errno.EROFS))
    assert file_fault(bare) is None
    fault = file_fault(bare, tmp_path)
    assert fault is not None
    assert fault.startswith(f"{tmp_path}: Read-only file system")


def test_errors_that_are_none_of_the_file_system_keep_their_traceback() -> None:
    for error in (ConnectionResetError(errno.ECONNRESET, "reset"), OSError("no number"), KeyError):
        with (
            pytest.raises(error if isinstance(error, type) else type(error)),
            os_errors_as_user_errors("x"),
        ):
            raise error


PRINTS = """
from src.errors import exit_on_user_error

@exit_on_user_error
def main():
    for number in range(100_000):
        print(number)
    return 0

raise SystemExit(main())
"""


@pytest.mark.parametrize("options", [[], ["-u"]], ids=["buffered", "at once"])
def test_a_reader_that_wants_no_more_ends_a_command_quietly(options: list[str]) -> None:
    command = [sys.executable, *options, "-c", PRINTS]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 1


def test_another_broken_pipe_is_no_reader_that_left() -> None:
    @exit_on_user_error
    def main() -> int:
        raise BrokenPipeError(errno.EPIPE, "a connection")

    with pytest.raises(BrokenPipeError):
        main()
