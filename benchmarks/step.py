"""A training step of ours beside a plain loop written the way the originals write it.

python -m benchmarks.step [--models isnet,u2netp,inspyrenet_swinb] [--steps 20] [--full]
    [--device cuda] [--precision bf16-mixed] [--compile | --graphs] [--peak TFLOPS]

Both train the same network from the same weights on the same files in the same order. The plain
loop reads with scikit-image and resizes with torch in its worker, keeps tensors NCHW, makes
probabilities and takes their cross entropy, zeroes gradients in place and reads the loss after
every step. Ours is `train.py`: its data module, its module and Lightning's loop. Each runs in a
process of its own, with the environment that `train.py` gives it; seconds are the clock's, so the
machine should do nothing else. "Waiting" is the share of the time in which the device had nothing
to do since the next batch was not there; in the plain loop, its copy to the device is part of it.
"Peak" is what forward and twice as much backward, by PyTorch's counter, are of the peak that the
same process measures (`limits.py`), or of the one given.
"""

import argparse
import copy
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from lightning import Callback, Trainer
from lightning.pytorch.profilers import Profiler
from omegaconf import DictConfig
from skimage import io
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from src.datamodules.pairs import ImageMaskPair
from src.datamodules.samplers import TrainSampler
from src.engines.engine_network import drawn_input
from src.engines.parity import difference, gray_levels
from src.inference.devices import autocast
from src.networks.network import Output
from src.networks.summary import count_flops
from src.training.config import register
from src.training.execute import build, build_module

from .data import write_files
from .limits import peak, wait

# Side and batch: small enough for a CPU, and as in the papers.
SMALL = {
    "isnet": (256, 2),
    "u2netp": (160, 4),
    "inspyrenet_swinb": (192, 1),
    "dextr": (128, 2),
    "birefnet": (128, 2),
}
CLICKED = {"dextr"}
FULL = {
    "isnet": (1024, 8),
    "u2netp": (320, 12),
    "inspyrenet_swinb": (384, 6),
    "inspyrenet_swinb_1024": (1024, 1),
    "dextr": (512, 5),
    "birefnet": (1024, 4),
}
# Stand-ins of the same code that take no time, for a test.
TINY_SIDE, TINY_BATCH = 32, 2
TINY = {
    "isnet": ["model.network.width=4"],
    "inspyrenet_swinb": ["model.network.backbone=test_resnet", "+model.network.depth=8"],
    "dextr": ["model.network.backbone=resnet18", "data.train.images=4", "data.train.size=96"],
    "birefnet": ["model.network.backbone=test_resnet"],
}
# What networks in half precision are compared by.
BF16 = "bf16-mixed"


def main() -> None:
    arguments = parser().parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments)))
        return
    print(
        "| model | loop | samples/s | memory, MiB | loss: first | last | ratio | waiting | peak |"
    )
    print("| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder))
        for model in arguments.models.split(","):
            compare(model, Path(folder))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="isnet,u2netp,inspyrenet_swinb")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=2, help="first steps, which are not timed")
    parser.add_argument("--full", action="store_true", help="sizes and batches of the papers")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", default="32-true", help="of ours; the plain loop is fp32")
    parser.add_argument("--compile", action="store_true", help="ours through torch.compile")
    parser.add_argument("--graphs", action="store_true", help="the same, in CUDA graphs")
    parser.add_argument("--peak", type=float, help="of the device in this precision, TFLOP/s")
    parser.add_argument("--side", choices=["plain", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    return parser


def write_folder(folder: Path, count: int = 16, side: int = 800) -> None:
    """Drawn pictures with their masks, as a folder of data."""
    for pair in write_files(folder, count, side):
        for kind, file in (("images", pair.image), ("masks", pair.mask)):
            (folder / kind).mkdir(exist_ok=True)
            file.rename(folder / kind / file.name)


def compare(model: str, folder: Path) -> None:
    """Print a model's two rows."""
    results = {}
    for side in ("plain", "ours"):
        command = [sys.executable, "-m", "benchmarks.step", *sys.argv[1:], "--side", side]
        command += ["--models", model, "--folder", str(folder)]
        environment = os.environ | environment_of(side)
        output = subprocess.check_output(command, text=True, env=environment)
        results[side] = json.loads(output.splitlines()[-1])
    for side, row in results.items():
        print(
            f"| {model} | {side} | {row['samples']:.2f} | {row['memory']:.0f} "
            f"| {row['first']:.4f} | {row['last']:.4f} "
            f"| {row['samples'] / results['plain']['samples']:.2f} | {row['waiting']:.0%} "
            f"| {row['share']:.0%} |",
            flush=True,
        )


def environment_of(side: str) -> dict[str, str]:
    """What `train.py` sets for itself and the originals do not."""
    return {"OMP_WAIT_POLICY": "PASSIVE"} if side == "ours" else {}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """One model in one loop.

    Returns:
        samples: A second.
        memory: Most of the device's, in MiB.
        first, last: The losses of the first and the last step.
        waiting: Share of the time in which the device waited for the next batch.
        share: Of the peak.
        peak: Floating-point operations a second.
        apart: Gray levels of 255 between the maps of the trained network in bf16 and in fp32,
            the largest and the mean; None where both would be fp32, or the network is compiled.
    """
    model = arguments.models
    side, batch = (FULL if arguments.full else SMALL).get(model, (0, 0))
    if arguments.tiny:
        side, batch = TINY_SIDE, TINY_BATCH
    cfg = composed(model, side, batch, arguments)
    torch.manual_seed(0)
    module = build_module(cfg)
    shown = drawn_input(module.processor, module.network.input_channels())
    uncounted = copy.deepcopy(module.network).eval().to("meta")
    operations = 3 * count_flops(uncounted, shown.to("meta"))
    datamodule = build(cfg.data)
    datamodule.setup("fit")
    precision = arguments.precision if arguments.side == "ours" else "32-true"
    most = 1e12 * arguments.peak if arguments.peak else peak(arguments.device, precision)
    if arguments.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    run = plain_loop if arguments.side == "plain" else our_loop
    seconds, waited, losses = run(cfg, module, datamodule, arguments)
    rate = batch * (arguments.steps - arguments.warm_up) / seconds
    row = {
        "size": side,
        "batch": batch,
        "samples": rate,
        "memory": peak_memory(arguments.device),
        "first": losses[0],
        "last": losses[-1],
        "waiting": waited / seconds,
        "share": rate * operations / most,
        "peak": most,
        "apart": None,
    }
    if precision == BF16 and not (arguments.compile or arguments.graphs):
        row["apart"] = bf16_apart(module.network, shown, torch.device(arguments.device))
    return row


@torch.inference_mode()
def bf16_apart(network: nn.Module, image: Tensor, device: torch.device) -> list[float]:
    """Gray levels between a network's maps in bf16 and in fp32: the largest and the mean."""
    network, image = network.eval().to(device), image.to(device)
    exact = network(image).masks[0]
    with autocast(device, "bf16"):
        found = network(image).masks[0]
    apart = difference(*(gray_levels(each.float().cpu().numpy()) for each in (found, exact)))
    return [apart.max, apart.mean]


def composed(model: str, side: int, batch: int, arguments: argparse.Namespace) -> DictConfig:
    """What `train.py` would compose, without augmentation, so that both loops see the same."""
    register()
    overrides = [
        f"model={model}",
        f"model.size={side}",
        f"model.batch_size={batch}",
        "model.augment=null",
    ]
    if model in CLICKED:
        overrides.append("data=synthetic_objects")
    else:
        overrides += ["data=folder", f"data.root={arguments.folder}", "data.val_fraction=0"]
    if arguments.tiny:
        overrides += TINY[model]
    workers = 0 if arguments.tiny else 1 if arguments.device == "cpu" else 8
    overrides.append(f"data.num_workers={workers}")
    if model == "isnet":
        overrides.append("model.feature_supervision=null")
    conf = Path(__file__).resolve().parents[1] / "conf"
    with initialize_config_dir(str(conf), version_base=None):
        cfg = compose("train", overrides)
    if "pretrained" in cfg.model.network:
        cfg.model.network.pretrained = False
    return cfg


def our_loop(
    cfg: DictConfig, module: Any, datamodule: Any, arguments: argparse.Namespace
) -> tuple[float, float, list[float]]:
    if arguments.compile or arguments.graphs:
        module.network.compile(mode="reduce-overhead" if arguments.graphs else None)
    waiting = Waiting(arguments.device)
    watch = Watch(arguments.device, arguments.warm_up, waiting)
    trainer = Trainer(
        accelerator="gpu" if arguments.device == "cuda" else "cpu",
        devices=1,
        precision=arguments.precision,
        max_steps=arguments.steps,
        max_epochs=cfg.model.epochs,  # those in which losses change are counted from the end
        gradient_clip_val=cfg.trainer.gradient_clip_val,
        use_distributed_sampler=False,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch],
        profiler=LoaderCalls(waiting),
    )
    with torch.compiler.set_stance("force_eager" if arguments.tiny else "default"):
        trainer.fit(module, datamodule)
    return watch.seconds, waiting.seconds(), [float(loss) for loss in watch.losses]


class Watch(Callback):
    """Times the steps after the first ones, and keeps the losses without waiting for them."""

    def __init__(self, device: str, warm_up: int, waiting: "Waiting") -> None:
        self.device, self.warm_up, self.waiting = device, warm_up, waiting
        self.started = self.seconds = 0.0
        self.losses: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        # A copy: the next step of a CUDA graph writes its own to the same place.
        self.losses.append(outputs["loss"].detach().clone())
        if len(self.losses) == self.warm_up:
            self.started = now(self.device)
            self.waiting.forget()
        elif len(self.losses) == trainer.max_steps:
            self.seconds = now(self.device) - self.started


class Waiting:
    """Measures how long a device has nothing to do while the next batch is fetched.

    A GPU works on while Python is ahead of it and waits for the loader, so that its own clock
    counts: from the end of what it was asked before the call to when the call had returned.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.marks: list[Any] = []

    def mark(self) -> None:
        """Called before and after each fetch."""
        if self.device == "cuda":
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def forget(self) -> None:
        """Leave out what was measured so far."""
        self.marks.clear()

    def seconds(self) -> float:
        wait(self.device)
        spans = zip(self.marks[::2], self.marks[1::2], strict=True)
        if self.device == "cuda":
            return sum(start.elapsed_time(end) for start, end in spans) / 1000
        return float(sum(end - start for start, end in spans))


class LoaderCalls(Profiler):
    """Hears of Lightning's calls of the loader."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self.waiting = waiting

    def start(self, action_name: str) -> None:
        if action_name.endswith("train_dataloader_next"):
            self.waiting.mark()

    stop = start

    def summary(self) -> str:
        return ""


def plain_loop(
    cfg: DictConfig, module: Any, datamodule: Any, arguments: argparse.Namespace
) -> tuple[float, float, list[float]]:
    device = torch.device(arguments.device)
    network = module.network.to(device, memory_format=torch.contiguous_format)
    losses = [plain_loss(name, term) for name, term in module.losses.items()]
    optimizer, scheduler = module.make_optimizer(), None
    if module.lr_scheduler is not None:
        scheduler = module.lr_scheduler(optimizer, arguments.steps)
    clip, seen, started = cfg.trainer.gradient_clip_val, [], 0.0
    batches, waiting = plain_batches(cfg, module, datamodule, device), Waiting(arguments.device)
    for step in range(arguments.steps):
        if step == arguments.warm_up:
            started = now(arguments.device)
            waiting.forget()
        waiting.mark()
        batch = next(batches)
        waiting.mark()
        optimizer.zero_grad(set_to_none=False)
        output = network(torch.cat([batch[key] for key in module.inputs], dim=1))
        loss = torch.stack([term(output, batch) for term in losses]).sum()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        seen.append(loss.item())
    return now(arguments.device) - started, waiting.seconds(), seen


def plain_loss(name: str, term: nn.Module) -> Callable[[Output, Any], Tensor]:
    """Side outputs as the originals compare them; the other networks' terms stay as they are."""
    if name != "side_outputs":
        return term

    def side_outputs(output: Output, batch: Any) -> Tensor:
        mask = batch["mask"]
        total = mask.new_zeros(())
        for logits in output.masks:
            probability, target = torch.sigmoid(logits), mask
            if logits.shape != mask.shape:
                target = F.interpolate(mask, logits.shape[2:], mode="bilinear", align_corners=True)
            total = total + F.binary_cross_entropy(probability, target)
        return total

    return side_outputs


def plain_batches(
    cfg: DictConfig, module: Any, datamodule: Any, device: torch.device
) -> Iterator[Any]:
    """Batches on the device. Crops of objects are read by our loader, in both loops."""
    if hasattr(datamodule.train_set, "pairs"):
        for image, mask in endless(cfg, datamodule):
            yield {
                "image": module.processor.normalize(image.to(device)),
                "mask": mask.to(device),
            }
    while True:
        for batch in datamodule.train_dataloader():
            moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
            yield module.as_floats(moved)


def endless(cfg: DictConfig, datamodule: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the plain reader, in the order in which ours would be."""
    sampler = TrainSampler(len(datamodule.train_set), cfg.seed)
    size = list(datamodule.processor.size)
    dataset = PlainFiles(datamodule.train_set.pairs, size)
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        order = [draw.item for draw in sampler]
        yield from DataLoader(
            dataset,
            cfg.data.batch_size,
            sampler=order,
            num_workers=cfg.data.num_workers,
            drop_last=True,
        )
        epoch += 1


class PlainFiles(Dataset[tuple[Tensor, Tensor]]):
    """Images and masks as IS-Net's authors read them: scikit-image, then torch's resize."""

    def __init__(self, pairs: list[ImageMaskPair], size: list[int]) -> None:
        self.pairs, self.size = pairs, size

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        pair = self.pairs[item]
        image = torch.from_numpy(io.imread(pair.image)).permute(2, 0, 1)[None].float()
        mask = torch.from_numpy(io.imread(pair.mask))[None, None].float()
        image, mask = (F.interpolate(x, self.size, mode="bilinear")[0] for x in (image, mask))
        return image.round(), mask.round() / 255


def now(device: str) -> float:
    """The clock, read when the device has done what it was asked."""
    wait(device)
    return time.perf_counter()


def peak_memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
