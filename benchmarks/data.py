"""How fast samples of image and mask files are made, against the originals' way of making them.

python -m benchmarks.data [--images 6] [--side 3000] [--size 1024] [--batch 8]

CPU time of one worker process a sample, so that other load does not count; ours and theirs take
turns, and the median is shown. "Originals" is scikit-image's reader and torch's resize, as IS-Net
loads its images, and one `torch.save`d file per sample, as it caches them and makes floats of them
in the worker; ours ship 8 bit, and the device makes the floats. Limits: the time to get the files'
bytes, and to decode them at full size; and the time to make a batch plus that for a worker to ship
one that it already has. Beside that, what torch takes for shipping, which makes new shared memory
for each batch. Tar shards stand beside the files that they hold.
"""

import argparse
import itertools
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage import io
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.transforms.functional import normalize

from src.datamodules.augmentation import isnet
from src.datamodules.batch import SampleKey, collate
from src.datamodules.image_mask_folder import ImageMaskDataset
from src.datamodules.loaders import start_worker
from src.datamodules.pairs import ImageMaskPair, index_pairs
from src.datamodules.shard_set import ShardCache
from src.datamodules.shard_windows import shard_sets
from src.datamodules.shard_writer import Rule, write_shards
from src.datamodules.shared_buffers import SharedBuffers
from src.datamodules.sources import TarShards
from src.processing import Processor

Make = Callable[[int], object]
_ROUNDS = 3
_KEEPING = "originals, keeping memory as our workers do"
_DECODING, _SHIPPING = "decoding alone (OpenCV)", "shipping ours, ready-made"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--side", type=int, default=3000, help="long side of the files")
    parser.add_argument("--size", type=int, default=1024, help="of the network's input")
    parser.add_argument("--batch", type=int, default=8, help="samples in a cached batch")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        pairs = write_files(Path(folder), arguments.images, arguments.side)
        size = (arguments.size, arguments.size)
        report_decoding(pairs, size)
        report_shards(Path(folder), pairs, size)
        report_cached(Path(folder), pairs, size, arguments.batch)


def report_decoding(pairs: Sequence[ImageMaskPair], size: tuple[int, int]) -> None:
    """Print what a sample costs from its files."""
    processor = Processor(size=size)
    plain = ImageMaskDataset(pairs, processor)
    reduced = ImageMaskDataset(pairs, processor, reduced_decode=True)

    def read_bytes(i: int) -> object:
        return pairs[i].image.read_bytes(), pairs[i].mask.read_bytes()

    def decode(i: int) -> object:
        image = cv2.imread(str(pairs[i].image), cv2.IMREAD_COLOR)
        return image, cv2.imread(str(pairs[i].mask), cv2.IMREAD_GRAYSCALE)

    def original(i: int) -> object:
        return originals_sample(pairs[i], size)

    spent = in_turns(
        {
            "reading the files' bytes": lambda: in_worker(read_bytes, len(pairs)),
            _DECODING: lambda: in_worker(decode, len(pairs), start_worker),
            "originals": lambda: in_worker(original, len(pairs)),
            _KEEPING: lambda: in_worker(original, len(pairs), start_worker),
            "ours, exact": lambda: in_worker(lambda i: plain[i], len(pairs), start_worker),
            "ours, reduced_decode": lambda: in_worker(
                lambda i: reduced[i], len(pairs), start_worker
            ),
        }
    )
    print_table("sample from files", spent, spent["originals"], spent[_DECODING])
    gap = plain[0]["image"].float() - originals_sample(pairs[0], size)[0].float()
    print(f"ours, exact, is {gap.abs().mean():.2f} gray levels from the originals on average\n")


def report_shards(folder: Path, pairs: Sequence[ImageMaskPair], size: tuple[int, int]) -> None:
    """Print what a sample costs from tar shards, on this disk and over http on this machine.

    Over http each shard is fetched anew in each round: what is counted is the transfer, its hash
    and the decoding, in the process that trains; the server's time is not.
    """
    output = folder / "shards"
    write_shards(pairs, Rule(False, False), output, "train", largest=1 << 62, most=2)
    processor = Processor(size=size)
    files = ImageMaskDataset(pairs, processor)
    on_disk = ImageMaskDataset(index_pairs(None, TarShards(str(output)), "disk"), processor)
    with served(output) as url:
        cache = ShardCache(folder / "fetched", limit=1 << 62)
        remote_pairs = index_pairs(None, TarShards(url), "http")
        for shards in shard_sets(remote_pairs):
            shards.cache = cache
        remote = ImageMaskDataset(remote_pairs, processor)

        def over_http(i: int) -> object:
            if i == 0:
                shutil.rmtree(cache.folder, ignore_errors=True)
            return remote[i]

        count = len(pairs)
        spent = in_turns(
            {
                "files": lambda: in_worker(lambda i: files[i], count, start_worker),
                "shards on the disk": lambda: in_worker(lambda i: on_disk[i], count, start_worker),
                "shards over http": lambda: in_worker(over_http, count, start_worker),
                "shards over http, fetched": lambda: in_worker(
                    lambda i: remote[i], count, start_worker
                ),
            }
        )
    print_table("sample from shards", spent, spent["files"], than="times the files")
    print()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a folder on the loopback address, served by a process of its own."""

    def serve() -> None:
        handler = partial(QuietHandler, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            sender.send(server.server_address[1])
            server.serve_forever()

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=serve, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{receiver.recv()}"
    finally:
        process.terminate()
        process.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def report_cached(
    folder: Path, pairs: Sequence[ImageMaskPair], size: tuple[int, int], batch_size: int
) -> None:
    """Print what a sample of a cached, flipped batch costs: made, and made and shipped."""
    cached = ImageMaskDataset(pairs, Processor(size=size), isnet())
    cached.fill_cache("disk", folder / "cache", workers=1)
    for i, pair in enumerate(pairs):
        torch.save(originals_sample(pair, size), folder / f"{i}.pt")
    count = len(pairs)
    ours = Listed([partial(cached.__getitem__, SampleKey(i, 0)) for i in range(count)])
    originals = Listed([partial(originals_cached, folder / f"{i}.pt", i) for i in range(count)])
    ready = cached[SampleKey(0, 0)]
    made = Listed([lambda: ready] * count)
    order = [[(b + i) % count for i in range(batch_size)] for b in range(count)]

    def batch_of(dataset: Listed, join: Callable[[Any], Any]) -> Make:
        return lambda b: join([dataset[i] for i in order[b]])

    theirs = batch_of(originals, default_collate)
    making = in_turns(
        {
            "originals": lambda: in_worker(theirs, count) / batch_size,
            _KEEPING: lambda: in_worker(theirs, count, start_worker) / batch_size,
            "ours": lambda: in_worker(batch_of(ours, collate), count, start_worker) / batch_size,
        }
    )
    print_table(f"cached, flipped, in batches of {batch_size}", making, making["originals"])
    print()
    shipping = in_turns(
        {
            _SHIPPING: lambda: shipped(made, order, SharedBuffers(1), start_worker),
            "the same in new memory": lambda: shipped(made, order, collate, start_worker),
            "originals": lambda: shipped(originals, order, default_collate),
            "ours": lambda: shipped(ours, order, SharedBuffers(1), start_worker),
        }
    )
    least = making["ours"] + shipping[_SHIPPING]
    print_table("the same, made and shipped by a worker", shipping, shipping["originals"], least)


class Listed(Dataset[Any]):
    """Samples that calls make.

    Args:
        calls: One for each sample.
    """

    def __init__(self, calls: Sequence[Callable[[], Any]]) -> None:
        self.calls = calls

    def __getitem__(self, item: int) -> Any:
        return self.calls[item]()


def write_files(folder: Path, count: int, side: int) -> list[ImageMaskPair]:
    """Textured images with a mask of many thin parts, as JPEG and PNG."""
    pairs = []
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = rng.integers(0, 256, (side // 32, side // 24, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (side, side * 3 // 4), interpolation=cv2.INTER_CUBIC)
        image = cv2.add(image, np.asarray(rng.integers(0, 24, image.shape, dtype=np.uint8)))
        mask = np.zeros(image.shape[:2], np.uint8)
        for x, y, radius in rng.integers(20, side * 3 // 4, (60, 3)):
            cv2.circle(mask, (int(x), int(y)), int(radius) // 3, 255, 7)
        pair = ImageMaskPair(f"{i}", folder / f"{i}.jpg", folder / f"{i}.png", "benchmark")
        cv2.imwrite(str(pair.image), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        cv2.imwrite(str(pair.mask), mask)
        pairs.append(pair)
    return pairs


def originals_sample(pair: ImageMaskPair, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Image (3, h, w) and mask (h, w): decoded by scikit-image, resized as float by torch."""
    image = torch.from_numpy(io.imread(pair.image)).permute(2, 0, 1)[None].float()
    mask = torch.from_numpy(io.imread(pair.mask))[None, None].float()
    small = F.interpolate(image, size, mode="bilinear").byte()[0]
    return small, F.interpolate(mask, size, mode="bilinear").byte()[0, 0]


def originals_cached(file: Path, item: int) -> tuple[Tensor, Tensor]:
    """One stored sample as it leaves their worker: floats, flipped half of the time, normalized."""
    image, mask = (part.float() / 255 for part in torch.load(file, weights_only=True))
    if item % 2:
        image, mask = image.flip(2), mask.flip(1)
    return normalize(image, [0.5, 0.5, 0.5], [1.0, 1.0, 1.0]), mask


def in_turns(measures: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each metric, taken in turns so that a busy spell falls on all of them."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(_ROUNDS):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: float(np.median(values)) for name, values in taken.items()}


def in_worker(make: Make, count: int, prepare: Callable[[int], None] | None = None) -> float:
    """CPU milliseconds of a call, the mean over `count` of them, in a process of its own."""

    def work() -> None:
        if prepare is not None:
            prepare(0)
        for i in range(count):  # files into memory, and memory into the process
            make(i)
        started = time.process_time()
        for i in range(count):
            make(i)
        sender.send((time.process_time() - started) / count * 1000)

    receiver, sender = multiprocessing.Pipe(duplex=False)
    # Forked like a loader's workers, and for the sake of closures.
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    spent = float(receiver.recv())
    process.join()
    return spent


def shipped(
    dataset: Listed,
    order: Sequence[list[int]],
    join: Callable[[Any], Any],
    prepare: Callable[[int], None] | None = None,
) -> float:
    """CPU milliseconds that a loader's worker spends on a sample, but for the first pass."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    first, last = len(order) + 1, 4 * len(order)
    calls = itertools.count(1)

    def timed(samples: list[Any]) -> Any:  # in the worker, which is forked
        if next(calls) in (first, last):
            sender.send(time.process_time())
        return join(samples)

    loader = DataLoader(
        dataset, batch_sampler=[*order] * 4, num_workers=1, collate_fn=timed, worker_init_fn=prepare
    )
    for _ in loader:
        pass
    started, ended = receiver.recv(), receiver.recv()
    return 1000 * float(ended - started) / (last - first) / len(order[0])


def print_table(
    title: str,
    spent: Mapping[str, float],
    peer: float,
    least: float | None = None,
    than: str = "times the originals",
) -> None:
    """Print milliseconds, samples per second, how often the peer's time they fit in and, where
    there is a time that cannot be gone below, its share of theirs."""
    print(f"| {title} | ms | samples/s | {than} | limit ÷ it |")
    print("| :--- | ---: | ---: | ---: | ---: |")
    for name, value in spent.items():
        limit = "" if least is None else f"{least / value:.0%}"
        print(f"| {name} | {value:.2f} | {1000 / value:.0f} | {peer / value:.1f} | {limit} |")


if __name__ == "__main__":
    main()
