"""A PostgreSQL server of a test's own, which can die and come back."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s{e}cr@t"
_IN_URL = "s%7Be%7Dcr%40t"
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Server:
    """A server on a port of the loopback address, whose user `me` has a password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._owner: list[str] = []
        if os.getuid() == 0:  # it refuses to run as root
            if shutil.which("runuser") is None:
                pytest.skip("PostgreSQL does not run as root")
            self._owner = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "password"
        secret.write_text(PASSWORD + "\n")
        secret.chmod(0o644)
        self._run("initdb", "-U", "me", "--pwfile", secret, "-A", "scram-sha-256", "--no-sync")
        self._run("pg_ctl", "-w", "-l", folder / "log", "-o", self._options(), "start")

    def url(self, user: str = "me", password: str = _IN_URL, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def session(self) -> Any:
        """A connection of the databases' owner, which a `with` ends."""
        import psycopg

        address = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        return psycopg.connect(user="me", password=PASSWORD, **address)

    def sql(self, *statements: str) -> None:
        """Carry statements out, each for itself."""
        with self.session() as session:
            session.autocommit = True
            for statement in statements:
                session.execute(statement)

    def die(self) -> None:
        """End at once, as a server does whose machine loses its power."""
        self._run("pg_ctl", "-m", "immediate", "stop")

    def come_back(self) -> None:
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", self._options(), "start")

    def _options(self) -> str:
        return f"-p {self.port} -h 127.0.0.1 -k {self.folder} -F"

    def _run(self, program: str, *words: str | Path) -> None:
        command = [*self._owner, _PROGRAMS[-1] / program, "-D", self.folder / "data", *words]
        subprocess.run(
            command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )


@contextmanager
def started() -> Iterator[Server]:
    """Start a server, skip where PostgreSQL or its driver is missing, and end it."""
    pytest.importorskip("psycopg")
    if not _PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    # Not among pytest's folders, which are root's alone.
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test may have ended it
                server.die()
