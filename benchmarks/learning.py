"""What networks learn from 400 images in the same time, from nothing, on a CPU.

python -m benchmarks.learning --data FOLDER [--seconds 1200] [--size 160] [--seed 0]
    [--only NAME,NAME] [--output FOLDER]

FOLDER has `images` and `masks`, ECSSD's first 500. By name, the first four fifths are trained on
and the rest is scored; no image chooses a checkpoint: the last weights count, whatever they are.
Each variant is a run of `finecut train` with `trainer.max_time`, one after another, without
ImageNet weights and with flips alone, so that only network, loss and optimizer differ, and of the
two U²-Net-p only the sizes of the batches. Seconds are the clock's: the machine should do nothing
else; those of the CPU beside them say whether it did. Runs that are there are not made again.
"""

import argparse
import csv
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from src.datamodules.images import read_mask
from src.inference.segmenter import Segmenter
from src.metrics import score_pair, summarize

METRICS = ("s_measure", "mae", "max_f")
TRAINED = 0.8  # of the images
BATCH = 8
# Of the side: where batches have many sizes, with about the mean pixels of the one.
SCALES = (0.6, 0.8, 1.0, 1.2, 1.4)


class Variant(NamedTuple):
    """A network with its recipe.

    words: What `finecut train` is called with.
    many: Train at many sizes.
    scales: Parts of the side at which it is scored.
    """

    name: str
    words: tuple[str, ...]
    many: bool = False
    scales: tuple[float, ...] = (1.0,)


_FLIPS = "model.augment._target_=src.datamodules.augmentation.isnet"
_U2NETP = ("model=u2netp", _FLIPS, "~model.augment.fraction")
_RESNET = (
    *("model.network.backbone=resnet18", "model.network.pretrained=false", _FLIPS),
    *("optimizer=adamw", "optimizer.lr=3e-4", "lr_scheduler=constant", "model.param_groups=null"),
)
VARIANTS = {
    "u2netp": Variant("U²-Net-p", _U2NETP, scales=SCALES),
    "u2netp_many": Variant("U²-Net-p, many sizes", _U2NETP, many=True, scales=SCALES),
    "inspyrenet": Variant("InSPyReNet, ResNet-18", ("model=inspyrenet_res2net50", *_RESNET)),
    "birefnet": Variant("BiRefNet-lite, ResNet-18", ("model=birefnet_lite", *_RESNET)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images and masks")
    parser.add_argument("--seconds", type=int, default=1200, help="of each variant's training")
    parser.add_argument("--size", type=int, default=160, help="side of the images, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(VARIANTS), help="names of variants")
    parser.add_argument("--output", type=Path, default=Path("logs/learning"))
    arguments = parser.parse_args()
    output: Path = arguments.output.absolute()
    held_out = write_tables(arguments.data.expanduser().absolute(), output)
    rows = []
    for name in arguments.only.split(","):
        variant = VARIANTS[name]
        folder = output / f"{name}-{arguments.size}-{arguments.seconds}s-{arguments.seed}"
        cpu = train(variant, folder, output, arguments)
        checkpoint = newest(folder)
        steps = int(checkpoint.stem.rpartition("-")[2])
        for side in sorted({32 * round(scale * arguments.size / 32) for scale in variant.scales}):
            rows.append([variant.name, steps, cpu, side, *score(checkpoint, held_out, side)])
    show(rows, arguments.seconds, len(held_out))


def write_tables(data: Path, output: Path) -> list[tuple[Path, Path]]:
    """Write the tables of the two parts; the images and masks that are held out."""
    images = sorted(path for path in (data / "images").iterdir() if path.is_file())
    pairs = [(path, data / "masks" / f"{path.stem}.png") for path in images]
    trained = round(TRAINED * len(pairs))
    output.mkdir(parents=True, exist_ok=True)
    with (output / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "mask"), *pairs[:trained]])
    return pairs[trained:]


def train(variant: Variant, folder: Path, output: Path, arguments: argparse.Namespace) -> float:
    """Train a variant, unless it is trained; the seconds of CPU that it took."""
    taken = folder / "cpu_seconds"  # written when all is done
    if taken.is_file():
        print(f"{variant.name}: is in {folder}", file=sys.stderr)
        return float(taken.read_text())
    if folder.is_dir():  # was stopped: its time would not be that of the others
        shutil.rmtree(folder)
    minutes, seconds = divmod(arguments.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sides = [32 * round(scale * arguments.size / 32) for scale in SCALES]
    words = [
        *variant.words,
        *("data=csv", f"data.train.csv={output}/train.csv", "data.val_fraction=0", "test=false"),
        *(f"model.size={arguments.size}", f"model.batch_size={BATCH}", f"seed={arguments.seed}"),
        *("model.epochs=100000", "model.steps=-1", "val_check_interval=null"),
        *("model.patience=null", f"trainer.max_time=00:{hours:02}:{minutes:02}:{seconds:02}"),
        *("trainer.accelerator=cpu", "data.num_workers=0"),
        *("callbacks.recent.minutes=600", "callbacks.progress=null", f"hydra.run.dir={folder}"),
    ]
    if variant.many:
        words.append(f"multiscale=[{','.join(map(str, sides))}]")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "src", "train", *words], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    taken.write_text(f"{cpu}\n")
    return cpu


def newest(folder: Path) -> Path:
    """The last weights of a run, whose name has their step."""
    checkpoint = max((folder / "checkpoints").glob("recent-*.ckpt"), key=lambda path: path.name)
    return checkpoint


def score(checkpoint: Path, pairs: list[tuple[Path, Path]], side: int) -> list[float]:
    """The metrics of a checkpoint on the held-out pairs, its input `side` pixels a side."""
    segmenter = Segmenter.from_checkpoint(checkpoint, device="cpu", size=side)
    results = [score_pair(segmenter.mask(image), read_mask(mask), METRICS) for image, mask in pairs]
    found = summarize(results, METRICS)
    return [found[metric] for metric in METRICS]


def show(rows: list[list[object]], seconds: int, count: int) -> None:
    """Print the table."""
    print(f"\n{seconds} s of training each; scores of {count} held-out images at each side\n")
    print("| variant | steps | CPU s | side | " + " | ".join(METRICS) + " |")
    print("|---|---:|---:|---:|" + "---:|" * len(METRICS))
    for name, steps, cpu, side, *scores in rows:
        values = " | ".join(f"{value:.4f}" for value in scores)
        print(f"| {name} | {steps} | {cpu:.0f} | {side} | {values} |")


if __name__ == "__main__":
    main()
