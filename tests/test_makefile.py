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


def test_the_quick_suite_is_lint_and_what_is_not_marked_slow() -> None:
    given = ["make", "-n", "--no-print-directory", "quick"]
    printed = subprocess.check_output(given, cwd=ROOT, text=True).splitlines()
    assert any(line.endswith("mypy") for line in printed)
    assert printed[-1].split(' -m "not slow"')[0].endswith("pytest -n 2 --dist worksteal")
