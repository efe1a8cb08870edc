"""Files that are divided among processes are all done, once, as one process does them."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.inference.predict_files import Failure, Summary
from src.inference.processes import devices_for, predict_in_processes
from src.inference.sources import Source, find_sources
from tests.inference.tiny import save_picture


def copy_names(sources: Sequence[Source], device: str, finished: Callable[[], None]) -> Summary:
    """Note each file beside itself, as if it was predicted; one of them fails."""
    failures = []
    for source in sources:
        if source.path.stem == "b":
            failures.append(Failure(source.path, device))
        else:
            source.path.with_suffix(".done").write_text(f"{device} {torch.get_num_threads()}")
        finished()
    return Summary(len(sources) - len(failures), 0, failures)


def die(sources: Sequence[Source], device: str, finished: Callable[[], None]) -> Summary:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.slow
def test_each_file_is_done_once(tmp_path: Path) -> None:
    for name in "abcde":
        save_picture(tmp_path / f"{name}.jpg", 9, 12)
    sources = find_sources(str(tmp_path))
    summary = predict_in_processes(copy_names, ["cpu", "cpu"], sources)
    assert (summary.done, summary.skipped) == (4, 0)
    assert summary.failures == [Failure(tmp_path / "b.jpg", "cpu")]
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == ["a", "c", "d", "e"]
    assert int((tmp_path / "a.done").read_text().split()[1]) >= 1

    with pytest.raises(UserError, match=r"was killed.*skip_existing=true goes on"):
        predict_in_processes(die, ["cpu"], sources)


@pytest.mark.parametrize(("device", "count", "gpus", "found"), [
    ("auto", 2, 0, ["cpu", "cpu"]),
    ("cpu", 3, 4, ["cpu"] * 3),
    ("auto", 2, 4, ["cuda:0", "cuda:1"]),
    ("cuda", 2, 2, ["cuda:0", "cuda:1"]),
])  # fmt: skip
def test_gpus_are_not_shared(
    device: str, count: int, gpus: int, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert devices_for(device, count) == found


@pytest.mark.parametrize(
    ("device", "count", "message"),
    [
        ("cuda", 3, "processes=3, but there are 2 GPUs"),
        ("cuda:1", 2, "device=cuda:1 is for one process"),
        ("cpu", 0, "at least 1"),
    ],
)
def test_what_cannot_be_divided_is_said(
    device: str, count: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=message):
        devices_for(device, count)
