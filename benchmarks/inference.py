"""Masks of photos: ours beside a plain PyTorch call and beside ONNX Runtime, the engine of rembg.

python -m benchmarks.inference [--models isnet,u2netp,inspyrenet_swinb] [--images 2] [--threads 2]

All use the same weights. "Network" is the forward pass alone, "file to file" reads a JPEG
and writes the mask as a PNG of the photo's size. The plain call is the network as it was trained,
NCHW, with scikit-image and torch around it; ONNX Runtime's file holds the bare network and has
Pillow around it, as rembg does; "ours in ORT" is `engine=onnxruntime`. They take turns, so that
other load falls on all of them; the table shows each one's fastest turn. "Of the peak" is the share
of what the machine can compute (`limits.py`) that the faster of ours reaches in the network alone;
`networks.py` has it for every network and engine.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import io
from torch import nn

from src.engines.engine_network import EngineNetwork, write_network
from src.engines.runtimes import open_graph
from src.inference import Segmenter
from src.inference.model_spec import named
from src.networks.network import Network
from src.networks.summary import count_flops
from src.processing import Processor

from .data import write_files
from .limits import peak

TURNS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="isnet,u2netp,inspyrenet_swinb")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--side", type=int, default=1600, help="long side of the photos")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the exporter, about itself
    torch.set_num_threads(arguments.threads)
    print(
        "| model | | plain, ms | ONNX Runtime | ours | ours in ORT | plain/ours | ORT/ours in ORT"
        " | of the peak |"
    )
    print("| :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_files(Path(folder), arguments.images, arguments.side)
        photos = [pair.image for pair in pairs]
        for model in arguments.models.split(","):
            compare(model, photos, Path(folder), arguments.threads)


def compare(model: str, photos: list[Path], folder: Path, threads: int) -> None:
    """Print a model's two rows."""
    torch.manual_seed(0)
    recipe = named(model)
    network, processor = recipe.build(), recipe.processor
    session = exported(network, processor, folder / f"{model}.onnx", threads)
    quick = Segmenter(recipe.build(), processor, name=model, device="cpu")
    quick.network = EngineNetwork(open_graph(folder / f"{model}.onnx", "onnxruntime"))
    segmenter = Segmenter(recipe_copy(network, recipe), processor, name=model, device="cpu")
    tensor = processor.normalize(
        torch.from_numpy(processor.resize_image(np.asarray(Image.open(photos[0]))))
        .permute(2, 0, 1)[None]
        .contiguous()
    )
    fed = tensor.numpy()
    ready = tensor.to(memory_format=torch.channels_last)
    alone: dict[str, Callable[[], Any]] = {
        "plain": lambda: network(tensor).masks[0],
        "ort": lambda: session.run(None, {"image": fed}),
        "ours": lambda: segmenter.network(ready).masks[0],
        "quick": lambda: quick.network(tensor).masks[0],
    }
    target = folder / "mask.png"

    def plain() -> None:
        for photo in photos:
            plain_file(network, processor, photo, target)

    def ort() -> None:
        for photo in photos:
            ort_file(session, processor, photo, target)

    def ours(one: Segmenter) -> None:
        for photo in photos:
            Image.fromarray(one.mask(photo)).save(target)

    whole: dict[str, Callable[[], Any]] = {
        "plain": plain,
        "ort": ort,
        "ours": lambda: ours(segmenter),
        "quick": lambda: ours(quick),
    }
    flops = count_flops(recipe.build().to("meta"), tensor.to("meta"))
    show(model, "network", fastest(alone, 1), flops / peak("cpu"))
    show(model, "file to file", fastest(whole, len(photos)))


def recipe_copy(network: nn.Module, recipe: Any) -> Network:
    """Another network with the same weights, for the segmenter to change as it likes."""
    twin = recipe.build()
    twin.load_state_dict(network.state_dict())
    return twin


def exported(
    network: nn.Module, processor: Processor, path: Path, threads: int
) -> onnxruntime.InferenceSession:
    write_network(network, torch.rand(1, 3, *processor.size), path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def plain_file(network: nn.Module, processor: Processor, photo: Path, target: Path) -> None:
    image = io.imread(photo)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, list(processor.size), mode="bilinear")
    with torch.no_grad():
        logits = network(processor.normalize(small)).masks[0]
    mask = torch.sigmoid(F.interpolate(logits, image.shape[:2], mode="bilinear"))[0, 0]
    mask = (mask - mask.min()) / (mask.max() - mask.min())
    io.imsave(target, (mask * 255).byte().numpy(), check_contrast=False)


def ort_file(session: Any, processor: Processor, photo: Path, target: Path) -> None:
    image = Image.open(photo).convert("RGB")
    height, width = processor.size
    small = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    values = (small / max(small.max(), 1e-6) - processor.mean) / processor.std
    fed = values.transpose(2, 0, 1)[None].astype(np.float32)
    mask = 1 / (1 + np.exp(-session.run(None, {"image": fed})[0][0, 0]))
    mask = (mask - mask.min()) / (mask.max() - mask.min())
    gray = Image.fromarray((mask * 255).astype(np.uint8))
    gray.resize(image.size, Image.Resampling.LANCZOS).save(target)


@torch.inference_mode()
def fastest(calls: dict[str, Callable[[], Any]], images: int) -> dict[str, float]:
    """Milliseconds an image: the fastest of several turns that the calls take one after another."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(TURNS + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            spent = 1000 * (time.perf_counter() - started) / images
            if turn:  # the first warms up
                best[name] = min(best[name], spent)
    return best


def show(model: str, what: str, spent: dict[str, float], least: float | None = None) -> None:
    """Print a row; `least`: seconds that the machine's peak would take."""
    times = " | ".join(f"{spent[name]:.0f}" for name in ("plain", "ort", "ours", "quick"))
    ratios = f"{spent['plain'] / spent['ours']:.2f} | {spent['ort'] / spent['quick']:.2f}"
    share = f"{1000 * least / min(spent['ours'], spent['quick']):.0%}" if least else ""
    print(f"| {model} | {what} | {times} | {ratios} | {share} |", flush=True)


if __name__ == "__main__":
    main()
