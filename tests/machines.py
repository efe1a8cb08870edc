"""Two machines for a test: network namespaces of this one, with host names and a cable between."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.running import ROOT

NAMES = ("first", "second")
_CABLE = "cable"


class Machine:
    """A host name, a network, and the files of all machines."""

    def __init__(self, name: str, namespace: str, hosts: Path) -> None:
        self.name, self.namespace, self.hosts = name, namespace, hosts
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, words: Sequence[str], cwd: Path, output: Path) -> subprocess.Popen[bytes]:
        """Start a Python program here; what it prints goes to the end of a file."""
        enter = (
            f"mount --bind '{self.hosts}' /etc/hosts &&"
            f' echo {self.name} > /proc/sys/kernel/hostname && exec "$@"'
        )
        own = ["unshare", "--uts", "--mount", "sh", "-c", enter, "sh"]
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PYTEST_"))},
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        with output.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *own, sys.executable, *words],
                cwd=cwd,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self._started.append(process)
        return process

    def processes(self, of: str) -> list[int]:
        """Processes of this machine whose command line has a word, the oldest first."""
        listed = _ip("netns", "pids", self.namespace).split()
        return sorted(int(pid) for pid in listed if of in _words(int(pid)))

    def kill(self, of: str) -> None:
        """End processes at once, by their command line."""
        for pid in self.processes(of):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing running."""
        listed = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True)
        for pid in map(int, listed.stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._started:
            process.wait()
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True)

    def set_link(self, state: str) -> None:
        _ip("-n", self.namespace, "link", "set", _CABLE, state)


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def connected() -> Iterator[tuple[Machine, Machine]]:
    """Set two machines up that reach each other by name; skip where the system forbids it."""
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hosts = folder / "hosts"
        known = [f"10.77.0.{n} {host}" for n, host in enumerate(NAMES, 1)]
        hosts.write_text("\n".join(["127.0.0.1 localhost", *known]) + "\n")
        first, second = (Machine(host, f"finecut-{os.getpid()}-{host}", hosts) for host in NAMES)
        try:
            try:
                _connect(first, second)
                probe = first.start(["-c", "pass"], folder, folder / "probe")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
            if probe.wait():
                pytest.skip(f"no machine of its own here: {(folder / 'probe').read_text()}")
            yield first, second
        finally:
            first.end()
            second.end()


def _connect(first: Machine, second: Machine) -> None:
    for machine in (first, second):
        _ip("netns", "add", machine.namespace)
        _ip("-n", machine.namespace, "link", "set", "lo", "up")
    ends = [[_CABLE, "netns", machine.namespace] for machine in (first, second)]
    _ip("link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
    for n, machine in enumerate((first, second), 1):
        _ip("-n", machine.namespace, "addr", "add", f"10.77.0.{n}/24", "dev", _CABLE)
        machine.set_link("up")
        # What Linux tries for a quarter of an hour is given up after seconds.
        patience = "echo 4 > /proc/sys/net/ipv4/tcp_retries2"
        _ip("netns", "exec", machine.namespace, "sh", "-c", patience)
