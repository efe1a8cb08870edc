"""torchrun as docs/cluster.md shows it, on two machines that lose processes and each other."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.in_process import finish
from tests.machines import Machine, connected
from tests.running import ROOT, TINY, folder_data, last_weights, only_run

pytestmark = pytest.mark.slow

Machines = tuple[Machine, Machine]
WORKER = "src.training.execute"
AGENT = "torch.distributed.run"


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with connected() as both:
        yield both


def command(root: Path, *more: str, nodes: int = 2, restarts: int = 3) -> list[str]:
    """The command of docs/cluster.md."""
    page = (ROOT / "docs" / "cluster.md").read_text()
    assert "--rdzv-backend=c10d --rdzv-endpoint=first:29500 \\\n    --rdzv-id=isnet-1" in page
    return [
        *("-m", AGENT, f"--nnodes={nodes}", "--nproc-per-node=1", "--rdzv-backend=c10d"),
        *("--rdzv-endpoint=first:29500", "--rdzv-id=isnet-1", f"--max-restarts={restarts}"),
        "--monitor-interval=0.1",
        *(str(ROOT / "train.py"), *TINY, *folder_data(root), "trainer.num_nodes=2"),
        *("model.epochs=12", "callbacks.recent.steps=1", *more),
    ]


def wait_until(holds: Callable[[], object], said: Path, seconds: float = 280) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, said.read_text(errors="replace")
        time.sleep(0.02)


def end(processes: list[subprocess.Popen[bytes]], said: Path, code: int = 0) -> None:
    for process in processes:
        assert process.wait(timeout=280) == code, said.read_text(errors="replace")


@pytest.fixture(scope="module")
def unbroken(machines: Machines, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing happened to."""
    cwd = tmp_path_factory.mktemp("unbroken")
    said = cwd / "said"
    end([machine.start(command(root), cwd, said) for machine in machines], said)
    return only_run(cwd / "logs")


def test_two_machines_score_as_one_process(unbroken: Path, root: Path, tmp_path: Path) -> None:
    assert unbroken.name == "torchrun-isnet-1"
    assert json.loads((unbroken / "provenance.json").read_text())["images"] == {"test": 7}
    # 10 images, 2 processes, batches of 2: two steps an epoch.
    assert (unbroken / "checkpoints" / "recent-0000024.ckpt").is_file()
    words = [f"weights={unbroken}/checkpoints/best.ckpt", *folder_data(root), "metrics=standard"]
    alone = ["trainer.accelerator=cpu", "data.num_workers=0", f"output={tmp_path}/alone"]
    finish(["evaluate.py", *words, *alone], tmp_path)
    for name in ("results.json", "per_image.csv"):
        assert (tmp_path / "alone" / name).read_bytes() == (unbroken / name).read_bytes()


def test_a_run_survives_a_killed_worker_a_lost_host_and_a_lost_link(
    machines: Machines, unbroken: Path, root: Path, tmp_path: Path
) -> None:
    """Each time it goes on from its newest checkpoint, in the end to the unbroken run's weights."""
    first, second = machines
    said = tmp_path / "said"

    def steps() -> int:
        found = (tmp_path / "logs").glob("*/*/checkpoints/recent-*.ckpt")
        return max((int(path.stem.rpartition("-")[2]) for path in found), default=0)

    def start(*those: Machine) -> list[subprocess.Popen[bytes]]:
        return [machine.start(command(root), tmp_path, said) for machine in those]

    host, guest = start(first, second)
    wait_until(lambda: steps() >= 2, said)
    second.kill(WORKER)
    begun = steps()
    wait_until(lambda: steps() >= begun + 2, said)
    assert "the connection to another process of this run is lost" in said.read_text()

    first.kill(AGENT)  # the rendezvous and all that it knew
    end([guest], said, code=1)
    wait_until(lambda: not first.processes(WORKER), said)
    assert "stopped by a signal" in said.read_text(), "its worker saved and made room"
    host.wait()

    begun = steps()
    host, guest = start(first, second)
    wait_until(lambda: steps() >= begun + 2, said)
    before = len(said.read_text(errors="replace"))
    first.set_link("down")
    end([guest], said, code=1)  # after the kernel's time, which is short on these machines
    first.set_link("up")
    first.kill(AGENT)
    wait_until(lambda: not first.processes(WORKER), said)
    host.wait()
    assert "is lost" in said.read_text(errors="replace")[before:]

    assert steps() < 24, "there is something left to do"
    end(start(first, second), said)

    whole, broken = last_weights(unbroken), last_weights(only_run(tmp_path / "logs"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_other_machines_than_the_trainer_wants_are_one_line_before_training(
    machines: Machines, root: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    line = command(root, nodes=1, restarts=0)
    end([machines[0].start(line, tmp_path, said)], said, code=1)
    own, last = re.findall(r"error: torchrun .*$", said.read_text(), re.MULTILINE)
    assert "started 1 process on 1 node, but trainer.devices=1 × trainer.num_nodes=2 are 2" in own
    assert last == own, "torchrun's report repeats it"
    assert not list(tmp_path.glob("logs/*/*/config.yaml"))


@pytest.mark.parametrize("endpoint", ["nowhere:29500", "second:29500"])
def test_an_endpoint_that_nobody_reaches_ends_before_anything_is_started(
    machines: Machines, root: Path, tmp_path: Path, endpoint: str
) -> None:
    """As the page says; it is torchrun's own work."""
    said = tmp_path / "said"
    line = [word.replace("first:29500", endpoint) for word in command(root)]
    line.insert(2, "--rdzv-conf=read_timeout=2")
    end([machines[0].start(line, tmp_path, said)], said, code=1)
    assert (
        said.read_text()
        .splitlines()[-1]
        .startswith(
            "torch.distributed.elastic.rendezvous.api.RendezvousConnectionError: The connection"
        )
    )
    assert not (tmp_path / "logs").exists()
