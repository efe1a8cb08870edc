"""How fast samples of image and mask files are made, against the originals' way of making them.

python -m benchmarks.data [--images 6] [--side 3000] [--size 1024]

CPU time of one core, so that other load does not count. "Originals" is scikit-image's reader and
torch's resize, as IS-Net loads its images, and one `torch.save`d file per sample, as it caches
them and makes floats of them in the worker; ours ship 8 bit, and the device makes the floats.
"Reading" is the time to get the files' bytes, which nothing can go below.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage import io
from torch import Tensor
from torch.utils.data import default_collate
from torchvision.transforms.functional import normalize

from src.datamodules.augment import isnet
from src.datamodules.batch import Draw, collate
from src.datamodules.folder import ImageMaskDataset
from src.datamodules.pairs import Pair
from src.geometry import Geometry


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--side", type=int, default=3000, help="long side of the files")
    parser.add_argument("--size", type=int, default=1024, help="of the network's input")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_files(Path(folder), arguments.images, arguments.side)
        report(Path(folder), pairs, (arguments.size, arguments.size))


def report(folder: Path, pairs: Sequence[Pair], size: tuple[int, int]) -> None:
    """Print a table of milliseconds and ratios."""
    geometry = Geometry(size=size)
    plain = ImageMaskDataset(pairs, geometry)
    reduced = ImageMaskDataset(pairs, geometry, reduced_decode=True)
    cached = ImageMaskDataset(pairs, geometry, isnet())
    cached.fill_cache("disk", folder / "cache", workers=1)
    for i, pair in enumerate(pairs):
        torch.save(originals_sample(pair, size), folder / f"{i}.pt")
    files = [folder / f"{i}.pt" for i in range(len(pairs))]

    def read_bytes(i: int) -> object:
        return pairs[i].image.read_bytes(), pairs[i].mask.read_bytes()

    count = len(pairs)
    reading = milliseconds(read_bytes, count)
    decoded = milliseconds(lambda i: originals_sample(pairs[i], size), count)
    loaded = milliseconds(lambda i: default_collate([originals_cached(files[i], i)]), count, 15)
    mapped = milliseconds(lambda i: collate([cached[Draw(i, 0)]]), count, 15)
    rows = [
        ("reading", reading, None),
        ("originals", decoded, decoded),
        ("ours, exact", milliseconds(lambda i: plain[i], count), decoded),
        ("ours, reduced_decode", milliseconds(lambda i: reduced[i], count), decoded),
        ("originals, cached, flipped, batched", loaded, loaded),
        ("ours, cached, flipped, batched", mapped, loaded),
    ]
    print("| sample | ms | samples/s | times the originals |\n| :--- | ---: | ---: | ---: |")
    for name, spent, peer in rows:
        ratio = "" if peer is None else f"{peer / spent:.1f}"
        print(f"| {name} | {spent:.2f} | {1000 / spent:.0f} | {ratio} |")
    gap = plain[0]["image"].float() - originals_sample(pairs[0], size)[0].float()
    print(f"ours, exact, is {gap.abs().mean():.2f} grey levels from the originals on average")


def write_files(folder: Path, count: int, side: int) -> list[Pair]:
    """Textured pictures with a mask of many thin parts, as JPEG and PNG."""
    pairs = []
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = rng.integers(0, 256, (side // 32, side // 24, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (side, side * 3 // 4), interpolation=cv2.INTER_CUBIC)
        image = cv2.add(image, np.asarray(rng.integers(0, 24, image.shape, dtype=np.uint8)))
        mask = np.zeros(image.shape[:2], np.uint8)
        for x, y, radius in rng.integers(20, side * 3 // 4, (60, 3)):
            cv2.circle(mask, (int(x), int(y)), int(radius) // 3, 255, 7)
        pair = Pair(f"{i}", folder / f"{i}.jpg", folder / f"{i}.png", "benchmark")
        cv2.imwrite(str(pair.image), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        cv2.imwrite(str(pair.mask), mask)
        pairs.append(pair)
    return pairs


def originals_sample(pair: Pair, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image (3, h, w) and mask (h, w): decoded by scikit-image, resized as float by torch."""
    image = torch.from_numpy(io.imread(pair.image)).permute(2, 0, 1)[None].float()
    mask = torch.from_numpy(io.imread(pair.mask))[None, None].float()
    small = F.interpolate(image, size, mode="bilinear").byte()[0]
    return small, F.interpolate(mask, size, mode="bilinear").byte()[0, 0]


def originals_cached(file: Path, item: int) -> tuple[Tensor, Tensor]:
    """One stored sample as it leaves their worker: floats, flipped half of the time, normalised."""
    image, mask = (part.float() / 255 for part in torch.load(file, weights_only=True))
    if item % 2:
        image, mask = image.flip(2), mask.flip(1)
    return normalize(image, [0.5, 0.5, 0.5], [1.0, 1.0, 1.0]), mask


def milliseconds(make: Callable[[int], object], count: int, repeat: int = 3) -> float:
    """CPU time per sample: the median over passes through all of them."""
    make(0)
    passes = []
    for _ in range(repeat):
        started = time.process_time()
        for i in range(count):
            make(i)
        passes.append((time.process_time() - started) / count * 1000)
    return float(np.median(passes))


if __name__ == "__main__":
    main()
