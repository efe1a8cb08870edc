"""A SLURM of three nodes on this machine: real daemons, all in one folder, gone with it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from src.processes import die_with_parent
from tests.running import ROOT

from . import ending
from .ending import kill, processes_of

# Enough for a machine with other work to do; what is waited for takes seconds on a quiet one.
_BETWEEN = 3.0  # seconds that a requeued job waits, instead of SLURM's 120
_PATIENCE = 900
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
# A node promises more than the machine has, as if it were one of a cluster.
_NODE = (
    "NodeName={node} NodeHostname={node} NodeAddr=127.0.0.1 Port={port} CPUs=64 RealMemory=256000\n"
)
_SETTINGS = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmUser=root
SlurmdUser=root
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
MessageTimeout=60
MinJobAge=3600
ReturnToService=2
{nodes}PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    # slurmd and the others are where only root looks for programs.
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no SLURM is installed: {', '.join(absent)}"
    return "" if os.geteuid() == 0 else "only root can start SLURM's daemons"


class Cluster:
    """Nodes that run jobs; `with running()` starts and ends them.

    Attributes:
        nodes: Names. The first is this machine's own, which the others have to resolve.
        settings: Path of slurm.conf, by which SLURM's commands find the cluster.
        variables: The environment for commands that shall find it.
    """

    def __init__(self, folder: Path) -> None:
        host = socket.gethostname().partition(".")[0]
        # A job of two nodes gets the first two; the third is there for it when one is killed. (One
        # that returns at once may still answer for the job that ran on it: SLURM waits minutes.)
        self.folder, self.nodes = folder, (host, f"{host}-second", f"{host}-third")
        self.settings = str(folder / "slurm.conf")
        port, *ports = _free_ports(1 + len(self.nodes))
        nodes = zip(self.nodes, ports, strict=True)
        lines = [_NODE.format(node=node, port=number) for node, number in nodes]
        text = _SETTINGS.format(host=host, folder=folder, port=port, nodes="".join(lines))
        Path(self.settings).write_text(text)
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
            "PATH": _path(),
            "SLURM_CONF": self.settings,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._ending: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start all daemons and wait until all nodes take jobs."""
        self._ending = subprocess.Popen(
            [sys.executable, ending.__file__, self.settings], stdin=subprocess.PIPE
        )
        (self.folder / "state").mkdir()
        munge = self.folder / "munge"
        munge.mkdir(mode=0o755)
        (munge / "key").write_bytes(os.urandom(128))
        (munge / "key").chmod(0o400)
        options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        paths = [f"--{name}={munge / file}" for name, file in options.items()]
        self._begin("munged", "munged", "--foreground", *paths)
        self.wait_until((munge / "socket").exists, "munged listens")
        self._begin("slurmctld", "slurmctld", "-D", "-i")
        for node in self.nodes:
            self.start_node(node)

    def start_node(self, node: str) -> None:
        """Start a node's daemon, and wait until the node takes jobs."""
        # What its children are known by: SLURM gives tasks the variable, not slurmstepd.
        self._begin(node, "slurmd", "-D", "-N", node, SLURMD_NODENAME=node)

        def idle() -> bool:
            done = self._run("sinfo", "--noheader", f"--nodes={node}", "--format=%T")
            return done.returncode == 0 and done.stdout.strip() in ("idle", "mixed", "allocated")

        self.wait_until(idle, f"{node} takes jobs")

    def kill_node(self, node: str) -> None:
        """End a node as a power cut does, with all that runs on it, and tell SLURM of it."""
        self._daemons[node].kill()
        self._daemons.pop(node).wait()
        here, processes = f"SLURMD_NODENAME={node}".encode(), processes_of(self.settings)
        kill([process for process, variables in processes.items() if here in variables])
        self.command("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=killed")

    def end(self) -> None:
        """End all jobs and daemons, and whatever they have left."""
        if self._ending is not None:
            self._ending.communicate()
        for daemon in self._daemons.values():
            daemon.wait()

    def command(self, *words: str) -> str:
        """What one of SLURM's commands prints; it has to end well."""
        done = self._run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, script: str, cwd: Path) -> str:
        """Hand a batch script in, its output to `<cwd>/<job>.log`; return the job's number."""
        (cwd / "script").write_text(script)
        words = ("sbatch", "--parsable", f"--chdir={cwd}", "--output=%A.log", "--open-mode=append")
        return self.command(*words, str(cwd / "script")).strip()

    def state(self, job: str) -> str:
        """PENDING, RUNNING, COMPLETED, …; several states where tasks of an array differ."""
        return " ".join(sorted(set(self._shown(job, "JobState"))))

    def output(self, job: str) -> str:
        """What a job has printed so far."""
        paths = {Path(name) for name in self._shown(job, "StdOut")}
        return "\n".join(path.read_text(errors="replace") for path in paths if path.exists())

    def wait_for(self, job: str, state: str) -> None:
        """Wait until a job is in a state; after a requeue it need not wait for its turn."""
        final = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"}
        pending_since: list[float] = []

        def reached() -> bool:
            now = self.state(job)
            if now == state or "PENDING" not in now:
                pending_since.clear()
            elif not pending_since:
                pending_since.append(time.monotonic())
            # A node takes a job that begins within a second or two of its end for the ended one.
            elif time.monotonic() - pending_since[0] > _BETWEEN:
                self._run("scontrol", "update", f"JobId={job}", "StartTime=now")
            ended = final.intersection(now.split()) - {state}
            assert not ended, f"job {job} is {now}\n{self.output(job)}\n{self.logs()}"
            return now == state

        self.wait_until(reached, f"job {job} is {state}")

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something, with all logs in the error if it does not come."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}\n{self.logs()}"
            for name, daemon in self._daemons.items():
                assert daemon.poll() is None, f"{name} ended\n{self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        """The ends of what the daemons have written."""
        texts = {path.name: path.read_text(errors="replace") for path in self.folder.glob("*.log")}
        return "\n".join(f"== {name}\n{text[-3000:]}" for name, text in sorted(texts.items()))

    def _begin(self, name: str, *command: str, **variables: str) -> None:
        with (self.folder / f"{name}.out.log").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                command,
                env=self.variables | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=die_with_parent,
            )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )

    def _shown(self, job: str, field: str) -> list[str]:
        text = self.command("scontrol", "--oneliner", "show", "job", job)
        words = [word for line in text.splitlines() for word in line.split()]
        return [word.partition("=")[2] for word in words if word.startswith(f"{field}=")]


@contextmanager
def running() -> Iterator[Cluster]:
    """A cluster that has started."""
    # Sockets have short names, shorter than pytest's folders.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        Path(folder).chmod(0o755)  # munged wants its socket to be in reach of all users
        cluster = Cluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.end()


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
