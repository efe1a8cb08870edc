"""Where a study is kept: a file of any name, or a PostgreSQL server that workers share."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.distributions import IntDistribution

from src.errors import UserError
from src.sweeps.search import Search

SPACE = {"seed": IntDistribution(0, 9)}
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def search(folder: Path, storage: str | None = None) -> Search:
    return Search(folder, SPACE, trials=2, storage=storage, study="one")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server of this test's own, whose user `me` has a password."""
    if not SERVERS:
        pytest.skip("PostgreSQL is not installed")
    programs, owner = SERVERS[-1], []
    # Not among pytest's folders, which are root's alone.
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        if os.getuid() == 0:  # it refuses to run as root
            if shutil.which("runuser") is None:
                pytest.skip("PostgreSQL does not run as root")
            owner = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        (folder / "password").write_text("s{e}cr@t\n")
        (folder / "password").chmod(0o644)
        data = folder / "data"
        make = ["-D", data, "-U", "me", "--pwfile", folder / "password", "-A", "scram-sha-256"]
        subprocess.run([*owner, programs / "initdb", *make], check=True, capture_output=True)
        options = f"-p {port} -h 127.0.0.1 -k {folder} -F"
        start = ["-D", data, "-w", "-l", folder / "log", "-o", options, "start"]
        subprocess.run([*owner, programs / "pg_ctl", *start], check=True, stdout=subprocess.DEVNULL)
        try:
            yield f"127.0.0.1:{port}/postgres"
        finally:
            stop = ["-D", data, "-m", "immediate", "stop"]
            subprocess.run([*owner, programs / "pg_ctl", *stop], check=True, capture_output=True)


def test_a_study_of_a_server_is_shared_and_continued(server: str, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    address = f"postgresql://me:s%7Be%7Dcr%40t@{server}"
    one, other = (search(tmp_path / "shared", address) for _ in range(2))
    (first,), (second,) = one.take(1), other.take(1)
    assert (first.number, second.number) == (0, 1)
    one.tell(0, 0.5)
    other.tell(1, None)
    assert one.report() == "study one: 1 complete, 1 fail of 2 trials"
    assert search(tmp_path / "shared", address).take(1) == []


def test_a_wrong_password_is_one_line_without_it(server: str, tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match=r"^sweep.storage=\S+me:[*]{3}@") as caught:
        search(tmp_path, f"postgresql://me:wr0ng-0ne@{server}")
    assert "password authentication failed" in str(caught.value)
    assert "wr0ng-0ne" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("postgresql://me:hid-den@127.0.0.1:1/x", "refused|psycopg"),
        ("mysql+nothere://me:hid-den@h/x", r"no driver for it .*nothere"),
        ("nonsense", "sweep.storage is no URL"),
        ("sqlite:////nowhere/at/all/study.db", "unable to open"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line(
    tmp_path: Path, storage: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        search(tmp_path, storage)
    assert "\n" not in str(caught.value)
    assert "hid-den" not in str(caught.value)


@pytest.mark.parametrize("name", ["a #1?x=1", "50% {off}", "it's ${x}"])
def test_the_studys_file_lies_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    assert len(search(folder).take(2)) == 2
    assert (folder / "study.db").is_file()
    assert len(list(tmp_path.iterdir())) == 1
