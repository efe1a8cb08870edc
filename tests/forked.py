"""Processes that have torch imported when they start.

`python train.py …` spends seconds of CPU time on imports before it does anything. `Process` starts
one without them: it is forked from a server that has imported what the commands need, and has done
nothing else. Else it is a process as any other: its parent is who started it, its files, signals,
limits and exit code are its own, and processes of Python that it starts come about in the same way
(the ranks of a training, the jobs of a sweep).

Each process has a server as its child, which forks twice, so that the kernel gives what it forked
to that process (`PR_SET_CHILD_SUBREAPER`). Only Linux can do so; elsewhere nothing is forked.
"""

import atexit
import ctypes
import gc
import importlib
import io
import os
import pickle
import random
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]

# Nothing of ours: a process imports the project that it is started in. Not timm either: it imports
# W&B, whose temporary folder the first process to end would remove for all others.
_IMPORTED = (
    "albumentations",
    "cv2",
    "huggingface_hub",
    "hydra._internal.hydra",
    "lightning",
    "matplotlib.figure",
    "numba.core.registry",
    "rich.progress",
    "torch.utils.data",
    "torchmetrics",
)
_RENAME, _SUBREAPER = 15, 36  # PR_SET_NAME, PR_SET_CHILD_SUBREAPER
_NAME = "fork-server"
_LENGTH = 8  # bytes
_LIMITS = (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)


@dataclass(frozen=True)
class _Request:
    """What a process is to run, and what it inherits from the one that starts it."""

    words: Sequence[str]  # behind `python`
    cwd: str
    environment: dict[str, str]
    umask: int
    limits: dict[int, tuple[int, int]]
    parent: int
    before: bytes  # a pickled function, called there; its module is none of the server's


class Process(subprocess.Popen[Any]):
    """`subprocess.Popen`, which forks where the command is one of this project's."""

    def _execute_child(self, *given: Any) -> None:
        (args, executable, before, _, pass_fds, cwd, environment, *_) = given
        reads, writes, errors = given[10:12], given[12:14], given[14:16]
        shell, new_session = given[9], given[21]
        plain = not (executable or pass_fds or shell or new_session)
        server = _server() if plain and _is_ours(args) else None
        if server is None:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        request = _Request(
            words=[os.fspath(word) for word in args[1:]],
            cwd=os.path.abspath(cwd or "."),  # noqa: PTH100 - may be missing
            environment=dict(os.environ if environment is None else environment),
            umask=os.umask(0),
            limits={limit: resource.getrlimit(limit) for limit in _LIMITS},
            parent=os.getpid(),
            before=pickle.dumps(before),
        )
        os.umask(request.umask)
        files = [
            given_to if given_to != -1 else standard
            for given_to, standard in ((reads[0], 0), (writes[1], 1), (errors[1], 2))
        ]
        self.pid = _ask(server, request, files)
        self._child_created = True
        self._close_pipe_fds(*reads, *writes, *errors)  # type: ignore[attr-defined]


def _is_ours(args: Any) -> bool:
    if isinstance(args, str) or len(args) < 2 or args[0] != sys.executable:
        return False
    if args[1] == "-m":
        return str(args[2]).split(".")[0] == "src"
    return str(args[1]).endswith(".py")


class _State:
    """The server of this process."""

    owner = 0
    process: subprocess.Popen[bytes] | None = None
    server: socket.socket | None = None


def _server() -> socket.socket | None:
    """The server of this process, which is started when first asked for; None if there is none."""
    if _State.owner != os.getpid() and sys.platform == "linux":
        ours, theirs = socket.socketpair()
        own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        _State.process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            cwd=ROOT,
            env=os.environ | own,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        _State.owner, _State.server = os.getpid(), ours
    return _State.server


def is_server(pid: int) -> bool:
    """Whether a process is the server of its parent."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip() == _NAME
    return False


def _rename(name: str) -> None:
    ctypes.CDLL(None).prctl(_RENAME, name.encode(), 0, 0, 0)


@contextmanager
def _orphans_are_ours() -> Iterator[None]:
    """Context in which this process becomes the parent of what its server forks.

    Not for longer: whatever a killed process leaves would be this one's too, and never be gone.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, 0, 0, 0, 0)


def _ask(server: socket.socket, request: _Request, files: list[int]) -> int:
    """Have the server fork; return the number of the new process, a child of this one."""
    written = pickle.dumps(request)
    with _orphans_are_ours():
        socket.send_fds(server, [len(written).to_bytes(_LENGTH, "little")], files)
        server.sendall(written)
        number = server.recv(_LENGTH, socket.MSG_WAITALL)
    if not number:
        raise ChildProcessError("the server of processes has ended")
    return int.from_bytes(number, "little")


def _serve(connection: socket.socket) -> _Request:
    """Fork a process for each request; returns in those processes only."""
    while True:
        length, files, _, _ = socket.recv_fds(connection, _LENGTH, 3)
        if not length:
            os._exit(0)
        written = connection.recv(int.from_bytes(length, "little"), socket.MSG_WAITALL)
        request: _Request = pickle.loads(written)
        reads, writes = os.pipe()
        between = os.fork()
        if between == 0:
            if child := os.fork():
                os.write(writes, child.to_bytes(_LENGTH, "little"))
                os._exit(0)
            connection.detach()  # which is closed with all others
            _inherit(request, files)
            return request
        os.waitpid(between, 0)  # from here on the new process has its parent
        connection.sendall(os.read(reads, _LENGTH))
        for file in (*files, reads, writes):
            os.close(file)


def _inherit(request: _Request, files: list[int]) -> None:
    """Take over what a process has from the one that started it."""
    while os.getppid() != request.parent:
        time.sleep(0.001)  # until the process between has ended
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for limit, values in request.limits.items():
        resource.setrlimit(limit, values)
    os.umask(request.umask)
    # Streams know from their start whether they can be sought in.
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stdout, sys.stderr = _writer(1), _writer(2, line_buffering=True, errors="backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _writer(file: int, **options: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(file, "w", closefd=False)), **options)


class _Replaced(BaseException):
    """The command wants another program in its place."""

    def __init__(self, words: list[str]) -> None:
        super().__init__()
        self.words = words


def _replace(path: str, command: list[str]) -> NoReturn:
    if path == sys.executable and _is_ours(command):
        raise _Replaced(command[1:])
    _execv(path, command)


_execv = os.execv


def _run(words: Sequence[str]) -> None:
    """What `python` does with its arguments."""
    if words[0] == "-m":
        sys.argv, sys.path[0] = list(words[1:]), str(Path.cwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = list(words), str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


def _forget() -> None:
    """What another program in a process's place finds: no log, and no answers to signals."""
    logging = sys.modules["logging"]
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) and number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)


def main(connection: socket.socket) -> None:
    """Import, then serve; in each process that is forked, run what it is to run."""
    installed = [path for path in sys.path if path not in ("", str(ROOT))]
    for name in _IMPORTED:
        importlib.import_module(name)
    sys.modules["numba.core.registry"].cpu_target.target_context.refresh()  # imports, with LLVM
    gc.collect()
    gc.freeze()
    _rename(_NAME)
    while True:
        request = _serve(connection)
        _State.server, connection = socket.socketpair()
        if os.fork():
            break
        _State.server.close()  # in the server of the new process
        with Path(os.devnull).open("r+b") as nothing:
            for number in range(3):
                os.dup2(nothing.fileno(), number)
    connection.close()  # the other end of the server's
    _rename("python")
    _State.owner = os.getpid()
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = ["", *(path for path in given if path), *installed]
    importlib.invalidate_caches()
    random.seed()
    sys.modules["numpy"].random.seed()
    subprocess.Popen = Process  # type: ignore[misc]
    os.execv = _replace  # type: ignore[assignment]
    if before := pickle.loads(request.before):
        before()
    _end(_carry_out(request.words))


def _carry_out(words: Sequence[str]) -> int:
    """Run a program, and those that it wants in its place; return the exit code."""
    filters = warnings.filters[:]
    while True:
        try:
            _run(words)
            return 0
        except _Replaced as replaced:
            words = replaced.words
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            return 1
        _forget()
        warnings.filters[:] = filters  # type: ignore[index]


def _end(code: int) -> NoReturn:
    """End as Python does, but for two seconds in which it takes apart what it has imported."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError):
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    from tests import forked  # as the processes and their requests know it

    forked.main(socket.socket(fileno=int(sys.argv[1])))
