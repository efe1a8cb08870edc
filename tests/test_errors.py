"""A full disk is told in one line; other errors keep their traceback."""

import errno
import os
from pathlib import Path

import pytest

from src.errors import UserError, is_full, told_when_full


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told(tmp_path: Path, code: int) -> None:
    with (
        pytest.raises(UserError, match=rf"{tmp_path}: .*\. Make room, then go on"),
        told_when_full(tmp_path, "go on"),
    ):
        raise OSError(code, os.strerror(code))


def test_other_errors_pass() -> None:
    with pytest.raises(PermissionError), told_when_full("folder", "go on"):
        raise PermissionError(errno.EACCES, "no")
    assert not is_full(None)
