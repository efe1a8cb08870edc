"""What starting costs: CPU seconds and memory of the commands that people type all day.

python -m benchmarks.startup

Each command runs three times; the fastest counts. Beside them the price of importing, in one
process, what an entry point written the plain way imports first. This process itself stays small:
Linux counts the memory of a parent to its children.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

REPEAT = 3
PREPARE = """
import cv2, numpy, sys, torch
from src.inference.model_spec import named
torch.save(named("u2netp").build().state_dict(), sys.argv[1])
noise = numpy.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=numpy.uint8)
cv2.imwrite(sys.argv[2], noise)
"""
EAGER = "import hydra, torch, lightning, timm, albumentations, torchmetrics, wandb"


def main() -> None:
    print("| command | CPU seconds | memory, MiB |\n| :--- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        weights, photo = Path(folder) / "weights.pth", Path(folder) / "photo.jpg"
        subprocess.run([sys.executable, "-c", PREPARE, str(weights), str(photo)], check=True)
        predict = ["model=u2netp", f"weights={weights}", f"input={photo}"]
        commands = {
            **{
                f"finecut {' '.join(words)}": ["-m", "src", *words]
                for words in (
                    ["--help"],
                    *([name, "--help"] for name in ("train", "evaluate", "predict", "check")),
                    *([name, "--help"] for name in ("table", "data", "models")),
                    ["models"],
                )
            },
            "train.py --cfg job": ["train.py", "--cfg", "job", "model=isnet", "data=dis5k"],
            "predict.py to the first mask": [
                "predict.py",
                *predict,
                f"output={folder}/masks",
                "device=cpu",
            ],
            "importing torch alone": ["-c", "import torch"],
            "importing everything at once": ["-c", EAGER],
        }
        for name, command in commands.items():
            seconds, memory = cost([sys.executable, *command])
            print(f"| {name} | {seconds:.2f} | {memory:.0f} |", flush=True)


def cost(command: list[str]) -> tuple[float, float]:
    """CPU seconds of the fastest call, user and system, and its peak memory in MiB."""
    best, memory = float("inf"), 0.0
    for _ in range(REPEAT):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        spent: resource.struct_rusage = usage
        best = min(best, spent.ru_utime + spent.ru_stime)
        memory = spent.ru_maxrss / 1024
    return best, memory


if __name__ == "__main__":
    main()
