"""Processes that torchrun started: who meets whom after a restart, and what a lost one is."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist

from src.errors import UserError, print_user_error
from src.training import rendezvous

SECONDS = timedelta(seconds=20)


def test_every_start_has_a_name_of_its_own_that_all_of_it_learn() -> None:
    """The store remembers the questions of an earlier start, two of whose processes are gone."""
    host = dist.TCPStore("127.0.0.1", 0, is_master=True, timeout=SECONDS, wait_for_workers=False)

    def client() -> dist.TCPStore:
        return dist.TCPStore("127.0.0.1", host.port, timeout=SECONDS, wait_for_workers=False)

    names = []
    for _ in range(2):
        with ThreadPoolExecutor() as pool:
            begun = pool.submit(rendezvous._begin, client(), 3, SECONDS)
            asked = [pool.submit(rendezvous._ask, client(), rank) for rank in (1, 2)]
            (name,) = {one.result() for one in (begun, *asked)}
        names.append(name)
    assert names[0] != names[1]


def test_a_process_that_does_not_come_is_named() -> None:
    store = dist.HashStore()
    with pytest.raises(dist.DistNetworkError, match="process 1 of 2 did not come in 0 s"):
        rendezvous._begin(store, 2, timedelta(0))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError(
                "[/w/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error [10.0.0.2]:24279:"
                " Connection reset by peer. This is typically caused by a remote worker hanging."
            ),
            "Read error [10.0.0.2]:24279: Connection reset by peer",
        ),
        (
            RuntimeError(
                "Gloo connectFullMesh failed with [/w/gloo/gloo/transport/tcp/pair.cc:152] timed"
                " out connecting: Connection refused"
            ),
            "Gloo connectFullMesh failed with timed out connecting: Connection refused",
        ),
        (dist.DistBackendError("NCCL error: remote process exited\nmore"), "NCCL error"),
        (RuntimeError("Error(s) in loading state_dict for gloomy"), None),
        (ValueError("[gloo/transport/tcp/pair.cc:1] it is not torch's"), None),
    ],
)
def test_an_error_of_a_connection_is_told_from_others(error: Exception, said: str | None) -> None:
    found = rendezvous.lost_connection(error)
    assert found is None if said is None else found is not None and found.startswith(said)


def test_an_error_is_handed_to_torchrun_for_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(report))
    assert print_user_error(UserError("too few images")) == 1
    assert json.loads(report.read_text())["message"] == "error: too few images"
    assert capsys.readouterr().err == "error: too few images\n"
