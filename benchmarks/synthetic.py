"""How fast `data=synthetic` draws: images per second of one core, per worker and by all workers.

python -m benchmarks.synthetic [--sizes 320 1024] [--workers 2] [--seconds 5]
"""

import argparse
import time
from collections.abc import Iterator

import cv2

from src.datamodules.loaders import ResumableLoader
from src.datamodules.samplers import TrainSampler
from src.datamodules.synthetic import SyntheticDataset
from src.processing import Processor

_BATCH = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 320, 1024])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"| size | /s of CPU time, 1 core | /s, {arguments.workers} workers | /s per worker |")
    print("| ---: | ---: | ---: | ---: |")
    for size in arguments.sizes:
        images = SyntheticDataset(100_000, "train", 0, Processor(size=(size, size)))
        alone = rate_alone(images, arguments.seconds)
        together = rate_of_workers(images, arguments.workers, arguments.seconds)
        print(f"| {size}² | {alone:.1f} | {together:.1f} | {together / arguments.workers:.1f} |")


def rate_alone(images: SyntheticDataset, seconds: float) -> float:
    """Samples per second of this process's CPU time, so that other load does not count."""
    images[0]
    started, count = time.process_time(), 0
    while time.process_time() - started < seconds:
        count += 1
        images[count]
    return count / (time.process_time() - started)


def rate_of_workers(images: SyntheticDataset, workers: int, seconds: float) -> float:
    """Samples per second of wall time that come out of the training loader."""
    sampler = TrainSampler(len(images), seed=0)
    batches: Iterator[object] = iter(ResumableLoader(images, sampler, _BATCH, workers))
    for _ in range(2 * max(workers, 1)):  # started, and nothing prefetched before the clock
        next(batches)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(batches)
        count += _BATCH
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
