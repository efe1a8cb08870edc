"""A training step of ours beside a plain loop written the way the originals write it.

python -m benchmarks.step [--models isnet,u2netp,inspyrenet_swinb] [--steps 20] [--full]
    [--device cuda] [--precision bf16-mixed] [--compile] [--peak TFLOPS]

Both train the same network from the same weights on the same files in the same order. The plain
loop reads with scikit-image and resizes with torch in its worker, keeps tensors NCHW, makes
probabilities and takes their cross entropy, zeroes gradients in place and reads the loss after
every step. Ours is `train.py`: its data module, its module and Lightning's loop. Each runs in a
process of its own, with the environment that `train.py` gives it; seconds are the clock's, so the
machine should do nothing else. With the peak of the device in `--peak`, the last column says which
share of it our loop reaches: forward and twice as much backward, by PyTorch's counter.
"""

import argparse
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
from omegaconf import DictConfig
from skimage import io
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from src.datamodules.pairs import ImageMaskPair
from src.datamodules.samplers import TrainSampler
from src.networks.network import Output
from src.training.config import register
from src.training.execute import build, build_module

from .data import write_files

WARM_UP = 2
# Side and batch: small enough for a CPU, and as in the papers.
SMALL = {"isnet": (256, 2), "u2netp": (160, 4), "inspyrenet_swinb": (192, 1), "dextr": (128, 2)}
CLICKED = {"dextr"}
FULL = {
    "isnet": (1024, 8),
    "u2netp": (320, 12),
    "inspyrenet_swinb": (384, 6),
    "inspyrenet_swinb_1024": (1024, 1),
    "dextr": (512, 5),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="isnet,u2netp,inspyrenet_swinb")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--full", action="store_true", help="sizes and batches of the papers")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--precision", default="32-true", help="of ours; the plain loop is fp32")
    parser.add_argument("--compile", action="store_true", help="ours through torch.compile")
    parser.add_argument("--peak", type=float, help="of the device in this precision, TFLOP/s")
    parser.add_argument("--side", choices=["plain", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments)))
        return
    print("| model | loop | samples/s | memory, MiB | loss: first | last | ratio | of the peak |")
    print("| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for pair in write_files(Path(folder), 16, 800):
            for kind, file in (("images", pair.image), ("masks", pair.mask)):
                (Path(folder) / kind).mkdir(exist_ok=True)
                file.rename(Path(folder) / kind / file.name)
        for model in arguments.models.split(","):
            compare(model, Path(folder), arguments.peak)


def compare(model: str, folder: Path, peak: float | None) -> None:
    """Print a model's two rows."""
    results = {}
    for side in ("plain", "ours"):
        command = [sys.executable, "-m", "benchmarks.step", *sys.argv[1:], "--side", side]
        command += ["--models", model, "--folder", str(folder)]
        environment = os.environ | ({"OMP_WAIT_POLICY": "PASSIVE"} if side == "ours" else {})
        output = subprocess.check_output(command, text=True, env=environment)
        results[side] = json.loads(output.splitlines()[-1])
    for side, row in results.items():
        ratio = f"{row['samples'] / results['plain']['samples']:.2f}"
        share = f"{row['samples'] * row['teraflop'] / peak:.0%}" if peak else ""
        print(
            f"| {model} | {side} | {row['samples']:.2f} | {row['memory']:.0f} "
            f"| {row['first']:.4f} | {row['last']:.4f} | {ratio} | {share} |",
            flush=True,
        )


def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Samples a second, peak memory in MiB, and the losses of the first and the last step."""
    model = arguments.models
    side, batch = (FULL if arguments.full else SMALL)[model]
    cfg = composed(model, side, batch, arguments)
    torch.manual_seed(0)
    module = build_module(cfg)
    datamodule = build(cfg.data)
    datamodule.setup("fit")
    run = plain_loop if arguments.side == "plain" else our_loop
    seconds, losses = run(cfg, module, datamodule, arguments)
    return {
        "samples": batch * (arguments.steps - WARM_UP) / seconds,
        "memory": peak_memory(arguments.device),
        "first": losses[0],
        "last": losses[-1],
        "teraflop": 3 * forward_teraflop(module, side),
    }


def forward_teraflop(module: Any, side: int) -> float:
    """Floating-point operations of one image's forward pass, in 10^12."""
    network = module.network.eval()
    channels = next(p for p in network.parameters() if p.ndim == 4).shape[1]
    image = torch.zeros(1, channels, side, side, device=next(network.parameters()).device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() / 1e12


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
    overrides.append(f"data.num_workers={1 if arguments.device == 'cpu' else 8}")
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
) -> tuple[float, list[float]]:
    if arguments.compile:
        module.network.compile()
    watch = Watch(clock(arguments.device))
    trainer = Trainer(
        accelerator="gpu" if arguments.device == "cuda" else "cpu",
        devices=1,
        precision=arguments.precision,
        max_steps=arguments.steps,
        gradient_clip_val=cfg.trainer.gradient_clip_val,
        use_distributed_sampler=False,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch],
    )
    trainer.fit(module, datamodule)
    return watch.seconds, [float(loss) for loss in watch.losses]


class Watch(Callback):
    """Times the steps after the first ones, and keeps the losses without waiting for them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.started, self.seconds = now, 0.0, 0.0
        self.losses: list[Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, *_: Any) -> None:
        self.losses.append(outputs["loss"].detach())
        if len(self.losses) == WARM_UP:
            self.started = self.now()
        elif len(self.losses) == trainer.max_steps:
            self.seconds = self.now() - self.started


def plain_loop(
    cfg: DictConfig, module: Any, datamodule: Any, arguments: argparse.Namespace
) -> tuple[float, list[float]]:
    device = torch.device(arguments.device)
    network = module.network.to(device, memory_format=torch.contiguous_format)
    losses = [plain_loss(name, term) for name, term in module.losses.items()]
    optimizer, scheduler = module.make_optimizer(), None
    if module.lr_scheduler is not None:
        scheduler = module.lr_scheduler(optimizer, arguments.steps)
    clip, now, seen = cfg.trainer.gradient_clip_val, clock(arguments.device), []
    started = 0.0
    batches = plain_batches(cfg, module, datamodule, device)
    for step, batch in zip(range(arguments.steps), batches, strict=False):
        if step == WARM_UP:
            started = now()
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
    return now() - started, seen


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


def clock(device: str) -> Callable[[], float]:
    """The clock, read when the device has done what it was asked."""

    def synchronised() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    return synchronised


def peak_memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
