"""The batch scripts of docs/cluster.md, with commands that take seconds."""

import re
import shlex
import sys
from pathlib import Path

from tests.running import ROOT

_TRAIN = shlex.join(["python", str(ROOT / "train.py")])


def run_script(words: list[str], nodes: int = 2) -> str:
    """The script of a run on several nodes, of one task each, without GPUs."""
    text = _block(r"#!/bin/bash\n")
    return _replaced(
        text,
        (r"#SBATCH --gpus-per-node=.*\n", ""),
        (r"--nodes=\d+", f"--nodes={nodes}"),
        (r"--ntasks-per-node=\d+", "--ntasks-per-node=1"),
        (r"--cpus-per-task=\d+", "--cpus-per-task=1"),
        (r"source .*", f"export PATH={Path(sys.executable).parent}:$PATH"),
        (r"python train.py(.*\\\n)*.*", f"{_TRAIN} {shlex.join(words)}"),
    )


def search_script(words: list[str], workers: int) -> str:
    """The script of an array whose tasks each take one trial of a search after another."""
    text = _block(r"#SBATCH --array")
    body = _replaced(
        text,
        (r"--array=\S+", f"--array=0-{workers - 1}"),
        (r"#SBATCH --gpus=.*\n", ""),
        (r"python train.py(.*\\\n)*.*", f"{_TRAIN} {shlex.join(words)}"),
    )
    return f"#!/bin/bash\n{body}".replace(
        "srun", f"export PATH={Path(sys.executable).parent}:$PATH\nsrun", 1
    )


def _block(start: str) -> str:
    text = (ROOT / "docs/cluster.md").read_text()
    found = re.search(rf"```sh\n({start}.*?)```", text, re.DOTALL)
    assert found, start
    return found[1]


def _replaced(text: str, *pairs: tuple[str, str]) -> str:
    for pattern, new in pairs:
        text, found = re.subn(pattern, lambda _, new=new: new, text)
        assert found == 1, pattern
    return text
