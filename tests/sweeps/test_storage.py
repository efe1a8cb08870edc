"""Where a study is kept: a file of any name, or a PostgreSQL server that workers share; and what
becomes of a search when it goes away.
"""

import logging
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.distributions import IntDistribution
from sqlalchemy import event

from src.errors import UserError
from src.sweeps import storage as storages
from src.sweeps.search import Search
from tests.postgres import Server, started
from tests.running import ROOT

SPACE = {"seed": IntDistribution(0, 9)}


def search(
    folder: Path, storage: str | None = None, trials: int = 2, timeout: float = 60
) -> Search:
    return Search(folder, SPACE, trials, storage, study=folder.name, storage_timeout=timeout)


def refused(folder: Path, storage: str | None) -> str:
    """The one line that tells why a search does not begin."""
    with pytest.raises(UserError) as caught:
        search(folder, storage)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as server:
        server.sql("CREATE ROLE reader LOGIN PASSWORD 'e'")
        yield server


def test_a_study_of_a_server_is_shared_and_continued(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    one, other = (search(folder, server.url()) for _ in range(2))
    (first,), (second,) = one.take(1), other.take(1)
    assert (first.number, second.number) == (0, 1)
    one.tell(0, 0.5)
    other.tell(1, None)
    assert one.report() == "study shared: 1 complete, 1 fail of 2 trials"
    assert search(folder, server.url()).take(1) == []


def carry_out_all(worker: Search) -> list[int]:
    numbers = []
    while taken := worker.take(1):
        numbers.append(taken[0].number)
        worker.tell(taken[0].number, 0.5)
    return numbers


@pytest.mark.parametrize("folders", [["one", "one"], ["one", "other"]])
def test_workers_at_once_have_no_trial_twice(
    server: Server, tmp_path: Path, folders: list[str]
) -> None:
    """In one folder, and on machines that share no folder but the server."""
    study = "-".join(["at-once", *folders])

    def work(folder: str) -> list[int]:
        return carry_out_all(Search(tmp_path / folder, SPACE, 8, server.url(), study))

    with ThreadPoolExecutor() as pool:
        one, other = pool.map(work, folders)
    assert sorted(one + other) == list(range(8))


def test_a_trial_of_a_folder_elsewhere_is_left_to_its_workers(
    server: Server, tmp_path: Path
) -> None:
    here, there = (
        Search(tmp_path / name, SPACE, 2, server.url(), "apart") for name in ("here", "there")
    )
    (left,) = here.take(1)
    here._held[left.number].release()  # as the system does when a process ends
    (own,) = there.take(2)
    assert own.number != left.number
    assert Search(tmp_path / "here", SPACE, 2, server.url(), "apart").take(2) == [left]


def test_a_killed_workers_trial_is_carried_out_by_another(server: Server, tmp_path: Path) -> None:
    alive = search(tmp_path, server.url())
    program = (
        "import sys, time; from tests.sweeps.test_storage import *\n"
        "worker = search(Path(sys.argv[1]), sys.argv[2])\n"
        "print(worker.take(1), flush=True); time.sleep(600)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), server.url()],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert killed.stdout is not None
    with killed.stdout as output:
        taken = output.readline()
    (own,) = alive.take(2)
    killed.kill()
    killed.wait()
    (left,) = alive.take(2)
    assert taken == f"[{left}]\n"
    assert own.number != left.number


def test_a_server_that_comes_back_gets_the_value_of_a_trial(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = search(tmp_path, server.url())
    (trial,) = worker.take(1)
    server.die()  # in the middle of the trial
    back = threading.Timer(1, server.come_back)
    back.start()
    with caplog.at_level(logging.WARNING):
        worker.tell(trial.number, 0.5)
    back.join()
    first, last = (record.getMessage() for record in caplog.records)
    assert "refused" in first
    assert "Trying again for up to 60 s (sweep.storage_timeout)" in first
    assert "the storage is back after" in last
    worker.tell(worker.take(1)[0].number, 0.5)
    assert "2 complete of 2" in worker.report()


def test_what_a_server_that_stayed_away_missed_is_recorded_later(
    server: Server, tmp_path: Path
) -> None:
    worker = search(tmp_path, server.url(), timeout=0)
    taken = worker.take(1)
    server.die()
    try:
        with pytest.raises(UserError, match=r"refused.* for 0 s \(sweep.storage_timeout\)") as one:
            worker.tell(taken[0].number, 0.5)
        assert "\n" not in str(one.value)
        assert f"What was trained is in {tmp_path}" in str(one.value)
        with pytest.raises(UserError, match="refused"):
            worker.take(1)
    finally:
        server.come_back()
    worker._held[taken[0].number].release()  # as the system does when a process ends
    again = search(tmp_path, server.url())
    assert again.take(2)[0] == taken[0], "the job of these settings is finished, and is not redone"


def test_a_value_whose_receipt_was_lost_is_recorded_once(server: Server, tmp_path: Path) -> None:
    worker = search(tmp_path, server.url())
    (trial,) = worker.take(1)
    worker._tell(trial.number, 0.5)
    worker.tell(trial.number, 0.5)
    assert "1 complete of 2" in worker.report()


def test_a_take_that_broke_off_leaves_no_trial_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage goes away when one of two trials is taken, and the other has no owner yet."""
    worker = search(tmp_path)
    told, owned = [], optuna.Trial.set_user_attr

    def own(trial: optuna.Trial, key: str, value: object) -> None:
        told.append(trial.number)
        if len(told) == 2:
            raise storages.StorageAwayError("the connection ended")
        owned(trial, key, value)

    monkeypatch.setattr(optuna.Trial, "set_user_attr", own)
    assert [trial.number for trial in worker.take(2)] == [0, 1]
    assert told == [0, 1, 1], "the first is its own already"


def test_a_study_that_was_deleted_ends_the_search(server: Server, tmp_path: Path) -> None:
    worker = search(tmp_path, server.url())
    (trial,) = worker.take(1)
    optuna.delete_study(study_name=tmp_path.name, storage=worker._storage.optuna)
    with pytest.raises(UserError, match=r"the study is no longer in it.* trained is in"):
        worker.tell(trial.number, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"password": "wr0ng-0ne"}, "password authentication failed"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({"database": "postgres?sslmode=require"}, "server does not support SSL"),
        ({"database": "postgres?password=wr0ng-0ne", "password": ""}, "authentication failed"),
        ({"database": "postgres?nonsense=1"}, 'invalid connection option "nonsense"'),
        ({"user": "reader", "password": "e"}, "permission denied .*give its user the right"),
    ],
)
def test_a_server_that_lets_nobody_in_is_one_line_without_a_password(
    server: Server, tmp_path: Path, given: dict[str, str], message: str
) -> None:
    said = refused(tmp_path, server.url(**given))
    assert said.startswith(f"sweep.storage=postgresql://{given.get('user', 'me')}:***@")
    assert re.search(message, said)
    assert "wr0ng-0ne" not in said


def test_tables_that_another_session_locks_are_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "LOCK_SECONDS", 1)
    search(tmp_path, server.url())
    with server.session() as other:
        other.execute("LOCK TABLE studies")
        assert "another session holds a lock in it" in refused(tmp_path, server.url())


def test_a_host_that_answers_nothing_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}/x?connect_timeout=2"
        assert "timeout" in refused(tmp_path, f"postgresql://me:hid-den@{address}")


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("postgresql://me:hid-den@127.0.0.1:1/x", "refused|psycopg"),
        ("postgresql://me:hid-den@nowhere.invalid/x", "resolve host 'nowhere.invalid'|psycopg"),
        ("mysql+nothere://me:hid-den@h/x", r"no driver for it .*nothere"),
        ("nonsense", "sweep.storage is no URL"),
        ("postgresql://me:hid-den@h:port/x", "sweep.storage is no URL"),
        ("sqlite:////nowhere/at/all/study.db", "unable to open"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line(
    tmp_path: Path, storage: str, message: str
) -> None:
    said = refused(tmp_path, storage)
    assert re.search(message, said)
    assert "hid-den" not in said


@pytest.mark.parametrize("name", ["a #1?x=1", "50% {off}", "it's ${x}"])
def test_the_studys_file_lies_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert len(search(folder).take(2)) == 2
    assert (folder / "study.db").is_file()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("pragma", "undone", "message"),
    [
        ("query_only = 1", "query_only = 0", "attempt to write a readonly database"),
        ("max_page_count = 1", "max_page_count = 10000", "database or disk is full"),
    ],
)
def test_a_file_that_takes_nothing_now_gets_the_value_once_it_does(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    pragma: str,
    undone: str,
    message: str,
) -> None:
    worker = search(tmp_path)
    (trial,) = worker.take(1)
    states, tell_once = [pragma, pragma, undone], worker._tell

    @event.listens_for(worker._storage.optuna.engine, "connect")
    def change(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {states[0]}")

    def tell(number: int, value: float | None) -> None:
        try:
            for place in range(9):  # more than there is room for in the pages that the file has
                worker._study.set_user_attr(f"note {place}", "x" * 2000)
            tell_once(number, value)
        finally:
            states.pop(0)

    monkeypatch.setattr(worker, "_tell", tell)
    with caplog.at_level(logging.WARNING):
        worker.tell(trial.number, 0.5)
    assert message in caplog.records[0].getMessage()
    assert str(tmp_path / "study.db") in caplog.records[0].getMessage()
    states.append(undone)
    assert "1 complete" in worker.report()


def test_a_file_that_was_removed_ends_the_search(tmp_path: Path) -> None:
    worker = search(tmp_path)
    (trial,) = worker.take(1)
    worker._storage.optuna.engine.dispose()
    (tmp_path / "study.db").unlink()
    with pytest.raises(UserError, match="no such table"):
        worker.tell(trial.number, 0.5)
