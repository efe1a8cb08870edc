"""A folder that files arrive in: each is predicted once it is complete, until the user ends it."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from src.errors import CommandError
from src.inference.outputs import parse_outputs
from src.inference.predict_config import PredictConfig
from src.inference.predict_files import Summary
from src.inference.watch import Watch, stopped_by_signals
from tests.inference.tiny import finder, save_picture

_PATIENCE = 30.0  # seconds until a test gives up


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


class Running:
    """A watch in a thread of its own."""

    def __init__(self, folder: Path, **options: object) -> None:
        plan = PredictConfig(parse_outputs("mask"), folder.parent / "out", **options)  # type: ignore[arg-type]
        self.out, self.stop = plan.folder, threading.Event()
        self.watch = Watch(finder(), [str(folder)], plan, seconds=0.02)
        self.summary = Summary(0, 0, [])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.summary = self.watch.run(self.stop)

    def result(self, name: str) -> Path:
        until((self.out / name).is_file)
        return self.out / name

    def end(self) -> Summary:
        self.stop.set()
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive()
        return self.summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(**options: object) -> Running:
        running.append(Running(folder, **options))
        return running[-1]

    yield begin
    for one in running:
        one.end()


def test_what_is_there_and_what_arrives_is_predicted(
    folder: Path, start: Callable[..., Running]
) -> None:
    save_picture(folder / "a.jpg")
    watch = start()
    watch.result("a.png")
    save_picture(folder.parent / "b.jpg").rename(folder / "b.jpg")
    save_picture(folder / "sub" / "c.png")
    (folder / "notes.txt").write_text("no image")
    watch.result("b.png")
    watch.result("sub/c.png")
    assert watch.end()[:3] == (3, 0, [])


def test_a_file_is_read_when_it_has_stopped_growing(
    folder: Path, start: Callable[..., Running]
) -> None:
    data = save_picture(folder.parent / "a.bmp").read_bytes()
    watch = start()
    with (folder / "a.bmp").open("wb", buffering=0) as file:
        for at in range(0, len(data), 4000):
            file.write(data[at : at + 4000])
            os.utime(folder / "a.bmp", ns=(at, at))  # it changes from each look to the next
            time.sleep(0.01)
    watch.result("a.png")
    assert watch.end()[:3] == (1, 0, [])


def test_a_damaged_file_is_reported_and_tried_again_when_it_changes(
    folder: Path, start: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "src.inference")
    (folder / "a.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "b.jpg").touch()
    watch = start()
    until(lambda: "a.jpg: " in caplog.text)
    assert not watch.out.exists() or not list(watch.out.iterdir())
    save_picture(folder.parent / "a.jpg").replace(folder / "a.jpg")
    watch.result("a.png")
    summary = watch.end()
    assert summary.done == 1
    assert [failure.path.name for failure in summary.failures] == ["b.jpg"]
    assert "empty file" in str(summary)


def test_a_later_call_goes_on_and_a_changed_file_is_predicted_anew(
    folder: Path, start: Callable[..., Running]
) -> None:
    save_picture(folder / "a.jpg")
    first = start()
    before = first.result("a.png").stat().st_mtime_ns
    first.end()
    save_picture(folder / "b.jpg")
    second = start()
    second.result("b.png")
    assert (second.out / "a.png").stat().st_mtime_ns == before
    save_picture(folder.parent / "c.jpg", 30, 40).replace(folder / "b.jpg")

    def is_new() -> bool:
        with Image.open(second.out / "b.png") as image:
            return image.size == (40, 30)

    until(is_new)
    assert second.end()[:3] == (2, 1, [])


def test_a_folder_that_is_gone_for_a_while_is_waited_for(
    folder: Path, start: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    watch = start()
    folder.rename(folder.parent / "away")
    until(lambda: "looking again" in caplog.text)
    (folder.parent / "away").rename(folder)
    save_picture(folder / "a.jpg")
    watch.result("a.png")
    watch.end()
    assert caplog.text.count("looking again") == 1


def test_an_animation_is_left_when_the_user_stops(
    folder: Path, start: Callable[..., Running]
) -> None:
    frames = [Image.new("RGB", (16, 16), (number, 0, 0)) for number in range(200)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:], duration=20)
    watch = start()
    entered = threading.Event()
    masks = watch.watch._segmenter.masks

    def slow(*arguments: object, **options: object) -> object:
        entered.set()
        watch.stop.wait(_PATIENCE)
        return masks(*arguments, **options)  # type: ignore[arg-type]

    watch.watch._segmenter.masks = slow  # type: ignore[method-assign, assignment]
    assert entered.wait(_PATIENCE)
    assert watch.end()[:3] == (0, 0, [])
    assert not watch.out.exists() or not list(watch.out.iterdir())


def test_only_folders_are_watched(folder: Path) -> None:
    plan = PredictConfig(parse_outputs("mask"), folder.parent / "out")
    with pytest.raises(CommandError, match=r"watch=true is for folders, and input .*a\.jpg"):
        Watch(finder(), [str(save_picture(folder / "a.jpg"))], plan)


def _end(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(_PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_asks_and_a_second_one_ends(number: signal.Signals) -> None:
    usual = signal.getsignal(number)
    signal.signal(number, signal.default_int_handler)
    try:
        with stopped_by_signals() as stop:
            os.kill(os.getpid(), number)
            assert stop.wait(_PATIENCE)
            with pytest.raises(KeyboardInterrupt):
                _end(number)
    finally:
        signal.signal(number, usual)
