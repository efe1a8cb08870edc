"""Progress for those who look on, a line for each tenth for a log, nothing on the output."""

import io
import logging
from collections.abc import Iterator
from functools import partial

import pytest
from rich.console import Console

from src import progress
from src.progress import progress_bars, track


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is written to a terminal."""
    screen = io.StringIO()
    made = partial(Console, file=screen, force_terminal=True, width=100, _environ={})
    monkeypatch.setattr(progress, "Console", lambda stderr: made())
    return screen


def said(caplog: pytest.LogCaptureFixture, total: int) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert list(track(range(total), "reading", total)) == list(range(total))
    return caplog.messages


def test_a_log_has_a_line_for_each_tenth(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert said(caplog, 100) == [f"reading: {done} of 100" for done in range(10, 101, 10)]
    assert [line.split()[1] for line in said(caplog, 1005)][::3] == ["101", "402", "704", "1005"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("total", [0, 1, 99])
def test_little_work_needs_no_line(caplog: pytest.LogCaptureFixture, total: int) -> None:
    assert said(caplog, total) == []


def test_a_terminal_shows_a_bar_and_no_lines(
    terminal: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(caplog, 150) == []
    assert "reading" in terminal.getvalue()
    assert "150/150" in terminal.getvalue()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("looked_at", [True, False])
def test_items_are_asked_for_one_at_a_time(
    looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not looked_at:
        monkeypatch.setattr(progress, "Console", partial(Console, file=io.StringIO()))
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    going = track(items(), "reading", 3)
    assert taken == []
    assert (next(going), taken) == (0, [0])
    assert (next(going), taken) == (1, [0, 1])
    going.close()


@pytest.mark.usefixtures("terminal")
def test_a_failure_comes_through_the_bar() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(track(broken(), "reading", 2))


@pytest.mark.parametrize("shown", [True, False])
def test_bars_count_and_can_be_left_out(terminal: io.StringIO, shown: bool) -> None:
    with progress_bars(shown) as bars:
        task = bars.add_task("scoring", total=4, completed=1)
        bars.advance(task)
    assert bars.tasks[0].completed == 2
    assert ("scoring" in terminal.getvalue()) is shown
    assert ("2/4" in terminal.getvalue()) is shown


def test_bars_leave_the_output_to_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as bars:
        bars.add_task("scoring", total=1)
    assert capfd.readouterr().out == ""
