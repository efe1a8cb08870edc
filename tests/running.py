"""Runs the commands as a user does, on data small enough for seconds."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from omegaconf import DictConfig

from src.composition import drop_training

from .forked import Process

ROOT = Path(__file__).parents[1]

# A network and a setting that train in seconds on one core.
TINY = [
    "model=u2netp",
    "model.size=32",
    "model.batch_size=2",
    "model.epochs=2",
    "model.steps=-1",
    "model.val_check_interval=null",
    "data.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.log_every_n_steps=1",
    "callbacks.progress=null",
]


def write_pairs(folder: Path, count: int, seed: int = 0) -> None:
    """Pictures of a bright disc on noise and their masks, in sizes that differ."""
    rng = np.random.default_rng(seed)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        height, width = 40 + 3 * (i % 4), 56 - 5 * (i % 3)
        mask = np.zeros((height, width), np.uint8)
        center = (int(rng.integers(15, width - 15)), int(rng.integers(15, height - 15)))
        cv2.circle(mask, center, int(rng.integers(6, 13)), 255, -1)
        noise = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
        image = np.where(mask[..., None] > 0, noise + 150, noise).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"picture{i}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"picture{i}.png"), mask)


def folder_data(root: Path) -> list[str]:
    """Overrides that train on `root/train` and validate and test on `root/test`."""
    return [
        "data=folder",
        f"data.root={root}",
        *(
            f"data.{use}.{kind}={part}/{kind}"
            for use, part in (("train", "train"), ("val", "test"), ("test", "test"))
            for kind in ("images", "masks")
        ),
        f"data.cache_dir={root}/cache",
    ]


def start(
    script: str, overrides: Sequence[str], cwd: Path, **variables: str
) -> subprocess.Popen[str]:
    """Start a script, or with `-m` a module, in `cwd`, with environment variables added.

    It has imported torch already (`tests/forked.py`).
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        environment.pop(name, None)
    environment |= variables
    return Process(
        [sys.executable, script if script == "-m" else str(ROOT / script), *overrides],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(script: str, overrides: Sequence[str], cwd: Path, code: int = 0) -> str:
    """Run a command to its end, check its exit code and return what it printed."""
    process = start(script, overrides, cwd)
    output, _ = process.communicate(timeout=280)
    assert process.returncode == code, output
    return output


def only_run(logs: Path) -> Path:
    """The one run folder below `logs`."""
    (config,) = logs.glob("*/*/config.yaml")
    return config.parent


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights at the end of training."""
    return weights(sorted((folder / "checkpoints").glob("recent-*.ckpt"))[-1])


def without_training(cfg: DictConfig) -> DictConfig:
    """A composed config as `src.composition` hands it to a command that trains nothing."""
    drop_training(cfg)
    return cfg
