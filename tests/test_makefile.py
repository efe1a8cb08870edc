"""The Makefile names files that are there."""

import re
import subprocess

from .documented import ROOT


def test_the_suite_of_the_lowest_versions_names_files_that_are_there() -> None:
    """pytest runs no test at all where one of the files it is given is missing."""
    given = ["make", "-n", "--no-print-directory", "test-lowest"]
    printed = subprocess.check_output(given, cwd=ROOT, text=True)
    named = re.findall(r"tests/[\w/.]+", printed.splitlines()[-1])
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []
